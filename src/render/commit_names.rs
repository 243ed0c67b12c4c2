//! How commits are named: short, and only as what they are.

use crate::page::{Line, code, line};
use crate::results::Program;

/// The commit that a program was built from: of candle, where it names that.
pub fn program(program: &Program) -> Line {
    match (candle_commit_of(program), &program.commit) {
        (Some(candle), _) => line!["candle ", commit(candle)],
        (None, Some(own)) => commit(own),
        (None, None) if program.version.is_empty() => "an unknown build".into(),
        (None, None) => code(&program.version, 30),
    }
}

/// `abc1234`, `abc1234-dirty`; what isn't one isn't shown.
fn commit(text: &str) -> Line {
    let dirty = if text.ends_with("-dirty") { "-dirty" } else { "" };
    match short_commit(text) {
        hex if hex.is_empty() => "an unknown commit".into(),
        hex => code(&format!("{hex}{dirty}"), 20),
    }
}

/// The hexadecimal digits at its start, no more than tell commits apart.
pub fn short_commit(commit: &str) -> String {
    commit.chars().take_while(char::is_ascii_hexdigit).take(9).collect()
}

/// What the program says of the candle in it.
pub fn candle_commit_of(program: &Program) -> Option<&str> {
    program.components.get("candle")?.commit.as_deref()
}
