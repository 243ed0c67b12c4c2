//! Does a program speak the engine protocol? Each promise of docs/engine-protocol.md that can be tried is tried.
//!
//! A whole conversation, one whose input closes after the hello, one that asks for what can't be, and some that ask for what
//! is optional.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answers::Answered;
use super::asking::{TOKENS, known, loaded, prompt, said};
use super::running::{Limits, RunningProgram};
use super::{flushing, optional, plausible};
use crate::case::{Clock, DeviceKind};
use crate::device::Ours;
use crate::engine::protocol::{Answer, Request};
use crate::engine::{EngineError, ModelSpec};
use crate::results::Program;

/// How long a program may take to end, and what it started to end after it.
const GRACE: Duration = Duration::from_secs(10);
const AFTERWARDS: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(20);
/// What the optional promises need.
const LOADS: &str = "loads the model";

/// What was tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The promise, in a few words.
    pub promise: String,
    /// Whether it was kept.
    pub found: Found,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// It was kept. What the program said, where that is of interest.
    Kept(String),
    /// It was broken: how.
    Broken(String),
    /// It couldn't be tried, because of what was broken before.
    NotTried,
}

/// Tries everything with the model of `spec`. `told` hears of each promise before it is tried, as that may take its time.
/// What programs leave behind has to become a child of this process, or isn't found.
pub fn check(spec: &ModelSpec, limits: Limits, told: &mut dyn FnMut(&str)) -> Vec<Check> {
    let start = || RunningProgram::start_within(spec, limits);
    let mut checks = Checks { done: Vec::new(), told };
    let started = checks.start("says hello", Some(start));
    // One that doesn't start isn't waited for again.
    let starts = started.is_some().then_some(start);
    let hello = started.as_ref().map(|(_, hello)| hello.clone());
    whole_conversation(&mut checks, started, spec);
    let again = checks.start("starts a second time", starts);
    let hellos = hello.zip(again.as_ref().map(|(_, hello)| hello.clone()));
    checks.found("says the same hello each time", hellos.map(|(first, second)| same(&first, &second)));
    checks.after("ends when its input closes", again, |(mut program, _)| ended(program.close()));
    let third = starts.and_then(|start| start().ok());
    checks.after("refuses a device that isn't there", third, |(program, _)| refuses(program, spec));
    // One that can't load the model alone can't in any other way.
    let is_loading = checks.done.iter().any(|check| check.promise == LOADS && matches!(check.found, Found::Kept(_)));
    let more = starts.filter(|_| is_loading).map(|start| move || start().map(|(program, _)| program));
    checks.after("generates in batches, or says that it doesn't", more, |start| optional::batch(start, spec));
    checks.after("follows a seed protocol, or says that it doesn't", more, |start| optional::protocols(start, spec));
    checks.done
}

