//! What a command says at its end, and with which exit code.

use std::io::Write as _;
use std::process::ExitCode;

/// The end of a command that did not fail.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The answer, for standard output: a program may read it.
    pub answer: String,
    /// For the person who called it, on standard error.
    pub note: String,
    /// 0, or another meaning that the command has.
    pub code: u8,
}

impl Outcome {
    /// An answer, and nothing else.
    pub fn answer(answer: impl Into<String>) -> Self {
        Self { answer: answer.into(), ..Self::default() }
    }

    /// Says it. A reader that went away (`| head`) is no failure.
    pub fn say(self) -> ExitCode {
        let _ = write!(std::io::stderr(), "{}", self.note);
        let _ = write!(std::io::stdout(), "{}", self.answer);
        ExitCode::from(self.code)
    }
}
