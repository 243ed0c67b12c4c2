//! A server that is started for a run, and ended with it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::http_client::Client;
use crate::child::{Conversation, Launch, Message, Next, Stop};
use crate::engine::{EngineError, Wait};

/// How often it is asked whether it is ready.
const PAUSE: Duration = Duration::from_millis(200);

/// What it printed is read in so long.
const MOMENT: Duration = Duration::from_millis(1);

/// A running server.
pub struct StartedServer {
    program: String,
    running: Conversation<Log>,
}

/// Whatever it prints.
struct Log;

impl Message for Log {
    fn parse(_: &[u8], _: Instant) -> Result<Self, String> {
        Ok(Self)
    }
}

impl StartedServer {
    /// Starts it and waits until it is ready, and tells what for. Whoever measures has a limit for that.
    pub fn start(launch: &Launch, client: &Client, wait: Wait) -> Result<Self, EngineError> {
        if client.ready().is_ok() {
            // It may be gone the next time.
            return Err(EngineError::Failed(
                "another server answers at this address already: end it, or leave `start` out to measure that one"
                    .to_owned(),
            ));
        }
        let program = launch.program().display().to_string();
        let running = Conversation::open(launch).map_err(EngineError::at(&program))?;
        let mut server = Self { program, running };
        while let Err(refused) = client.ready() {
            wait(&client.explain(refused).to_string());
            if let Some(why) = server.ended(MOMENT) {
                return Err(client.concealed(&why));
            }
            sleep(PAUSE);
        }
        Ok(server)
    }

    /// How it ended, if it has by then. What it printed so far is passed over.
    pub fn ended(&mut self, within: Duration) -> Option<EngineError> {
        let deadline = Instant::now() + within;
        loop {
            match self.running.next(deadline, &Stop::default()) {
                Next::Message(_) | Next::Garbage(_) => {}
                Next::TimedOut | Next::Stopped => return None,
                Next::Ended => {
                    let how = self.running.end();
                    return Some(EngineError::Failed(format!("the server {} is gone: {how}", self.program)));
                }
            }
        }
    }
}

impl Drop for StartedServer {
    fn drop(&mut self) {
        self.running.kill();
    }
}