fn whole_conversation(checks: &mut Checks, started: Option<(RunningProgram, Program)>, spec: &ModelSpec) {
    let loaded = checks.after(LOADS, started, |(mut program, _)| {
        let said = load(&mut program, spec)?;
        Ok((said, program))
    });
    let vocab_size = super::vocab_size(spec);
    let generate = |program: &mut RunningProgram, context, length| generate(program, vocab_size, context, length);
    let first = checks.after("generates 1 token, then as many as it is asked for", loaded, |mut program| {
        let (short, long) = (generate(&mut program, 8, 1)?, generate(&mut program, 8, TOKENS)?);
        known(&short.generation, vocab_size).and(known(&long.generation, vocab_size))?;
        let (clock, chunks) = (long.generation.clock, long.generation.chunks.len());
        Ok((format!("by the clock of the {clock}, in {chunks} chunks"), (program, long)))
    });
    let told = checks.after(
        "gives the same tokens for the same prompt, whatever came before",
        first,
        |(mut program, first)| repeats(&mut program, vocab_size, first).map(|(said, all)| (said, (program, all))),
    );
    checks.found("flushes each `chunk` when its tokens are there", told.as_ref().map(|(_, all)| flushed(all)));
    let told = told.map(|(program, _)| program);
    let asked = checks.after("tells its memory or leaves it out", told, |mut program| {
        let said = memory(&mut program, spec.device)?;
        Ok((said, program))
    });
    let newer = checks.after("ignores fields that it doesn't know", asked, |mut program| {
        let mut request = json!(Request::Generate { prompt: vec![1, 2, 3], tokens: 2 });
        request["of_a_later_version"] = json!({ "any": ["thing"] });
        program
            .ask_raw("generate", &request)
            .and_then(|asked| program.generated(asked, 2))
            .and_then(|it| it.generation.check(2))
            .map_err(said)?;
        Ok((String::new(), program))
    });
    let left = checks.after("ends with 0 when it is asked to", newer, |mut program| {
        program.ask(&Request::Quit).map_err(said)?;
        let (left, said) = left_behind(&mut program);
        said.map_or(Ok(()), |said| Err(format!("it wrote `{said}` after `quit`")))?;
        ended(program.close())?;
        Ok((String::new(), left))
    });
    checks.after("leaves no process behind", left, |left| match &left[..] {
        [] => Ok((String::new(), ())),
        pids => Err(format!("still there: {}", pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", "))),
    });
}

/// In the order of trying.
struct Checks<'a> {
    done: Vec<Check>,
    told: &'a mut dyn FnMut(&str),
}

impl Checks<'_> {
    fn start(
        &mut self,
        promise: &'static str,
        start: Option<impl FnOnce() -> Result<(RunningProgram, Program), EngineError>>,
    ) -> Option<(RunningProgram, Program)> {
        self.after(promise, start, |start| {
            let (program, hello) = start().map_err(said)?;
            Ok((hello.describe(), (program, hello)))
        })
    }

    /// Tries what needs `before`.
    fn after<T, U>(
        &mut self,
        promise: &'static str,
        before: Option<T>,
        attempt: impl FnOnce(T) -> Result<(String, U), String>,
    ) -> Option<U> {
        let Some(before) = before else {
            self.found(promise, None);
            return None;
        };
        (self.told)(promise);
        let (found, next) = match attempt(before) {
            Ok((said, next)) => (Ok(said), Some(next)),
            Err(why) => (Err(why), None),
        };
        self.found(promise, Some(found));
        next
    }

    /// What came of it, if it could be tried.
    fn found(&mut self, promise: &'static str, found: Option<Result<String, String>>) {
        let found = match found {
            Some(Ok(said)) => Found::Kept(said),
            Some(Err(why)) => Found::Broken(why),
            None => Found::NotTried,
        };
        self.done.push(Check { promise: promise.to_owned(), found });
    }
}

fn load(program: &mut RunningProgram, spec: &ModelSpec) -> Result<String, String> {
    let loaded = loaded(program, spec).map_err(said)?;
    program.check_promised(spec, loaded.batch_size, loaded.seed_protocol.as_ref()).map_err(said)?;
    Ok(loaded.implementation.map(|word| format!("as `{word}`")).unwrap_or_default())
}

/// A generation after `context` tokens, exactly as long as it was asked for.
fn generate(
    program: &mut RunningProgram,
    vocab_size: Option<usize>,
    context: u32,
    length: usize,
) -> Result<Answered, String> {
    let answered = program.generate(&prompt(vocab_size, context), length).map_err(said)?;
    answered.generation.check(length).map_err(said)?;
    program.overheard(TICK).map_or(Ok(answered), |more| Err(said(program.said_more(&more))))
}

/// The generation of the same prompt again, after another one.
fn repeats(
    program: &mut RunningProgram,
    vocab_size: Option<usize>,
    first: Answered,
) -> Result<(String, [Answered; 3]), String> {
    let other = generate(program, vocab_size, 5, TOKENS)?;
    let again = generate(program, vocab_size, 8, TOKENS)?;
    let said = match (&first.generation.tokens, &again.generation.tokens) {
        (Some(one), Some(other)) if one != other => return Err(format!("{} became {}", shown(one), shown(other))),
        (Some(_), Some(_)) => String::new(),
        _ => "it doesn't tell its tokens".to_owned(),
    };
    Ok((said, [first, other, again]))
}

