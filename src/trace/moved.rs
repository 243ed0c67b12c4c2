//! A kernel, or a count, of several traces a side: what became of it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::trace_diff::{Reshaped, Row, What};
use super::trace_table::{Beside, BesideRow, beside};
use super::{Part, Shape};

/// Characters of a kernel's name that a report keeps.
const NAME: usize = 300;

/// A number as the traces of a side have it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// Of all traces.
    pub mean: f64,
    /// The least of any.
    pub min: f64,
    /// The most of any.
    pub max: f64,
}

impl Spread {
    /// Of none it is 0.
    pub fn of(values: &[f64]) -> Self {
        let of = |fold: fn(f64, f64) -> f64| values.iter().copied().reduce(fold).unwrap_or_default();
        let sum: f64 = values.iter().sum();
        Self { mean: sum / values.len().max(1) as f64, min: of(f64::min), max: of(f64::max) }
    }

    /// No trace of one side lies among those of the other.
    pub fn is_apart(&self, other: &Self) -> bool {
        self.max < other.min || other.max < self.min
    }
}

/// What a side has of a kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calls {
    /// How often it is called.
    pub calls: Spread,
    /// What one call takes, in microseconds.
    pub us_a_call: Spread,
    /// What all of them take, in microseconds.
    pub us: Spread,
}

/// A kernel with one grid and block. All numbers but those of a call are of a token, or a prefill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MovedKernel {
    /// What became of it.
    pub what: What,
    /// As a person reads it.
    pub name: String,
    /// Its name in the head, where that seems to be the same kernel under another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed: Option<String>,
    /// How the head launches it, where that is all that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reshaped: Option<Reshaped>,
    /// Blocks in each direction.
    pub grid: [u32; 3],
    /// Threads of a block in each direction.
    pub block: [u32; 3],
    /// Absent where the base has no such kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Calls>,
    /// Absent where the head has no such kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Calls>,
    /// In microseconds.
    pub change_us: f64,
    /// The sides differ by more than the traces of one side do.
    pub apart: bool,
    /// Whether its code is the same, as far as the programs' files tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// The code of a kernel that both sides have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Code {
    /// Whatever changed its time, it wasn't this.
    Same,
    /// Other instructions; what a thread takes isn't known of PTX.
    Other {
        /// In the base and in the head.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        registers: Option<[u32; 2]>,
        /// What registers don't hold, in bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        local_bytes: Option<[u32; 2]>,
    },
}

/// What a side has of something else, a token or a prefill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Amount {
    /// How often.
    pub calls: Spread,
    /// How many bytes, where these are copied, set or allocated.
    pub bytes: Spread,
    /// How long in microseconds, of copies and memory sets.
    pub us: Spread,
}

/// Copies of a kind, say, where their number or bytes differ between the sides by more than between the traces of one side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MovedCount {
    /// What was done.
    pub of: Beside,
    /// Of which kind, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// In the base.
    pub base: Amount,
    /// In the head.
    pub head: Amount,
}

impl MovedKernel {
    /// Of a row of all traces together; `times` is how many tokens or prefills one trace has.
    pub(super) fn of(row: &Row, [base, head]: [&[Part]; 2], times: f64) -> Self {
        let name = |name: &str| name.chars().take(NAME).collect::<String>();
        let in_base = Shape { name: row.name.clone(), grid: row.grid, block: row.block };
        let base = row.base.map(|_| Calls::of(&in_base, base, times));
        let Reshaped { grid, block } = row.reshaped.unwrap_or(Reshaped { grid: row.grid, block: row.block });
        let in_head = Shape { name: row.renamed.clone().unwrap_or(in_base.name), grid, block };
        let head = row.head.map(|_| Calls::of(&in_head, head, times));
        let us = |calls: &Option<Calls>| calls.map_or(0.0, |calls| calls.us.mean);
        let slower = base.zip(head).and_then(|(base, head)| slower_a_call(&base, &head));
        Self {
            // Of one trace, a few percent are nothing; several show how much.
            what: match (row.what, slower) {
                (What::AsBefore, Some(true)) => What::Slower,
                (What::AsBefore, Some(false)) => What::Faster,
                (what, _) => what,
            },
            name: name(&row.name),
            renamed: row.renamed.as_deref().map(name),
            reshaped: row.reshaped,
            grid: row.grid,
            block: row.block,
            change_us: us(&head) - us(&base),
            apart: is_apart(base.as_ref(), head.as_ref()),
            base,
            head,
            code: None,
        }
    }

    /// It goes by another name in the head, or with another grid or block.
    pub fn is_pair(&self) -> bool {
        self.renamed.is_some() || self.reshaped.is_some()
    }

