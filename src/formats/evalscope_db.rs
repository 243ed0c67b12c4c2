//! `benchmark_data.db` of `evalscope perf`, versions 0.7 to 1.14: a table with a row for each request.
//!
//! Requests that were sent one after the other are samples. Those that were in flight together wait for each other, so that
//! only their averages count.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::cells::{Cells, Measure};
use super::foreign_file::ForeignFile;
use super::sqlite::{Database, MAGIC};
use super::{Format, Repeats};
use crate::error::{Error, Result};
use crate::metric::Metric;

pub(super) const FORMAT: Format = Format {
    name: "evalscope-db",
    tool: "evalscope perf",
    repeats: Repeats::WithinProgram,
    looks: |look| look.head.starts_with(MAGIC),
    read,
};

/// As EvalScope calls it, in a folder of its own for each load.
pub(super) const FILE_NAME: &str = "benchmark_data.db";

const TABLE: &str = "result";
/// What every version writes, ...
const COLUMNS: [&str; 9] = [
    "request",
    "start_time",
    "success",
    "completed_time",
    "latency",
    "first_chunk_latency",
    "prompt_tokens",
    "completion_tokens",
    "max_gpu_memory_cost",
];
/// ... and what only newer ones do: older ones note the whole latency as the first token's if nothing streamed.
const IS_STREAM: &str = "is_stream";

/// A request that was answered. Times are in seconds.
struct Answer {
    prompt_tokens: f64,
    tokens: f64,
    latency: f64,
    /// Until the first token, where tokens streamed.
    first: Option<f64>,
    /// In GiB, where it is known.
    memory: Option<f64>,
}

/// What the rows say together.
#[derive(Default)]
struct Run {
    answers: Vec<Answer>,
    failed: usize,
    /// Answered, but without a number of tokens or a time.
    uncounted: usize,
    /// When requests began and ended.
    spans: Vec<(f64, f64)>,
    requests: HashSet<u64>,
    asks_twice: bool,
    hasher: RandomState,
}

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    let mut run = Run::of(file)?;
    run.answers.sort_by(|a, b| a.prompt_tokens.total_cmp(&b.prompt_tokens));
    let together = run.were_in_flight_together();
    run.warn(file, together, cells);
    if run.answers.is_empty() && run.failed > 0 {
        return Err(file.error("no request was completed"));
    }
    for answers in run.answers.chunk_by(|a, b| a.prompt_tokens == b.prompt_tokens) {
        add(answers, together, cells);
    }
    Ok(())
}

/// The answers to prompts of one length.
fn add(answers: &[Answer], together: bool, cells: &mut Cells) {
    let case = format!("context {}", answers[0].prompt_tokens);
    for (measure, value) in measures() {
        let values: Vec<f64> = answers.iter().filter_map(value).collect();
        if together {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            cells.average(&case, measure, (!values.is_empty()).then_some(mean));
        } else {
            cells.samples(&case, measure, values.into_iter().map(Some));
        }
    }
}

type Value = fn(&Answer) -> Option<f64>;

fn measures() -> [(Measure<'static>, Value); 4] {
    [
        (Measure::of(Metric::Speed, "tok/s"), |it| Some(it.tokens / it.latency)),
        (Measure::of(Metric::Ttft, "ms"), |it| Some(it.first? * 1e3)),
        (Measure::of(Metric::Tpot, "ms"), Answer::tpot),
        (Measure::of(Metric::AllocatedMemory, "GiB"), |it| it.memory),
    ]
}

impl Answer {
    /// `None` without numbers that every answer has.
    fn of(row: &Row) -> Option<Self> {
        let number = |name| number(row, name).filter(|number| *number > 0.0 && number.is_finite());
        let latency = number("latency")?;
        let first = number("first_chunk_latency").filter(|first| *first < latency);
        let streamed = self::number(row, IS_STREAM) != Some(0.0);
        Some(Self {
            prompt_tokens: number("prompt_tokens")?,
            tokens: number("completion_tokens")?,
            latency,
            first: first.filter(|_| streamed),
            // Zero where it wasn't measured, as of a server elsewhere.
            memory: number("max_gpu_memory_cost"),
        })
    }

    /// In milliseconds.
    fn tpot(&self) -> Option<f64> {
        let rest = self.latency - self.first?;
        (self.tokens > 1.0).then(|| rest * 1e3 / (self.tokens - 1.0))
    }
}

impl Run {
    fn of(file: &ForeignFile) -> Result<Self> {
        let database = Database::open(file)?;
        let there = database.columns(TABLE)?;
        let is_there = |name: &str| there.iter().any(|column| column == name);
        if !COLUMNS.iter().all(|name| is_there(name)) {
            let problem = format!("{} is a database, but not one of {}", file.name, file.tool);
            return Err(Error::usage(problem).hint(format!("name the `{FILE_NAME}` that it wrote")));
        }
        let newer = is_there(IS_STREAM).then_some(IS_STREAM);
        let columns: Vec<&str> = COLUMNS.into_iter().chain(newer).collect();
        let mut run = Self::default();
        database.for_each(TABLE, &columns, |row| run.add(row))?;
        Ok(run)
    }

    fn add(&mut self, row: &Row) {
        if let (Some(start), Some(end)) = (number(row, "start_time"), number(row, "completed_time")) {
            self.spans.push((start, end));
        }
        if number(row, "success") != Some(1.0) {
            self.failed += 1;
            return;
        }
        if let Ok(ValueRef::Text(request) | ValueRef::Blob(request)) = row.get_ref("request") {
            self.asks_twice |= !self.requests.insert(self.hasher.hash_one(request));
        }
        match Answer::of(row) {
            Some(answer) => self.answers.push(answer),
            None => self.uncounted += 1,
        }
    }

    fn were_in_flight_together(&mut self) -> bool {
        // A request that failed has no end.
        self.spans.retain(|(start, end)| start < end);
        self.spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.spans.windows(2).any(|pair| pair[1].0 < pair[0].1)
    }

    fn warn(&self, file: &ForeignFile, together: bool, cells: &mut Cells) {
        let (name, tool) = (file.name, file.tool);
        let all = self.failed + self.uncounted + self.answers.len();
        if self.failed > 0 {
            cells.warn(format!("{name}: {} of {all} requests failed: the log of {tool} says why", self.failed));
        }
        if self.uncounted > 0 {
            let count = self.uncounted;
            cells.warn(format!(
                "{name}: {count} of {all} answers have no number of tokens or no time, and are left out"
            ));
        }
        if self.asks_twice {
            cells
                .warn(format!("{name}: a prompt was sent more than once: a server with a prefix cache is faster then"));
        }
        if together {
            cells.warn(format!(
                "{name}: requests were in flight together and waited for each other: averages are shown"
            ));
        }
    }
}

/// `None` for whatever is no number.
fn number(row: &Row, column: &str) -> Option<f64> {
    match row.get_ref(column).ok()? {
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        _ => None,
    }
}
