//! The measured process: reads one job, measures its cases in turn, and reports what happened.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use super::metrics_of_run::Sampled;
use super::protocol::{Event, Job, VERSION};
use super::seed_protocol;
use super::traced_worker;
use super::watch::Watcher;
use super::work::Work;
use crate::case::{Case, SeedProtocol};
use crate::engine::{self, Engine, EngineError};
use crate::error::Advice;
use crate::prompt::own_or_by_rule;
use crate::results::{Failure, FailureKind, Measurement, Program};
use crate::word::Word;

/// Runs the job on standard input and writes events to standard output.
///
/// After a failed case the process ends: its memory can't be trusted, and the caller starts a new one for the rest.
pub fn serve() -> io::Result<()> {
    die_with_parent();
    let mut events = Events { out: take_stdout()? };
    events.send(&Event::Hello { protocol: VERSION, program: Program::this() })?;
    let mut job = Vec::new();
    io::stdin().read_to_end(&mut job)?;
    let job = match Job::parse(&job) {
        Ok(job) => job,
        Err(error) => {
            let reason = format!("this build can't do the job: {error}");
            return events.send(&Event::Failed { failure: Failure { kind: FailureKind::Error, reason } });
        }
    };

    if job.cases.is_empty() {
        return match engine::find(&job.model.engine).and_then(|kind| kind.ceilings(&job.model)) {
            Ok(ceilings) => events.send(&Event::Ceilings { ceilings }),
            Err(error) => events.send(&Event::Failed { failure: failure(error) }),
        };
    }
    let watcher = Watcher::new(job.model.device, &job.model.gpus);
    let mut engine = match load(&job, &mut events) {
        Ok(engine) => engine,
        Err(error) => return events.send(&Event::Failed { failure: failure(error) }),
    };
    events.send(&Event::Loaded { loaded: engine.loaded().clone() })?;
    for (place, case) in job.cases.iter().enumerate() {
        events.send(&Event::CaseStarted { case: case.id.clone() })?;
        let mut progress = |done, total| events.send(&Event::Progress { case: case.id.clone(), done, total });
        if let Some(traced) = job.traced {
            match traced_worker::trace_case(engine.as_mut(), &job, place, traced, &mut progress) {
                Ok(parts) => events.send(&Event::CaseTraced { case: case.id.clone(), parts })?,
                Err(error) => {
                    return events.send(&Event::CaseFailed { case: case.id.clone(), failure: failure(error) });
                }
            }
            continue;
        }
        match measure_case(engine.as_mut(), &job, case, &watcher, &mut progress) {
            Ok((measurement, gaps)) => events.send(&Event::CaseMeasured {
                case: case.id.clone(),
                measurement,
                trace: job.trace.then_some(gaps),
            })?,
            Err(error) => return events.send(&Event::CaseFailed { case: case.id.clone(), failure: failure(error) }),
        }
    }
    events.send(&Event::Done)
}

fn load(job: &Job, events: &mut Events) -> Result<Box<dyn Engine>, EngineError> {
    let events = RefCell::new(events);
    let (mut shown, mut told) = (None, String::new());
    let mut progress = |done: u64, total: u64| {
        // Loading may report every block that it reads: a line for each percent is enough.
        let percent = (total > 0).then(|| done.saturating_mul(100) / total);
        if shown != percent {
            shown = percent;
            // If the parent is gone, the next event that matters will notice it.
            let _ = events.borrow_mut().send(&Event::Loading { done, total });
        }
    };
    let mut wait = |why: &str| {
        if told != why {
            told = why.to_owned();
            let _ = events.borrow_mut().send(&Event::Waiting { why: told.clone() });
        }
    };
    engine::find(&job.model.engine)?.load_telling(&job.model, &mut progress, &mut wait)
}

/// Warm-up generations, then those that count. `progress` is told how many tokens are generated and how many will be, only
/// between generations. Returns the measurement and every gap between tokens in ms.
pub fn measure_case(
    engine: &mut dyn Engine,
    job: &Job,
    case: &Case,
    watcher: &Watcher,
    progress: &mut dyn FnMut(u64, u64) -> io::Result<()>,
) -> Result<(Measurement, Vec<f64>), EngineError> {
    if let Some(protocol) = job.settings.seed_protocol.as_ref() {
        return measure_as_seed(engine, job, case, protocol, watcher);
    }
    let prompt = own_or_by_rule(&job.settings, job.prompt_ids.as_deref(), case.context_length as usize)
        .map_err(EngineError::Failed)?;
    let length = case.generated_length as usize;
    let warmup = job.settings.warmup_length.map_or(length, |warmup| (warmup as usize).clamp(1, length));
    let iterations = job.settings.iterations.max(1) as usize;
    let warmed = warmup * job.settings.warmup as usize;
    let total = (warmed + length * iterations) as u64;
    let mut tell = |done: usize| progress(done as u64, total).map_err(|error| EngineError::Failed(error.to_string()));
    let work = Work { case, prompt: &prompt };

    tell(0)?;
    for done in 1..=job.settings.warmup as usize {
        work.warm_up(engine, warmup)?;
        tell(done * warmup)?;
    }
    engine.reset_peak()?;
    let watch = watcher.start();
    let generated = work.measure(engine, iterations, &mut |done| tell(warmed + done * length));
    let seen = watcher.finish(watch);
    let shared_process = !engine.runs_here();
    let seen = if shared_process { seen.without_memory() } else { seen };
    let generated = &generated?;
    let allocated_bytes = engine.allocated_peak()?;
    let (loaded, ceilings) = (engine.loaded(), job.ceilings.as_ref());
    let sampled =
        Sampled { case, generated, shared_process, seen, allocated_bytes, loaded, ceilings, is_sampled: false };
    Ok(sampled.measurement())
}

