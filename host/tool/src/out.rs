//! What a command says: results on stdout, what does not hold on stderr. The one writer of both.
//!
//! Whoever reads may stop (`| head`): the command goes on to its end, quietly, and its exit code is what it would have
//! been. Anything else that stdout fails with ends the command with exit code 2, by [`finish`].

use std::fmt;
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// How stdout is doing.
enum State {
    Open,
    /// Nobody reads any more.
    Closed,
    Failed(io::Error),
}

static STDOUT: Mutex<State> = Mutex::new(State::Open);

/// Not everything that a command had to say could be written.
#[derive(Debug, thiserror::Error)]
#[error("the answer cannot be written to stdout; what the command did is done")]
pub struct OutError(#[source] io::Error);

/// One line of the answer.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::out::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// One line on stderr.
#[macro_export]
macro_rules! complain {
    ($($text:tt)*) => { $crate::out::complain(format_args!($($text)*)) };
}

/// Writes a part of the answer. What fails is told by [`finish`].
pub fn write(text: fmt::Arguments<'_>) {
    let mut state = STDOUT.lock().unwrap_or_else(PoisonError::into_inner);
    if !matches!(*state, State::Open) {
        return;
    }
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.flush()) {
        *state = match error.kind() {
            io::ErrorKind::BrokenPipe => State::Closed,
            _ => State::Failed(error),
        };
    }
}

/// The answer as JSON on one line; nothing in it steers a terminal.
pub fn json(value: &Value) {
    say!("{}", gotong_engine::printable_json(&value.to_string()));
}

/// The same with indentation.
pub fn json_indented(value: &Value) {
    say!("{}", gotong_engine::printable_json(&format!("{value:#}")));
}

/// Writes a line on stderr. There is nobody to tell when that fails.
pub fn complain(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether all of the answer was written, or nobody wanted more of it.
///
/// # Errors
/// When stdout failed.
pub fn finish() -> Result<(), OutError> {
    let mut state = STDOUT.lock().unwrap_or_else(PoisonError::into_inner);
    match std::mem::replace(&mut *state, State::Closed) {
        State::Failed(error) => Err(OutError(error)),
        open => {
            *state = open;
            Ok(())
        }
    }
}
