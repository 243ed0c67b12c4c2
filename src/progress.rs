//! What a person sees while a session runs: bars on a terminal, plain lines anywhere else.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::escape;
use crate::measure::{At, Observer, Silent, Update};
use crate::metric::{Metric, MetricName};
use crate::number::value;
use crate::plural::counted;
use crate::results::{Outcome, Run};

/// Expected seconds of a run by case: how the time left is divided until there are measurements.
pub type Weights = BTreeMap<String, f64>;

/// Bars if `err` is this process's standard error on a terminal, lines otherwise, nothing if `quiet`.
pub fn observer<'a>(quiet: bool, weights: Weights, err: &'a mut dyn Write) -> Box<dyn Observer + 'a> {
    if quiet {
        Box::new(Silent)
    } else if std::io::stderr().is_terminal() {
        Box::new(Bars::new(weights))
    } else {
        Box::new(Lines { err, progress: Progress::new(weights), loading: String::new() })
    }
}

/// Who hears of each step of something that takes its time: a line that changes on a terminal, lines otherwise, nothing if
/// `quiet`.
pub fn steps<'a>(quiet: bool, err: &'a mut dyn Write) -> Box<dyn FnMut(&str) + 'a> {
    if quiet {
        return Box::new(|_: &str| {});
    }
    if !std::io::stderr().is_terminal() {
        // Progress must not end what it is of.
        return Box::new(move |step: &str| drop(writeln!(err, "{}", escape::line(step))));
    }
    let line = Spinner(ProgressBar::new_spinner());
    line.0.enable_steady_tick(Duration::from_millis(500));
    Box::new(move |step: &str| line.0.set_message(escape::line(step)))
}

/// Gone when it is done.
struct Spinner(ProgressBar);

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// How far a session is, and how long the rest will take.
struct Progress {
    weights: Weights,
    total: usize,
    done: usize,
    left_weight: f64,
    done_weight: f64,
    started: Instant,
    /// Since when nothing is measured, where something is waited for.
    waiting: Option<Instant>,
    /// Time since the start in which nothing was measured.
    waited: Duration,
}

impl Progress {
    fn new(weights: Weights) -> Self {
        let (started, waited) = (Instant::now(), Duration::ZERO);
        Self { weights, total: 0, done: 0, left_weight: 0.0, done_weight: 0.0, started, waiting: None, waited }
    }

    /// Waiting lasts until something else happens.
    fn note(&mut self, update: &Update) {
        if let Update::Waiting { .. } = update {
            self.waiting.get_or_insert_with(Instant::now);
        } else if let Some(since) = self.waiting.take() {
            self.waited += since.elapsed();
        }
    }

    fn start(&mut self, left: &[&str], total: usize) {
        self.total = total;
        self.done = total - left.len();
        self.left_weight = left.iter().map(|case| self.weight(case)).sum();
        self.done_weight = 0.0;
        (self.started, self.waited) = (Instant::now(), Duration::ZERO);
    }

    fn finish(&mut self, case: &str) {
        let weight = self.weight(case);
        self.done += 1;
        self.done_weight += weight;
        self.left_weight = (self.left_weight - weight).max(0.0);
    }

    fn weight(&self, case: &str) -> f64 {
        self.weights.get(case).copied().filter(|weight| *weight > 0.0).unwrap_or(1.0)
    }

    /// Scaled from what was measured so far; `None` before the first run and after the last.
    fn left(&self) -> Option<Duration> {
        let unknown = self.done_weight == 0.0 || self.done >= self.total;
        let measuring = self.started.elapsed().saturating_sub(self.waited);
        let seconds = measuring.as_secs_f64() * self.left_weight / self.done_weight;
        if unknown { None } else { Duration::try_from_secs_f64(seconds).ok() }
    }
}

/// One line for each run, with its headline numbers.
struct Lines<'a> {
    err: &'a mut dyn Write,
    progress: Progress,
    /// The last message about loading, so that it isn't repeated.
    loading: String,
}

impl Observer for Lines<'_> {
    fn update(&mut self, update: Update) {
        self.progress.note(&update);
        let line = match update {
            Update::Started { left, total } => {
                self.progress.start(left, total);
                let skipped = total - left.len();
                let already = if skipped > 0 { format!(", {skipped} of them measured already") } else { String::new() };
                format!("{}{already}", counted(total, "run"))
            }
            Update::Waiting { reason } => reason.to_owned(),
            Update::Loading { at, .. } => {
                let line = format!("loading {} for round {}", name(at), at.round);
                if line == self.loading {
                    return;
                }
                self.loading.clone_from(&line);
                line
            }
            Update::Counting { at, cases } => counting(at, cases),
            Update::CaseStarted { .. } | Update::CaseProgress { .. } => return,
            Update::Discarded { at, run, why } => discarded(at, run, why),
            Update::Finished { at, run } => {
                self.progress.finish(&run.case);
                let left = self.progress.left().map(|left| format!("  ({} left)", duration(left)));
                let width = self.progress.total.to_string().len();
                let (done, total) = (self.progress.done, self.progress.total);
                format!("[{done:width$}/{total}] {}{}", summary(at, run), left.unwrap_or_default())
            }
        };
        // Progress must not end a measurement.
        let _ = writeln!(self.err, "{}", escape::line(&line));
    }
}

/// While it is unknown how much there is to do.
const SPINNER: &str = "{spinner} {wide_msg}";

/// A bar over all runs, and below it one for the run at hand.
struct Bars {
    progress: Progress,
    bars: MultiProgress,
    all: ProgressBar,
    current: ProgressBar,
}

