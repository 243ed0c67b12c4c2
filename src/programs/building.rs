//! Running builds.

use crate::child::Launch;
use crate::escape;

/// How many of the last lines of a failed build the log gets.
const LOGGED: usize = 40;

/// Runs to the end; what it wrote to standard error, or the first error in it as the reason. The log gets its end.
pub fn run(launch: &Launch) -> Result<String, String> {
    let output = launch.log().map_err(|error| format!("{}: {error}", launch.program().display()))?;
    if output.status.success() {
        return Ok(output.err);
    }
    let lines: Vec<&str> = output.err.lines().filter(|line| !line.trim().is_empty()).collect();
    for line in lines.iter().skip(lines.len().saturating_sub(LOGGED)) {
        tracing::warn!("{}", escape::line(line));
    }
    let reason = lines.iter().find(|line| line.starts_with("error")).or(lines.last());
    Err(format!("{} ({})", output.status, reason.unwrap_or(&"no reason given")))
}
