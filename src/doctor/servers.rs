//! Servers: whether they answer, and whether their key is here.

use super::found::Check;
use crate::engine::{ModelSpec, ServerSpec, foreign_program, server};
use crate::error::sentence;

const SERVER: &str = "server";

pub fn checks(spec: &ModelSpec, server: &ServerSpec) -> Vec<Check> {
    let there = if server.start.is_empty() { Some(running(server)) } else { started(spec, server) };
    key(server).into_iter().chain(there).collect()
}

fn key(server: &ServerSpec) -> Option<Check> {
    let lacking = server::lacking_key(server)?;
    let hint = "set it where bench-diff runs; in a workflow by `env` of the step, from a secret";
    Some(Check::missing(SERVER, sentence(&lacking)).hint(hint))
}

/// Whoever asks has to be where it is measured.
fn running(server: &ServerSpec) -> Check {
    match server::reach(server) {
        Ok(()) => Check::fine(SERVER, format!("somebody answers at {}", server.url)),
        Err(why) => Check::missing(SERVER, sentence(&why))
            .hint("start it, or name in `start` what starts it for each run; look on the machine that is to measure"),
    }
}

/// What lacks is said by the plan.
fn started(spec: &ModelSpec, server: &ServerSpec) -> Option<Check> {
    let program = server.start.first()?;
    let is_there = foreign_program::lacking(&server.start, spec.start_directory.as_deref()).is_none();
    is_there.then(|| Check::fine(SERVER, format!("the program {program} is there, which each run starts")))
}
