//! Answers questions from stdin, one JSON object a line: what `gotong policy test` starts natively.

use alloc::format;
use alloc::string::{String, ToString};
use std::cell::RefCell;
use std::io::{self, BufRead as _, Write as _};
use std::panic::{self, AssertUnwindSafe};

use super::NativeError;
use super::json::Value;

/// A policy crate's `answer`, as [`export!`](crate::export!) makes it.
pub type Answer = fn(&str, &str) -> Result<String, NativeError>;

std::thread_local! {
    /// What the last panic said, and where.
    static PANIC: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// Answers each line `{"function": …, "facts": …}` of stdin with a line on stdout: `{"ruling": …}`, or
/// `{"error": …}` for a question that is none, or `{"panic": …, "at": "file:line"}`.
///
/// # Errors
/// When stdin cannot be read or stdout not be written.
pub fn serve(answer: Answer) -> io::Result<()> {
    panic::set_hook(std::boxed::Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("a panic without a text");
        let at = info
            .location()
            .map(|at| format!("{}:{}", at.file(), at.line()))
            .unwrap_or_default();
        PANIC.set(Some((message.to_string(), at)));
    }));
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        writeln!(out, "{}", reply(answer, &line?))?;
        out.flush()?;
    }
    Ok(())
}

fn reply(answer: Answer, line: &str) -> Value {
    let question: Value = match serde_json::from_str(line) {
        Ok(question) => question,
        Err(error) => return serde_json::json!({ "error": error.to_string() }),
    };
    let function = question["function"].as_str().unwrap_or_default();
    let facts = question["facts"].to_string();
    // A policy is a pure function: there is nothing that a panic could leave half done.
    match panic::catch_unwind(AssertUnwindSafe(|| answer(function, &facts))) {
        Ok(Ok(ruling)) => serde_json::json!({ "ruling": ruling }),
        Ok(Err(error)) => serde_json::json!({ "error": error.to_string() }),
        Err(_) => {
            let (message, at) = PANIC.take().unwrap_or_default();
            serde_json::json!({ "panic": message, "at": at })
        }
    }
}
