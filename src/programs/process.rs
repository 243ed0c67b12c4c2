//! Running builds.

use std::process::{Command, Stdio};

use crate::render::escape;

/// A command without our secrets: what is built here is a pull request's code.
pub fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        if ["TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "API_KEY"].iter().any(|word| upper.contains(word)) {
            command.env_remove(&name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Lines of a failed build's complaint that the log gets.
const LOGGED: usize = 40;

/// Runs to the end; what it wrote to standard error, or the first error in it as the reason. The log gets its end.
pub fn run(command: &mut Command) -> Result<String, String> {
    // It is read, by us.
    let command = command.env("CARGO_TERM_COLOR", "never");
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok(words);
    }
    let lines: Vec<&str> = words.lines().filter(|line| !line.trim().is_empty()).collect();
    for line in lines.iter().skip(lines.len().saturating_sub(LOGGED)) {
        tracing::warn!("{}", escape::line(line));
    }
    let reason = lines.iter().find(|line| line.starts_with("error")).or(lines.last());
    Err(format!("{} ({})", output.status, reason.unwrap_or(&"no reason given")))
}
