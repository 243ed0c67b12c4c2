//! A server that is started for a run, and ended with it.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::http_client::Client;
use crate::child::{Conversation, Environment, Launch, Message, Next, Stop};
use crate::engine::EngineError;

/// How often it is asked whether it is ready.
const PAUSE: Duration = Duration::from_millis(200);

/// A running server.
pub struct StartedServer(Conversation<Log>);

/// Whatever it prints.
struct Log;

impl Message for Log {
    fn parse(_: &[u8]) -> Option<Self> {
        Some(Self)
    }
}

impl StartedServer {
    /// Starts it and waits until it lists its models. Whoever measures has a limit for that.
    pub fn start(command: &[String], hub_token: Option<&str>, client: &Client) -> Result<Self, EngineError> {
        let [program, args @ ..] = command else {
            return Err(EngineError::refused("there is no server to start", "name it in `start`"));
        };
        if client.is_ready() {
            return Err(EngineError::refused(
                "another server answers at this address already",
                "end it, or leave `start` out to measure that one",
            ));
        }
        let launch = Launch::of(Path::new(program), Environment::measured(hub_token)).args(args);
        let mut server = Self(Conversation::open(&launch).map_err(EngineError::at(program))?);
        while !client.is_ready() {
            server.check(program)?;
            sleep(PAUSE);
        }
        Ok(server)
    }

    /// Reads what it printed; an error if it has ended.
    fn check(&mut self, program: &str) -> Result<(), EngineError> {
        loop {
            match self.0.next(Instant::now() + Duration::from_millis(1), &Stop::default()) {
                Next::Message(_) | Next::Garbage(_) => {}
                Next::TimedOut | Next::Stopped => return Ok(()),
                Next::Ended => return Err(EngineError::Failed(format!("the server {program} {}", self.0.end()))),
            }
        }
    }
}

impl Drop for StartedServer {
    fn drop(&mut self) {
        self.0.kill();
    }
}
