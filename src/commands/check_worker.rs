//! `bench-diff check-worker`: the process that checks a program. It and all that it starts end with its caller.

use std::io::{Read, stdin};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::child::{Message, guard};
use crate::engine::ModelSpec;
use crate::engine::command::{Check, Limits, check};
use crate::error::{Error, Exit, Result};
use crate::io::Io;

/// Check the program that standard input names (started by check-engine)
#[derive(Debug, clap::Args)]
pub struct Args {}

/// What to check.
#[derive(Serialize, Deserialize)]
pub struct Job {
    pub spec: ModelSpec,
    pub hello_seconds: u64,
    pub answer_seconds: u64,
}

/// A line of its standard output.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// A promise that is tried now.
    Trying(String),
    /// The end.
    Checked(Vec<Check>),
}

impl Message for Told {
    fn parse(line: &[u8], _: Instant) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| error.to_string())
    }
}

pub fn run(_args: &Args, io: &mut Io) -> Result<Exit> {
    guard::adopt_orphans();
    let lost = |error| Error::measurement("the checking process can't talk to its caller").because(error);
    let mut job = Vec::new();
    stdin().read_to_end(&mut job).map_err(lost)?;
    let Job { spec, hello_seconds, answer_seconds } =
        serde_json::from_slice(&job).map_err(|error| Error::usage("this isn't what to check").because(error))?;
    let limits = Limits { hello: Duration::from_secs(hello_seconds), answer: Duration::from_secs(answer_seconds) };
    let mut unheard = Ok(());
    let checks = check(&spec, limits, &mut |promise| {
        let said = io.out.json_line(&Told::Trying(promise.to_owned()));
        unheard = std::mem::replace(&mut unheard, Ok(())).and(said);
    });
    unheard.and_then(|()| io.out.json_line(&Told::Checked(checks)))?;
    Ok(Exit::Success)
}
