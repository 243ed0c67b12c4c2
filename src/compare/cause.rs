//! Why a row is red or green: one word, and the evidence for it. What can't be told is `unexplained`.

use std::collections::{BTreeSet, HashMap};

use super::attributed::{Attributed, section};
use super::counter_row::{ComparedCounters, CounterPhase, CounterRow, CounterVerdict};
use super::mismatch::{self, Ceilings, MachinePart};
use super::moved_parts::{MovedPart, PartKind};
use super::side::{CaseSide, Side};
use super::{Comparison, Conclusion, Difference, Finding, Reading, ReasonCode, Row, Verdict};
use crate::case::DeviceKind;
use crate::metric::{Better, Metric};
use crate::number::{decimal, percent, value};
use crate::stats::{self, Share};
use crate::trace::attribution::{Attribution, Calls, Code, MovedCount, MovedKernel, Section};
use crate::trace::trace_diff::What;
use crate::trace::worth_a_line::{Named, Reading as TraceReading};
use crate::word::words;

/// Of a machine.
const PARTS: [MachinePart; 3] = [MachinePart::Gpu, MachinePart::Cpu, MachinePart::Software];

/// Clocks that differ by less explain nothing.
const LEAST_CLOCK: f64 = 0.005;
/// What differs by less than this share of the change doesn't explain it.
const ENOUGH: f64 = 0.5;

/// A counter that changed by less explains nothing.
const LEAST_COUNT: f64 = 0.005;

/// Where nobody looked.
const NOT_TRACED: &str = "settings are equal, and base and head were not traced";

words! {
    /// What made a row change.
    CauseWord {
        /// Kernels, or what the program asks for beside them, differ.
        Code = "code",
        /// Settings, implementation, clock or versions around the program differ: other work, or measured otherwise.
        Method = "method",
        /// The device could do less: its measured limits, clocks or throttling differ.
        Card = "card",
        /// The same kernels with longer pauses between them.
        Host = "host",
        /// The base shows as much against itself.
        Noise = "noise",
        /// Nothing that was looked at tells.
        Unexplained = "unexplained",
    }
}

/// A word, and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Why.
    pub word: CauseWord,
    /// One sentence. It may hold names of the measured program.
    pub evidence: String,
}

impl Cause {
    /// It says no more than that nobody looked.
    pub fn is_silent(&self) -> bool {
        self.word == CauseWord::Unexplained && self.evidence == NOT_TRACED
    }
}

impl Comparison {
    /// Gives each row that changed its cause, whatever it had before. `first` are base and head of the runs that rows were
    /// found in, `confirmed` those of the rows that were measured again.
    pub fn explain(&mut self, first: [&Side; 2], confirmed: [&Side; 2]) {
        let sides = [first, confirmed].map(|sides| sides.map(|side| (side, side.by_id())));
        let mut rows = std::mem::take(&mut self.rows);
        for row in &mut rows {
            let evidence = |at: usize| Evidence::of(row, self, &sides[at]);
            let of_all = || is_to_be_explained(row).then(|| evidence(usize::from(row.is_confirmed())).cause());
            // Fresh runs that don't count may still tell.
            let throttled = || (0..sides.len()).find_map(|at| evidence(at).only_throttled());
            let cause = row.is_not_measured_again().then(throttled).flatten().or_else(of_all);
            // What only looks changed has a cause where there is one.
            row.cause = cause.filter(|cause| !row.is_unconfirmed() || cause.word != CauseWord::Unexplained);
        }
        self.rows = rows;
    }

    /// The same of two files, as far as they tell: samples of other tools don't say how they were taken.
    pub fn explain_files(&mut self, base: &Side, head: &Side) {
        if !base.is_plain_samples() && !head.is_plain_samples() {
            self.explain([base, head], [base, head]);
        }
    }

    /// Are there rows whose cause somebody wants to know?
    pub fn has_changes(&self) -> bool {
        self.rows.iter().any(|row| is_to_be_explained(row) || row.is_not_measured_again())
    }

    /// A counter of the row's case that changed in what its metric is of.
    pub fn counter_changed(&self, row: &Row) -> Option<&CounterRow> {
        changed_counters(self.counters.as_ref()?, row).next()
    }
}

fn changed_counters<'a>(counters: &'a ComparedCounters, row: &Row) -> impl Iterator<Item = &'a CounterRow> {
    let phase = match section(&row.cell.metric) {
        Section::Decode => CounterPhase::Decode,
        Section::Prefill => CounterPhase::Prefill,
    };
    counters
        .rows
        .iter()
        .filter(move |counter| counter.changed() && counter.case == row.cell.case && counter.phase == phase)
}

