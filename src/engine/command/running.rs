//! A started program: it is asked one thing at a time, and answers.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::answers::{Answered, Arrivals, Arrived};
use crate::case::SeedProtocol;
use crate::child::{Conversation, Environment, Garbage, Next, Stop, clean};
use crate::engine::protocol::{self, Answer, ErrorKind, Request, VERSION};
use crate::engine::{EngineError, ModelSpec, foreign_program};
use crate::results::{Component, Program};
use crate::word::Word;

/// Whoever measures has limits of its own, and ends us with the program.
const NO_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Characters of a program's own message that are kept.
pub const MESSAGE: usize = 1000;
/// Characters of its names, versions and commits.
pub const NAME_LENGTH: usize = 200;
/// What it may be built on.
const COMPONENTS: usize = 50;

/// How long a program may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From its start to its hello.
    pub hello: Duration,
    /// For each answer after it.
    pub answer: Duration,
}

/// A program that has said hello.
pub struct RunningProgram {
    conversation: Conversation<Arrived>,
    name: String,
    /// The version that both speak.
    protocol: u32,
    /// For each whole answer.
    limit: Duration,
    asked: Asked,
}

/// What it was asked last.
struct Asked {
    word: &'static str,
    /// When the whole answer has to be there.
    deadline: Instant,
    /// Whether some of it has come.
    heard: bool,
}

impl Asked {
    fn now(word: &'static str, limit: Duration) -> Self {
        Self { word, deadline: Instant::now() + limit, heard: false }
    }
}

/// How long something is waited for that shouldn't come any more.
const MOMENT: Duration = Duration::from_millis(100);

impl RunningProgram {
    /// Starts it, and hears its hello.
    pub fn start(spec: &ModelSpec) -> Result<(Self, Program), EngineError> {
        Self::start_within(spec, Limits { hello: NO_LIMIT, answer: NO_LIMIT })
    }

    /// The same, with limits.
    pub fn start_within(spec: &ModelSpec, limits: Limits) -> Result<(Self, Program), EngineError> {
        let environment = Environment::measured(spec.hub_token()).traced_as_this();
        let launch = foreign_program::launch(&spec.command, spec.start_directory.as_deref(), environment);
        let launch =
            launch.ok_or_else(|| EngineError::refused("there is no program to start", "name it in `command`"))?;
        let name = spec.command.first().cloned().unwrap_or_default();
        let conversation = Conversation::open(&launch).map_err(EngineError::at(&name))?;
        let asked = Asked::now("hello", limits.hello);
        let mut program = Self { conversation, name, protocol: VERSION, limit: limits.hello, asked };
        let hello = program.hello()?;
        program.limit = limits.answer;
        Ok((program, hello))
    }

    fn hello(&mut self) -> Result<Program, EngineError> {
        match self.answer()?.answer {
            Answer::Hello { protocol: 0, .. } => {
                Err(self.fault("says that it speaks version 0 of the protocol; the first is 1"))
            }
            Answer::Hello { protocol, name, version, commit, components } => {
                self.protocol = protocol.min(VERSION);
                let short = |text: String| clean(&text, NAME_LENGTH);
                let component = |(name, part): (String, protocol::Component)| {
                    let (version, commit) = (part.version.map(short), part.commit.map(short));
                    (short(name), Component { version, commit })
                };
                let components = components.into_iter().take(COMPONENTS).map(component).collect();
                Ok(Program { name: short(name), version: short(version), commit: commit.map(short), components })
            }
            other => Err(self.out_of_turn(&other, "its start, where `hello` comes first")),
        }
    }

