//! A policy's native program: asked over a pipe, a question a line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

/// The program, while it runs.
pub(crate) struct Native {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What it says to a question.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    /// The ruling as canonical JSON.
    Ruling { ruling: String },
    /// The policy panicked.
    Panic { panic: String, at: String },
    /// The question is none.
    Error { error: String },
}

/// The program cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NativeError {
    #[error("`{program}` cannot be started")]
    Start {
        program: String,
        source: std::io::Error,
    },
    #[error("the native program ended at the question {question}: {how}")]
    Ended { question: String, how: String },
    #[error(
        "the native program answered `{answer}`: its example must call `gotong_policy::native::serve`"
    )]
    Answer { answer: String },
}

impl Native {
    pub(crate) fn start(program: &Path) -> Result<Self, NativeError> {
        let failed = |source| NativeError::Start {
            program: program.display().to_string(),
            source,
        };
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(failed)?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(std::io::Error::other("it has no pipes")));
        };
        Ok(Self {
            child,
            questions,
            answers: BufReader::new(answers),
        })
    }

    pub(crate) fn ask(&mut self, function: &str, facts: &Value) -> Result<Answer, NativeError> {
        let question = json!({ "function": function, "facts": facts }).to_string();
        let mut answer = String::new();
        let asked = writeln!(self.questions, "{question}")
            .and_then(|()| self.questions.flush())
            .and_then(|()| self.answers.read_line(&mut answer));
        match asked {
            Ok(length) if length > 0 => {}
            ended => {
                let how = match (self.child.wait(), ended) {
                    // A stack overflow, or an abort.
                    (Ok(status), _) => status.to_string(),
                    (Err(error), _) => error.to_string(),
                };
                return Err(NativeError::Ended { question, how });
            }
        }
        serde_json::from_str(&answer).map_err(|_| NativeError::Answer {
            answer: answer.trim().to_owned(),
        })
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // It ends with its stdin; nothing hangs on how.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