fn is_to_be_explained(row: &Row) -> bool {
    let changed = matches!(row.verdict(), Verdict::Regressed | Verdict::Improved);
    changed || is_like_itself(row) || row.is_unconfirmed() || is_of_one_program(row)
}

/// It would be a change if another program had been measured.
fn is_of_one_program(row: &Row) -> bool {
    match &row.finding {
        Finding::Tested(tested) => {
            let interval = tested.interval.is_some_and(|[low, high]| low.get() > 0.0 || high.get() < 0.0);
            let change = tested.change.unwrap_or_default().abs();
            tested.conclusion == Conclusion::SameProgram && interval && change >= row.cell.noise_threshold
        }
        Finding::Ranges(ranges) => ranges.reading == Reading::SameProgram,
        Finding::Untestable { .. } | Finding::NotComparable(_) => false,
    }
}

fn is_like_itself(row: &Row) -> bool {
    row.finding.reason_code().is_some_and(|code| code == ReasonCode::LikeItself)
}

/// A side and its cases by their ids.
type Indexed<'a> = (&'a Side, HashMap<&'a str, &'a CaseSide>);

/// What there is to judge a row by.
struct Evidence<'a> {
    row: &'a Row,
    differences: &'a [Difference],
    attributed: Option<&'a Attributed>,
    attribution: Option<&'a Attribution>,
    counters: Option<&'a ComparedCounters>,
    sides: [&'a Side; 2],
    case: [Option<&'a CaseSide>; 2],
}

impl<'a> Evidence<'a> {
    fn of(row: &'a Row, comparison: &'a Comparison, sides: &[Indexed<'a>; 2]) -> Self {
        let attributed = comparison.attributed.as_ref();
        Self {
            row,
            differences: &comparison.differences,
            attributed,
            counters: comparison.counters.as_ref(),
            attribution: attributed.and_then(|attributed| attributed.of(&row.cell.case, &row.cell.metric)),
            sides: sides.each_ref().map(|(side, _)| *side),
            case: sides.each_ref().map(|(_, cases)| cases.get(row.cell.case.as_str()).copied()),
        }
    }

    /// The first that applies. What is known to differ in the measuring comes before what traces show, which it would show in.
    fn cause(&self) -> Cause {
        let told = |word: CauseWord, evidence: Option<String>| evidence.map(|evidence| Cause { word, evidence });
        told(CauseWord::Noise, self.noise())
            .or_else(|| told(CauseWord::Method, self.method()))
            .or_else(|| self.memory())
            .or_else(|| told(CauseWord::Card, self.card()))
            .or_else(|| told(CauseWord::Code, self.code()))
            .or_else(|| told(CauseWord::Code, self.counted()))
            .or_else(|| told(CauseWord::Host, self.host()))
            .or_else(|| self.around())
            .unwrap_or_else(|| Cause { word: CauseWord::Unexplained, evidence: self.nothing() })
    }

    /// Of what looks changed and couldn't be measured again: throttled runs are no evidence, so nothing is called changed, but
    /// what is to be looked at is known.
    fn only_throttled(&self) -> Option<Cause> {
        self.throttled().map(|evidence| Cause { word: CauseWord::Card, evidence })
    }

    fn noise(&self) -> Option<String> {
        let as_much = self.row.finding.tested().and_then(|tested| tested.base_again);
        if is_of_one_program(self.row) && PARTS.iter().all(|part| self.differing(*part).is_none()) {
            let change = percent(self.row.change().unwrap_or_default().abs());
            return Some(format!("both sides are of one program, so it differs from itself by {change}"));
        }
        is_like_itself(self.row).then(|| match as_much {
            Some(again) => format!("the base differs from itself by {}", percent(again.change.abs())),
            None => "the base differs from itself in other cells by more than chance explains".to_owned(),
        })
    }

    /// What was allowed to differ.
    fn method(&self) -> Option<String> {
        let is_of_case =
            |difference: &&Difference| difference.cases.is_empty() || difference.cases.contains(&self.row.cell.case);
        // Another engine, or another version of it, is what is compared.
        let of_method = |difference: &&Difference| {
            difference.is_of_settings() && difference.field != "engine_program" && is_of_case(difference)
        };
        let differing: Vec<String> = self.differences.iter().filter(of_method).map(Difference::in_words).collect();
        (!differing.is_empty()).then(|| differing.join(", "))
    }

    /// Neither clocks nor other programs change what a program allocates. What its process takes depends on the driver too.
    fn memory(&self) -> Option<Cause> {
        if !matches!(self.row.finding, Finding::Ranges(_)) {
            return None;
        }
        let of_process = self.row.cell.metric.known() == Some(Metric::PeakMemory);
        let told = |word: CauseWord, part: MachinePart| {
            self.differing(part).filter(|_| of_process).map(|evidence| Cause { word, evidence })
        };
        let of_program =
            "with the same settings, memory depends on what the program allocates, and hardly on the machine";
        told(CauseWord::Card, MachinePart::Gpu)
            .or_else(|| told(CauseWord::Method, MachinePart::Software))
            .or_else(|| Some(Cause { word: CauseWord::Code, evidence: of_program.to_owned() }))
    }

    fn card(&self) -> Option<String> {
        // A slower card slows all kernels alike and adds none.
        let of_code =
            self.attribution.is_some_and(|found| found.reading() == TraceReading::Work && !is_of_all_kernels(found));
        match self.device()? {
            _ if of_code => None,
            DeviceKind::Cpu => self.differing(MachinePart::Cpu),
            DeviceKind::Cuda => self
                .differing(MachinePart::Gpu)
                .or_else(|| self.throttled())
                .or_else(|| self.clock())
                .or_else(|| self.limits()),
        }
    }

    /// Of two files, which may come from two machines. What was measured again was so on one.
    fn differing(&self, part: MachinePart) -> Option<String> {
        let is_it = |difference: &&Difference| difference.part_of_machine() == Some(part);
        let found: Vec<String> = self.differences.iter().filter(is_it).map(Difference::in_words).collect();
        (!found.is_empty() && !self.row.is_confirmed()).then(|| found.join(", "))
    }

    /// One side was held back and the other never.
    fn throttled(&self) -> Option<String> {
        let (slow, fast) = self.slow_and_fast()?;
        let runs = &slow.throttle_reasons;
        let is_always = !runs.is_empty() && runs.iter().all(|reasons| !reasons.is_empty());
        let is_never = fast.throttle_reasons.iter().all(BTreeSet::is_empty);
        let reasons: BTreeSet<&str> = runs.iter().flatten().map(String::as_str).collect();
        let reasons = reasons.into_iter().collect::<Vec<_>>().join(", ");
        (is_always && is_never).then(|| format!("only the {} was throttled ({reasons})", self.slow_name()))
    }

    /// The slower side's processors ran slower, by enough to explain at least half of the change.
    fn clock(&self) -> Option<String> {
        let (slow, fast) = self.slow_and_fast()?;
        let range = |side: &CaseSide| {
            let clocks = side.sm_clocks.iter().copied();
            clocks.clone().reduce(f64::min).zip(clocks.reduce(f64::max)).zip(stats::mean(&side.sm_clocks))
        };
        let (((_, slow_most), slow_mean), ((fast_least, _), fast_mean)) = range(slow).zip(range(fast))?;
        let differs = 1.0 - slow_mean / fast_mean;
        let enough = differs >= LEAST_CLOCK && differs >= ENOUGH * self.row.change().unwrap_or_default().get().abs();
        let [base, head] = if self.head_is_slower() { [fast_mean, slow_mean] } else { [slow_mean, fast_mean] };
        let said = format!("the processors' clock was {} MHz in the base, {} in the head", value(base), value(head));
        (slow_most < fast_least && enough).then_some(said)
    }

    /// Those of the slower side that are lower.
    fn limits(&self) -> Option<String> {
        let Ceilings::Differ(limits) = mismatch::ceilings(self.sides[0], self.sides[1]) else { return None };
        let lower = limits.into_iter().filter(|limit| limit.head_is_lower == self.head_is_slower());
        let sentences: Vec<String> = lower.map(|limit| limit.sentence).collect();
        (!sentences.is_empty()).then(|| sentences.join("; "))
    }

    /// Without traces, counters tell that the program asks for something else; they are exact. Who asks for less isn't slower
    /// by that.
    fn counted(&self) -> Option<String> {
        let counters = self.counters.filter(|_| self.attribution.is_none())?;
        let verdict = if self.head_is_slower() { CounterVerdict::More } else { CounterVerdict::Fewer };
        let enough = |counter: &&CounterRow| counter.change.is_none_or(|change| change.abs() >= LEAST_COUNT);
        let row = changed_counters(counters, self.row).filter(enough).find(|counter| counter.verdict == verdict)?;
        let [base, head] = [row.base, row.head].map(|range| value(range.most));
        let (counter, phase) = (row.counter.as_str().replace('_', " "), row.phase.as_str());
        Some(format!("{counter} of {phase}: {base} in the base, {head} in the head"))
    }

    fn code(&self) -> Option<String> {
        let found = self.attribution.filter(|found| found.reading() == TraceReading::Work)?;
        found.named().iter().find_map(|named| match named {
            Named::Kernel(kernel) => Some(self.with_its_part(kernel, found)),
            Named::Count(count) => Some(count_in_words(count)),
            Named::Pauses => None,
        })
    }

    /// Of a kernel that does the whole step, what in it moved most.
    fn with_its_part(&self, kernel: &MovedKernel, found: &Attribution) -> String {
        let said = kernel_in_words(kernel);
        let parts = self.attributed.and_then(|attributed| attributed.inside(found));
        let most = parts.and_then(|parts| parts.changed().first().copied());
        match most.filter(|_| matches!(kernel.what, What::Slower | What::Faster) && found.is_whole(kernel)) {
            Some(part) => format!("{said}: {}", part_in_words(part)),
            None => said,
        }
    }

    fn host(&self) -> Option<String> {
        let found = self.attribution.filter(|found| found.reading() == TraceReading::Host)?;
        let [base, head] = [found.base_pauses_us.mean, found.head_pauses_us.mean].map(value);
        Some(format!("the same kernels, and no kernel running for {base} µs in the base, {head} in the head"))
    }

    /// Around the measured program. Unlike settings and limits, that it differs doesn't show that it matters.
    fn around(&self) -> Option<Cause> {
        let [host, versions] = [MachinePart::Cpu, MachinePart::Software].map(|part| self.differing(part));
        let word = if host.is_some() { CauseWord::Host } else { CauseWord::Method };
        let differing: Vec<String> = host.into_iter().chain(versions).collect();
        let evidence = format!("{}; else only the program differs, as far as is known", differing.join(", "));
        (!differing.is_empty()).then_some(Cause { word, evidence })
    }

    fn nothing(&self) -> String {
        let not_traced = self.attributed.and_then(|attributed| attributed.why_not(&self.row.cell.case));
        match (self.attribution, not_traced, self.device()) {
            (Some(_), ..) => {
                "traced, the same kernels are called as often and take as long: clocks, memory, or what no trace \
                              shows"
                    .to_owned()
            }
            (None, Some(why), _) => format!("not traced: {why}"),
            (None, None, Some(DeviceKind::Cpu)) => {
                "settings are equal, and on a CPU there is no trace: kernels need an NVIDIA GPU".to_owned()
            }
            (None, None, _) => NOT_TRACED.to_owned(),
        }
    }

    fn device(&self) -> Option<DeviceKind> {
        self.case[1]?.case.as_ref()?.device.known()
    }

    fn head_is_slower(&self) -> bool {
        let grew = self.row.change().unwrap_or_default().get() > 0.0;
        grew == (self.row.cell.better == Better::Lower)
    }

    fn slow_and_fast(&self) -> Option<(&CaseSide, &CaseSide)> {
        let [base, head] = self.case;
        let (base, head) = base.zip(head)?;
        Some(if self.head_is_slower() { (head, base) } else { (base, head) })
    }

    fn slow_name(&self) -> &'static str {
        if self.head_is_slower() { "head" } else { "base" }
    }
}

/// Every kernel is called as often, and most of the time is in kernels that changed in the same direction.
fn is_of_all_kernels(found: &Attribution) -> bool {
    found.kernels.iter().all(|kernel| kernel.more_calls() == 0.0) && found.moved_share >= ENOUGH
}

fn kernel_in_words(kernel: &MovedKernel) -> String {
    let name = &kernel.name;
    match kernel.what {
        What::Gone => format!("the kernel {name} is gone"),
        What::New => format!("the kernel {name} is new"),
        What::MoreCalls => format!("the kernel {name} is called more often"),
        What::FewerCalls => format!("the kernel {name} is called less often"),
        What::Slower | What::Faster | What::AsBefore => {
            let us = |calls: &Option<Calls>| calls.map_or(0.0, |calls| calls.us_a_call.mean);
            let change = Share::new(us(&kernel.head) / us(&kernel.base) - 1.0);
            let longer = if change.get() < 0.0 { "less long" } else { "longer" };
            let otherwise = if kernel.reshaped.is_some() { "has another grid or block and " } else { "" };
            let code = match kernel.code {
                // Other data, neighbours or contents of caches: what the kernel works on.
                Some(Code::Same) => ", with the same machine code",
                Some(Code::Other { .. }) => ", with other machine code",
                None => "",
            };
            format!("the kernel {name} {otherwise}takes {} {longer} a call{code}", percent(change.abs()))
        }
    }
}

fn part_in_words(part: &MovedPart) -> String {
    let of_product = match part.is {
        PartKind::Work => "",
        PartKind::Waiting => "waiting for the input of ",
    };
    let longer = if part.change_us() < 0.0 { "less long" } else { "longer" };
    format!("{of_product}{} takes {} µs {longer} a token", part.product, decimal(part.change_us().abs(), 1))
}

fn count_in_words(count: &MovedCount) -> String {
    let [base, head] = [count.base, count.head].map(|amount| value(amount.calls.mean));
    format!("{}: {base} in the base, {head} in the head", count.in_words())
}