    /// What asks it to load a model.
    pub fn loading(&self, spec: &ModelSpec) -> Request {
        Request::Load {
            protocol: self.protocol,
            model: spec.model.clone(),
            // The program may be started elsewhere.
            directory: spec.directory.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())),
            revision: spec.revision.clone(),
            weights: spec.weights.into(),
            quantization: spec.quantization.into(),
            dtype: spec.dtype.into(),
            device: spec.device.into(),
            gpus: spec.gpus.all().iter().map(u32::to_string).collect(),
            implementation: spec.implementation.is_named().then(|| spec.implementation.clone()),
            max_length: u32::try_from(spec.max_length).unwrap_or(u32::MAX),
            batch_size: (spec.batch_size > 1).then_some(spec.batch_size),
            seed_protocol: spec.seed_protocol.map(Into::into),
        }
    }

    /// An older program doesn't know these settings, and would measure something else without a word.
    pub fn check_promised(
        &mut self,
        spec: &ModelSpec,
        batch_size: Option<u32>,
        seed_protocol: Option<&Word<SeedProtocol>>,
    ) -> Result<(), EngineError> {
        let size = spec.batch_size;
        let wrong = match (batch_size, spec.seed_protocol, seed_protocol) {
            (Some(other), _, _) if size == 1 && other != 1 => {
                format!("says `batch_size` {other} in `loaded`, which it wasn't asked for: leave it out")
            }
            (Some(other), _, _) if other != size => {
                format!("was asked for batches of {size}, and says `batch_size` {other} in `loaded`")
            }
            (None, _, _) if size != 1 => {
                format!("doesn't say that it generates in batches of {size}: `batch_size` in `loaded`")
            }
            (_, None, Some(_)) => {
                "says a `seed_protocol` in `loaded`, which it wasn't asked for: leave it out".to_owned()
            }
            (_, Some(asked), said) if said.and_then(Word::known) != Some(asked) => {
                format!("doesn't say that it follows Qwen's `{asked}` protocol: `seed_protocol` in `loaded`")
            }
            _ => return Ok(()),
        };
        Err(self.fault(&wrong))
    }

    /// Sends a request.
    pub fn ask(&mut self, request: &Request) -> Result<(), EngineError> {
        self.ask_raw(request.word(), request).map(drop)
    }

    /// Sends what may be more than a request of ours. When it was there: the clock is read before the last byte, since afterwards
    /// a busy machine may hold us up until the whole answer has come, and the answer would have taken no time.
    pub fn ask_raw(&mut self, word: &'static str, request: &impl Serialize) -> Result<Instant, EngineError> {
        if let Some(said) = self.overheard(Duration::ZERO) {
            return Err(self.said_more(&said));
        }
        self.asked = Asked::now(word, self.limit);
        let line = serde_json::to_vec(request).map_err(|error| EngineError::Failed(error.to_string()))?;
        let told = self.conversation.tell(&line);
        let asked = Instant::now();
        // One that has ended is noticed by its output, which says why.
        if let Err(error) = told.and_then(|()| self.conversation.tell(b"\n")) {
            tracing::debug!("{} doesn't read: {error}", self.name);
        }
        Ok(asked)
    }

    /// Waits for the next answer; an error is one of ours.
    pub fn answer(&mut self) -> Result<Arrived, EngineError> {
        match self.conversation.next(self.asked.deadline, &Stop::default()) {
            Next::Message(arrived) => {
                self.asked.heard = true;
                match arrived.answer {
                    Answer::Error { kind, message } => Err(refused(&kind, &clean(&message, MESSAGE))),
                    answer => Ok(Arrived { answer, ..*arrived }),
                }
            }
            Next::Garbage(line) => {
                self.conversation.kill();
                Err(self.fault(&no_answer(&line)))
            }
            Next::Ended => {
                let end = self.conversation.end();
                Err(self.fault(&format!("ended: {end}")))
            }
            Next::TimedOut | Next::Stopped => {
                self.conversation.kill();
                let what = if self.asked.heard { "didn't come to the end of its answer" } else { "gave no answer" };
                Err(self.fault(&format!("{what} within {} s", self.limit.as_secs())))
            }
        }
    }

    /// The word of what it writes although nothing was asked, or the line that is none.
    pub fn overheard(&self, within: Duration) -> Option<String> {
        let heard = match within.is_zero() {
            true => self.conversation.overheard()?,
            false => self.conversation.next(Instant::now() + within, &Stop::default()),
        };
        match heard {
            Next::Message(arrived) => Some(arrived.answer.word().to_owned()),
            Next::Garbage(line) => Some(line.start),
            Next::Ended | Next::TimedOut | Next::Stopped => None,
        }
    }

    /// After a whole answer.
    pub fn said_more(&mut self, said: &str) -> EngineError {
        self.conversation.kill();
        let after = match self.asked.word {
            "hello" => "`hello`, which comes first and once".to_owned(),
            "generate" => "`generated`, which comes last and once".to_owned(),
            "load" => "`loaded`, which comes last and once".to_owned(),
            other => format!("its answer to `{other}`"),
        };
        self.fault(&format!("wrote `{said}` after {after}"))
    }

    /// A whole generation.
    pub fn generate(&mut self, prompt: &[u32], generated_length: usize) -> Result<Answered, EngineError> {
        let tokens = u32::try_from(generated_length).unwrap_or(u32::MAX);
        let asked = self.ask_raw("generate", &Request::Generate { prompt: prompt.to_vec(), tokens })?;
        self.generated(asked, tokens)
    }

    /// What comes of a generation of so many tokens that was asked for then.
    pub fn generated(&mut self, asked: Instant, tokens: u32) -> Result<Answered, EngineError> {
        let mut arrivals = Arrivals::since(asked, tokens);
        loop {
            let Arrived { at, read, answer } = self.answer()?;
            match answer {
                Answer::Chunk { tokens } => arrivals.add(tokens, at, read)?,
                Answer::Generated { token_ids, times } => {
                    let lacks_times = arrivals.is_empty() && times.is_none();
                    return match lacks_times.then(|| self.overheard(MOMENT)).flatten() {
                        Some(said) => Err(self.said_more(&said)),
                        None => {
                            let held_back = arrivals.held_back();
                            Ok(Answered { generation: arrivals.end(token_ids, times, at)?, held_back })
                        }
                    };
                }
                other => return Err(self.out_of_turn(&other, "`generate`")),
            }
        }
    }

    /// Asks it to end, and ends it if it doesn't. How it ended, if it did so by itself.
    pub fn quit(&mut self) -> Option<ExitStatus> {
        let _ = self.ask(&Request::Quit);
        self.close()
    }

    /// Closes its input, and ends it if it stays. How it ended, if it did so by itself.
    pub fn close(&mut self) -> Option<ExitStatus> {
        self.conversation.close();
        self.conversation.wait()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.conversation.id()
    }

    /// Whether it is gone, or was sent away.
    pub fn has_ended(&mut self) -> bool {
        self.conversation.has_ended()
    }

    /// An answer to something else.
    pub fn out_of_turn(&mut self, answer: &Answer, to: &str) -> EngineError {
        self.conversation.kill();
        let word = answer.word();
        let before = match (self.asked.word, word) {
            ("memory" | "load", "chunk" | "generated") | ("generate", "loaded" | "memory") => {
                ": is it a second answer to what was asked before?"
            }
            (_, "hello") => ", which comes first and once",
            _ => "",
        };
        self.fault(&format!("answered {to} with `{word}`{before}"))
    }

    fn fault(&self, what: &str) -> EngineError {
        EngineError::Failed(format!("the program {} {what}", clean(&self.name, 200)))
    }
}

fn no_answer(line: &Garbage) -> String {
    format!("wrote a line that is no answer: `{}`: {}", line.start, line.why)
}

fn refused(kind: &Word<ErrorKind>, message: &str) -> EngineError {
    match kind {
        Word::Known(ErrorKind::OutOfMemory) => EngineError::OutOfMemory(message.to_owned()),
        _ => EngineError::Failed(message.to_owned()),
    }
}