impl Bars {
    fn new(weights: Weights) -> Self {
        let bars = MultiProgress::new();
        let all = bars.add(ProgressBar::new(0).with_style(style("{bar:30} {pos}/{len} runs, {elapsed} {msg}")));
        let current = bars.add(ProgressBar::new(0).with_style(style(SPINNER)));
        current.enable_steady_tick(Duration::from_millis(500));
        Self { progress: Progress::new(weights), bars, all, current }
    }

    fn show(&self, style: ProgressStyle, message: &str) {
        self.current.set_style(style);
        self.current.set_message(escape::line(message));
    }
}

impl Observer for Bars {
    fn update(&mut self, update: Update) {
        self.progress.note(&update);
        match update {
            Update::Started { left, total } => {
                self.progress.start(left, total);
                // Others may have measured for hours before.
                self.all.reset_elapsed();
                self.all.set_length(total as u64);
                self.all.set_position(self.progress.done as u64);
            }
            Update::Waiting { reason } => self.show(style(SPINNER), reason),
            Update::Loading { at, done, total } => {
                self.current.set_length(total);
                self.current.set_position(done);
                let bar = if total > 0 { "{bar:30} {bytes}/{total_bytes} {wide_msg}" } else { SPINNER };
                self.show(style(bar), &format!("loading {}", name(at)));
            }
            Update::Counting { at, cases } => self.show(style(SPINNER), &counting(at, cases)),
            Update::CaseStarted { at, case } => {
                self.show(style(SPINNER), &case_name(at, case));
            }
            Update::CaseProgress { done, total } => {
                self.current.set_style(style("{bar:30} {pos}/{len} tokens {wide_msg}"));
                self.current.set_length(total);
                self.current.set_position(done);
            }
            Update::Discarded { at, run, why } => {
                let _ = self.bars.println(escape::line(&discarded(at, run, why)));
            }
            Update::Finished { at, run } => {
                self.progress.finish(&run.case);
                self.all.set_position(self.progress.done as u64);
                self.all.set_message(
                    self.progress.left().map_or_else(String::new, |left| format!("({} left)", duration(left))),
                );
                // The terminal may have gone: measuring goes on.
                let _ = self.bars.println(escape::line(&summary(at, run)));
            }
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.current.finish_and_clear();
        self.all.finish_and_clear();
    }
}

/// What takes its time and is no run.
fn counting(at: At, cases: usize) -> String {
    format!("counting the launches and copies of {} of {}, untimed", counted(cases, "case"), name(at))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates in this file are valid")
}

fn name(at: At) -> String {
    if at.side.is_empty() { at.model.to_owned() } else { format!("{} ({})", at.model, at.side) }
}

fn case_name(at: At, case: &str) -> String {
    let side = if at.side.is_empty() { String::new() } else { format!(" {}", at.side) };
    format!("round {}{side}  {case}", at.round)
}

/// A run that doesn't count, in one line.
fn discarded(at: At, run: &Run, why: &str) -> String {
    format!("{}  measuring again: {why}", case_name(at, &run.case))
}

/// A run in one line.
fn summary(at: At, run: &Run) -> String {
    let what = match &run.outcome {
        Outcome::Failed(failure) => format!("failed: {}", failure.reason),
        Outcome::Ok(measurement) => {
            let shown = |metric: Metric| {
                let measured = measurement.metrics.get(&MetricName::from(metric))?;
                Some(format!("{} {} {}", metric.definition().title, value(*measured), metric.definition().unit))
            };
            let headline =
                [Metric::DecodeThroughput, Metric::Ttft, Metric::OutputThroughput, Metric::TtftP99, Metric::PeakMemory];
            headline.into_iter().filter_map(shown).collect::<Vec<_>>().join(", ")
        }
    };
    format!("{}  {what}", case_name(at, &run.case))
}

/// Roughly: an estimate has no seconds.
fn duration(left: Duration) -> String {
    match left.as_secs() {
        0..10 => "a few seconds".to_owned(),
        seconds @ 10..100 => format!("{} s", seconds / 10 * 10),
        seconds @ 100..5400 => format!("{} min", (seconds + 30) / 60),
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_others_is_not_counted() {
        let mut bars = Bars::new(Weights::new());
        bars.all = bars.all.clone().with_elapsed(Duration::from_secs(1000));
        bars.update(Update::Waiting { reason: "another process is measuring" });
        bars.update(Update::Started { left: &["case"], total: 1 });
        assert!(bars.all.elapsed() < Duration::from_secs(900));
    }

    /// A second of measuring, after which somebody else had the GPU for a hundred.
    #[test]
    fn waiting_between_runs_is_no_part_of_the_estimate() {
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let mut progress = Progress::new(Weights::new());
        progress.start(&["a", "b"], 2);
        progress.started = ago(101);
        progress.note(&Update::Waiting { reason: "GPU 0 is busy" });
        progress.waiting = Some(ago(100));
        progress.note(&Update::Waiting { reason: "still" });
        progress.note(&Update::CaseProgress { done: 1, total: 2 });
        progress.finish("a");
        assert_eq!(progress.left().unwrap().as_secs(), 1);
        progress.start(&["b"], 1);
        assert_eq!((progress.left(), progress.waited), (None, Duration::ZERO), "another block begins anew");
    }

    #[test]
    fn expected_times_divide_the_time_left() {
        let weights = Weights::from([("short".to_owned(), 1.0), ("long".to_owned(), 99.0)]);
        let mut progress = Progress::new(weights);
        progress.start(&["short", "long"], 2);
        progress.started = Instant::now() - Duration::from_secs(1);
        assert_eq!(progress.left(), None);
        progress.finish("short");
        assert_eq!(progress.left().unwrap().as_secs(), 99);
        progress.finish("long");
        assert_eq!(progress.left(), None);
    }
}
