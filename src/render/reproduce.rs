//! How to see the same numbers elsewhere. Only checked words go into a command that people copy.

use super::caveat_lines;
use super::commit_names::{candle_commit_of, short_commit};
use super::surroundings::Surroundings;
use crate::report::Report;
use crate::results::{Program, Results};

/// Commands for a shell.
pub fn commands(report: &Report, surroundings: &Surroundings) -> String {
    let suite = if is_word(&report.suite) { format!(" --suite {}", report.suite) } else { String::new() };
    if let Some(head) = candle_commit(&report.head) {
        let base = report.base().and_then(candle_commit);
        let base = base.map_or_else(String::new, |base| format!(" --base-ref {base}"));
        return format!("# ../candle: a checkout of candle at {head}\nbench-diff ci{suite} --candle ../candle{base}\n");
    }
    let pull_request = caveat_lines::pull_request_of(report, surroundings);
    let base = report.base().map(|base| run(base, None, &suite, "base.json")).unwrap_or_default();
    let compare = if base.is_empty() { "" } else { "bench-diff compare base.json head.json\n" };
    format!("{base}{}{compare}", run(&report.head, pull_request, &suite, "head.json"))
}

/// The pull request's commit outweighs what the program says: that may be the merge with its base, or another
/// repository's.
fn run(results: &Results, pull_request: Option<String>, suite: &str, file: &str) -> String {
    let last = results.sessions.last();
    let other = pull_request.filter(|commit| last.is_none_or(|session| !caveat_lines::is_of(&session.program, commit)));
    let at = match other {
        Some(commit) => format!("# at {commit}\n"),
        None => last.map_or_else(String::new, |session| at(&session.program)),
    };
    format!("{at}bench-diff run{suite} --output {file}\n")
}

/// Which commit to check out, where the program says it.
fn at(program: &Program) -> String {
    let commit = program.commit.as_deref().unwrap_or_default();
    let dirty = if commit.ends_with("-dirty") { "-dirty" } else { "" };
    match short_commit(commit) {
        hex if hex.is_empty() => String::new(),
        hex => format!("# at {hex}{dirty}\n"),
    }
}

fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= 60 && !text.starts_with('-') && text.bytes().all(allowed)
}

/// The commit of candle that the last session was built against, if it names one and nothing else.
fn candle_commit(results: &Results) -> Option<&str> {
    let commit = candle_commit_of(&results.sessions.last()?.program)?;
    let named = matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    named.then(|| &commit[..9])
}