    /// Whether a call takes longer in the head; `None` where the traces don't tell, or a side has none.
    pub fn slower_a_call(&self) -> Option<bool> {
        let (base, head) = self.base.zip(self.head)?;
        slower_a_call(&base, &head)
    }

    /// How much more often it is called in the head.
    pub fn more_calls(&self) -> f64 {
        let calls = |calls: &Option<Calls>| calls.map_or(Spread::default(), |calls| calls.calls);
        let (base, head) = (calls(&self.base), calls(&self.head));
        if base.is_apart(&head) { head.mean - base.mean } else { 0.0 }
    }
}

fn slower_a_call(base: &Calls, head: &Calls) -> Option<bool> {
    base.us_a_call.is_apart(&head.us_a_call).then_some(head.us_a_call.mean > base.us_a_call.mean)
}

fn is_apart(base: Option<&Calls>, head: Option<&Calls>) -> bool {
    match (base, head) {
        (Some(base), Some(head)) => base.calls.is_apart(&head.calls) || base.us_a_call.is_apart(&head.us_a_call),
        (Some(only), None) | (None, Some(only)) => only.calls.min > 0.0,
        (None, None) => false,
    }
}

impl Calls {
    fn of(shape: &Shape, traces: &[Part], times: f64) -> Self {
        let sums = || traces.iter().map(|part| part.kernels.get(shape).map(|kernel| &kernel.sum));
        let calls: Vec<f64> = sums().map(|sum| sum.map_or(0.0, |sum| sum.calls as f64 / times)).collect();
        let us: Vec<f64> = sums().map(|sum| sum.map_or(0.0, |sum| sum.total_ns as f64 / 1e3 / times)).collect();
        let us_a_call: Vec<f64> = sums().flatten().map(super::Sum::mean_us).collect();
        Self { calls: Spread::of(&calls), us_a_call: Spread::of(&us_a_call), us: Spread::of(&us) }
    }
}

/// By kind.
type Amounts = BTreeMap<(Beside, Option<String>), BesideRow>;

/// What is done more or less often, or with other bytes.
pub(super) fn counts(sides: [&[Part]; 2], times: f64) -> Vec<MovedCount> {
    let by_kind =
        |part: &Part| -> Amounts { beside(part).into_iter().map(|row| ((row.what, row.kind.clone()), row)).collect() };
    let [base, head] = sides.map(|parts| parts.iter().map(by_kind).collect::<Vec<_>>());
    let kinds: BTreeSet<_> = base.iter().chain(&head).flat_map(Amounts::keys).collect();
    let moved = |key: &(Beside, Option<String>)| {
        let [base, head] = [&base, &head].map(|traces| {
            let rows: Vec<Option<&BesideRow>> = traces.iter().map(|rows| rows.get(key)).collect();
            Amount::of(&rows, times)
        });
        let apart = base.calls.is_apart(&head.calls) || base.bytes.is_apart(&head.bytes);
        apart.then(|| MovedCount { of: key.0, kind: key.1.clone(), base, head })
    };
    kinds.into_iter().filter_map(moved).collect()
}

impl Amount {
    /// One for each trace, absent where it did no such thing.
    fn of(rows: &[Option<&BesideRow>], times: f64) -> Self {
        let spread = |get: fn(&BesideRow) -> f64| {
            let values: Vec<f64> = rows.iter().map(|row| row.map_or(0.0, get) / times).collect();
            Spread::of(&values)
        };
        Self {
            calls: spread(|row| row.calls as f64),
            bytes: spread(|row| row.bytes as f64),
            us: spread(|row| row.total_ms.unwrap_or_default() * 1e3),
        }
    }
}

impl MovedCount {
    /// `copies device to host`, say.
    pub fn in_words(&self) -> String {
        let kind = self.kind.as_deref().unwrap_or_default();
        match self.of {
            Beside::Copy => format!("copies {kind}"),
            Beside::Set => "memory sets".to_owned(),
            Beside::Synchronization => format!("synchronisations {kind}"),
            Beside::Allocation => format!("allocations of {kind}"),
            Beside::Release => format!("releases of {kind}"),
            Beside::GraphLaunch => "launches of graphs".to_owned(),
        }
    }

    /// How much more often in the head.
    pub fn more_calls(&self) -> f64 {
        if self.base.calls.is_apart(&self.head.calls) { self.head.calls.mean - self.base.calls.mean } else { 0.0 }
    }

    /// On the device, in microseconds: of copies and memory sets. What a synchronisation takes is the host's time.
    pub fn change_us(&self) -> f64 {
        match self.of {
            Beside::Copy | Beside::Set => self.head.us.mean - self.base.us.mean,
            Beside::Synchronization | Beside::Allocation | Beside::Release | Beside::GraphLaunch => 0.0,
        }
    }
}