fn memory(program: &mut RunningProgram, device: DeviceKind) -> Result<String, String> {
    program.ask(&Request::Memory).map_err(said)?;
    match program.answer().map_err(said)?.answer {
        Answer::Memory { peak_bytes: Some(0) } => {
            Err("it says 0 bytes: leave `peak_bytes` out if it is unknown".to_owned())
        }
        Answer::Memory { peak_bytes: Some(bytes) } => {
            plausible::check_memory(bytes, device).map_err(said)?;
            Ok(format!("{} MiB", bytes >> 20))
        }
        Answer::Memory { peak_bytes: None } => Ok("left out".to_owned()),
        other => Err(said(program.out_of_turn(&other, "`memory`"))),
    }
}

fn ended(status: Option<std::process::ExitStatus>) -> Result<(String, ()), String> {
    match status {
        Some(status) if status.success() => Ok((String::new(), ())),
        Some(status) => Err(format!("it ended with {status}")),
        None => Err("it was still there after 10 s, and was killed".to_owned()),
    }
}

fn refuses(mut program: RunningProgram, spec: &ModelSpec) -> Result<(String, ()), String> {
    let mut request = json!(program.loading(spec));
    request["device"] = json!("abacus");
    program.ask_raw("load", &request).map_err(said)?;
    loop {
        match program.answer() {
            Ok(arrived) => match arrived.answer {
                Answer::Loading { .. } => {}
                other => {
                    return Err(format!(
                        "asked for the device `abacus` it answered `{}` instead of `error`",
                        other.word()
                    ));
                }
            },
            Err(error) if program.has_ended() => return Err(format!("instead of answering `error`, {}", said(error))),
            Err(error) => return Ok((said(error), ())),
        }
    }
}

/// What the program started and is still there a moment after it ended, before anybody clears up; and what it said until
/// then.
fn left_behind(program: &mut RunningProgram) -> (Vec<u32>, Option<String>) {
    let known = [std::process::id(), program.id()];
    let left = || {
        let running = Ours::this_process().running();
        running.into_iter().filter(|other| !known.contains(other)).collect::<Vec<u32>>()
    };
    let (mut said, asked) = (None, Instant::now());
    while !program.has_ended() && asked.elapsed() < GRACE {
        said = said.or_else(|| program.overheard(Duration::ZERO));
        sleep(TICK);
    }
    let ended = Instant::now();
    while !left().is_empty() && ended.elapsed() < AFTERWARDS {
        said = said.or_else(|| program.overheard(Duration::ZERO));
        sleep(TICK);
    }
    (left(), said.or_else(|| program.overheard(TICK)))
}

fn same(first: &Program, second: &Program) -> Result<String, String> {
    match first == second {
        true => Ok(String::new()),
        false if first.describe() == second.describe() => Err("its commit or components changed".to_owned()),
        false => Err(format!("{} became {}", first.describe(), second.describe())),
    }
}

/// Now and then it may be the fault of a busy machine.
fn flushed(answered: &[Answered]) -> Result<String, String> {
    if answered.iter().any(|it| it.generation.clock != Clock::Client) {
        return Ok("it takes the times itself".to_owned());
    }
    let held_back: Option<Vec<&String>> = answered.iter().map(|it| it.held_back.as_ref()).collect();
    match held_back.and_then(|all| all.first().copied()) {
        Some(how) => Err(format!("{how}: {}", flushing::ADVICE)),
        None => Ok(String::new()),
    }
}

fn shown(tokens: &[u32]) -> String {
    let few: Vec<String> = tokens.iter().take(8).map(u32::to_string).collect();
    format!("[{}, ...]", few.join(", "))
}