fn measure_as_seed(
    engine: &mut dyn Engine,
    job: &Job,
    case: &Case,
    protocol: &Word<SeedProtocol>,
    watcher: &Watcher,
) -> Result<(Measurement, Vec<f64>), EngineError> {
    let known = SeedProtocol::WORDS.join(", ");
    let unknown = || EngineError::Failed(format!("unknown seed protocol `{protocol}`: this build has {known}"));
    seed_protocol::measure_case(engine, job, case, protocol.known().ok_or_else(unknown)?, watcher)
}

fn failure(error: EngineError) -> Failure {
    let kind = match error {
        EngineError::OutOfMemory(_) => FailureKind::OutOfMemory,
        EngineError::Refused { .. } | EngineError::File { .. } | EngineError::Failed(_) => FailureKind::Error,
    };
    Failure { kind, reason: error.in_one_line() }
}

struct Events {
    out: File,
}

impl Events {
    fn send(&mut self, event: &Event) -> io::Result<()> {
        let mut line = event.to_json()?;
        line.push(b'\n');
        self.out.write_all(&line)
    }
}

/// Keeps standard output for events: what a library prints goes to standard error from here on.
fn take_stdout() -> io::Result<File> {
    let events = io::stdout().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(events.into())
}

/// A parent that was killed, a guard perhaps, can't stop its worker: the kernel does it.
fn die_with_parent() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)) {
        tracing::debug!("this worker would outlive its parent: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture::job;
    use super::*;
    use crate::case::{Clock, DeviceKind};
    use crate::device::Ordinals;
    use crate::engine::{Generation, Loaded};
    use crate::metric::{Metric, MetricName};

    /// Generation i of this engine takes i ms a token; what it was asked for is noted.
    #[derive(Default)]
    struct Fake {
        loaded: Loaded,
        asked: Vec<String>,
        generations: u64,
        stops_early: bool,
    }

    impl Engine for Fake {
        fn loaded(&self) -> &Loaded {
            &self.loaded
        }

        fn generate(&mut self, prompt: &[u32], generated_length: usize) -> Result<Generation, EngineError> {
            self.asked.push(format!("generate {generated_length} after {}", prompt.len()));
            self.generations += 1;
            let length = if self.stops_early { 1 } else { generated_length };
            let time = |token: usize| Duration::from_millis(self.generations * (token as u64 + 1));
            let times = (0..length).map(time).collect();
            Ok(Generation::by_token(vec![7; length], times, Clock::Host, time(length - 1)))
        }

        fn allocated_peak(&mut self) -> Result<Option<u64>, EngineError> {
            Ok(Some(64 << 20))
        }

        fn reset_peak(&mut self) -> Result<(), EngineError> {
            self.asked.push("reset peak".to_owned());
            Ok(())
        }
    }

    fn measure(engine: &mut Fake, job: &Job) -> Result<(Measurement, Vec<f64>), EngineError> {
        let watcher = Watcher::new(DeviceKind::Cpu, &Ordinals::default());
        measure_case(engine, job, &job.cases[0], &watcher, &mut |_, _| Ok(()))
    }

    #[test]
    fn warm_ups_come_first_and_dont_count() {
        let mut engine = Fake::default();
        let (measurement, gaps) = measure(&mut engine, &job()).unwrap();
        assert_eq!(engine.asked, ["generate 4 after 5", "generate 4 after 5", "reset peak", "generate 10 after 5"]);
        assert_eq!(gaps, [3.0; 9], "of the third generation");
        assert_eq!(measurement.metrics[&MetricName::from(Metric::Ttft)], 3.0);
        assert_eq!(measurement.metrics[&MetricName::from(Metric::AllocatedMemory)], 64.0);
    }

    /// Generations 3, 4 and 5 count, of 3, 4 and 5 ms a token.
    #[test]
    fn iterations_count_by_their_median() {
        let mut job = job();
        job.settings.iterations = 3;
        let mut engine = Fake::default();
        let (measurement, gaps) = measure(&mut engine, &job).unwrap();
        assert_eq!(
            engine.asked[2..],
            ["reset peak", "generate 10 after 5", "generate 10 after 5", "generate 10 after 5"]
        );
        assert_eq!(measurement.metrics[&MetricName::from(Metric::Ttft)], 4.0);
        assert_eq!(measurement.metrics[&MetricName::from(Metric::DecodeThroughput)], 250.0);
        assert_eq!((gaps.len(), measurement.itl.unwrap().count), (27, 27), "the gaps of all");
    }

    #[test]
    fn progress_is_told_between_generations() {
        let mut told = Vec::new();
        let job = job();
        let watcher = Watcher::new(DeviceKind::Cpu, &Ordinals::default());
        let mut tell = |done, total| {
            told.push((done, total));
            Ok(())
        };
        measure_case(&mut Fake::default(), &job, &job.cases[0], &watcher, &mut tell).unwrap();
        assert_eq!(told, [(0, 18), (4, 18), (8, 18), (18, 18)]);
    }

    #[test]
    fn an_engine_that_stops_early_gives_no_numbers() {
        let mut engine = Fake { stops_early: true, ..Fake::default() };
        let error = measure(&mut engine, &job()).unwrap_err();
        assert_eq!(failure(error).reason, "the engine gave 1 tokens instead of 4");
    }
}
