//! Screen and confirm: what looks changed is measured again, base and head interleaved, before anyone is alarmed.
//!
//! A case is measured again as a whole, and then the fresh runs decide all of its rows, memory too: what stands side by
//! side is of the same runs.
//!
//! The fresh runs are looked at several times, so that a clear case is settled early. Every look pays its share of
//! alpha: see docs/statistics.md.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::base_again::BaseAgain;
use super::design::{Design, native};
use super::itself::Itself;
use super::matching::match_sides;
use super::memory_rule;
use super::pair::Pair;
use super::screen;
use super::suspect::Suspect;
use super::test::{Assessment, Test};
use super::verdict::{self, Rule};
use super::{
    Comparison, Conclusion, Finding, Learned, Options, Ranges, Reading, ReasonCode, Row, Side, Tier, Told, Untestable,
    Verdict,
};
use crate::error::Result;
use crate::metric::Kind;
use crate::stats::{self, Prior};

/// Fresh runs per side at which there is a look. All even, because A B B A is two runs per side.
pub const LOOKS: [u32; 5] = [4, 6, 8, 12, 16];

/// Unadjusted p below which a cell's case is measured again.
const SUSPECT_P: f64 = 0.10;

/// All cells of the cases in which one looks changed. Drift isn't assumed here: what it could explain is measured again,
/// too.
pub fn suspects(base: &Side, head: &Side, options: &Options) -> Result<Vec<Suspect>> {
    let tests = screen::tests(base, head, options)?;
    let looks_changed =
        |(pair, assessment): &(Pair, Assessment)| looks_changed(assessment).then(|| pair.case.to_owned());
    let cases: BTreeSet<String> = tests.iter().filter_map(looks_changed).collect();
    Ok(measurable(&tests).filter(|suspect| cases.contains(&suspect.case)).collect())
}

/// All cells that more runs could say more about.
pub(super) fn everything(base: &Side, head: &Side, options: &Options) -> Result<Vec<Suspect>> {
    Ok(measurable(&screen::tests(base, head, options)?).collect())
}

fn measurable(tests: &[(Pair, Assessment)]) -> impl Iterator<Item = Suspect> {
    let can_be = |assessment: &Assessment| matches!(assessment, Assessment::Tested(_) | Assessment::Memory(_));
    tests.iter().filter(move |(_, assessment)| can_be(assessment)).map(|(pair, _)| Suspect::of(pair))
}

fn looks_changed(assessment: &Assessment) -> bool {
    match assessment {
        Assessment::Tested(test) => test.p_without_drift() < SUSPECT_P,
        Assessment::Memory(reading) => *reading != Reading::Unchanged,
        Assessment::Incomparable(_) | Assessment::Untestable(_) => false,
    }
}

/// The timed cells that a comparison calls changed, and those that seem to differ and are so open that the planned looks may
/// settle them. Fresh runs decide about both.
pub fn changed(comparison: &Comparison) -> Vec<Suspect> {
    let is_changed = |row: &Row| matches!(row.verdict(), Verdict::Regressed | Verdict::Improved);
    let is_suspect = |row: &&Row| row.finding.tested().is_some() && (is_changed(row) || is_nearly_settled(row));
    comparison.rows.iter().filter(is_suspect).map(Suspect::of_row).collect()
}

fn is_nearly_settled(row: &Row) -> bool {
    let in_reach = |runs: u32| LOOKS.last().is_some_and(|most| runs <= *most);
    row.verdict() == Verdict::Inconclusive && row.seems_to_differ() && row.runs_needed().is_some_and(in_reach)
}

/// The suspects of a screen, and what fresh runs have said about them so far.
#[derive(Debug)]
pub struct Confirmation {
    pub(super) screen: Comparison,
    /// The timed ones first.
    cells: Vec<Confirmed>,
    /// How many of them are timed: those are tested, and their tests adjusted for each other.
    family: usize,
    options: Options,
    /// Fresh runs per side at each look.
    plan: Vec<u32>,
    looks: usize,
    itself: Itself,
    /// The base's other arm, as of the next look.
    again: Option<Side>,
}

/// A suspect's state.
#[derive(Debug)]
struct Confirmed {
    suspect: Suspect,
    /// As of the last look that could test it.
    row: Option<Row>,
    /// The p-value of that look, corrected for all looks.
    p: f64,
}

impl Confirmed {
    fn is_open(&self) -> bool {
        self.row.as_ref().is_none_or(|row| row.verdict() == Verdict::Inconclusive)
    }

    /// What was called changed is looked at again if its case was measured on for the sake of another cell: more runs may
    /// take it back.
    fn wants_a_look(&self, pair: &Pair) -> bool {
        let known = self.row.as_ref().and_then(|row| row.sides.base).map_or(0, |base| base.n);
        let more = pair.base.iter().map(|values| values.len()).sum::<usize>() > known;
        self.is_open() || more && self.row.as_ref().is_some_and(|row| row.verdict() != Verdict::Unchanged)
    }
}

impl Confirmation {
    /// No fresh run is there yet: every suspect is open.
    pub fn new(screen: Comparison, suspects: Vec<Suspect>, options: &Options) -> Self {
        Self::planned(screen, suspects, &LOOKS, options)
    }

    /// With looks at so many runs per side.
    pub(super) fn planned(screen: Comparison, suspects: Vec<Suspect>, plan: &[u32], options: &Options) -> Self {
        let (timed, memory): (Vec<Suspect>, Vec<_>) = suspects.into_iter().partition(|suspect| !suspect.is_memory());
        let family = timed.len();
        let open = |suspect| Confirmed { suspect, row: None, p: 1.0 };
        let cells = timed.into_iter().chain(memory).map(open).collect();
        // The suspects say what is compared, whatever the selection.
        let options = Options { metrics: vec!["all".to_owned()], ..options.clone() };
        Self { screen, cells, family, options, plan: plan.to_vec(), looks: 0, itself: Itself::default(), again: None }
    }

    /// Fresh runs per side that the next look asks for; `None` when all is settled, or no look is left.
    pub fn wanted(&self) -> Option<u32> {
        let open = self.cells.iter().any(Confirmed::is_open);
        self.plan.get(self.looks).copied().filter(|_| open)
    }

    /// The cases that have an open cell.
    pub fn open_cases(&self) -> BTreeSet<String> {
        self.cells.iter().filter(|cell| cell.is_open()).map(|cell| cell.suspect.case.clone()).collect()
    }

    /// Looks at the fresh runs of the base against those of the same program as a third contender: before the look at base
    /// and head, whose test this is. All cells that are reported count, also those that nobody suspects.
    pub fn look_at_itself(&mut self, base: &Side, again: &Side) {
        self.again = Some(again.clone());
        let design = interleaved(base, again, &self.options);
        let reported: HashSet<Suspect> = self.screen.rows.iter().map(Suspect::of_row).collect();
        for pair in match_sides(base, again, &design, &self.options).pairs {
            let name = Suspect::of(&pair);
            if pair.kind == Kind::Memory || !reported.contains(&name) {
                continue;
            }
            if let Some(test) = test(&pair, &design) {
                let n = pair.head.iter().map(|values| values.len()).sum();
                self.itself.note(name, BaseAgain { n, change: native(test.delta(), pair.better), p: test.p() });
            }
        }
    }

    /// Looks at all fresh runs of the open cells. `base` and `head` hold only those, measured interleaved.
    ///
    /// A plain pooled t-test: suspects were chosen for looking extreme, so the screen's prior isn't used. What is
    /// settled stays as it is, with its p in the family.
    pub fn look(&mut self, base: &Side, head: &Side) -> Result<()> {
        let design = interleaved(base, head, &self.options);
        let mut pairs = match_sides(base, head, &design, &self.options).pairs;
        self.lend_thresholds(&mut pairs);
        let by_name: HashMap<Suspect, &Pair> = pairs.iter().map(|pair| (Suspect::of(pair), pair)).collect();
        self.looks += 1;
        let mut tested = Vec::new();
        let (looks, again) = (self.plan.len(), self.against_the_other_arm(head));
        for (index, cell) in self.cells.iter_mut().enumerate() {
            let Some(pair) = by_name.get(&cell.suspect).filter(|pair| cell.wants_a_look(pair)) else { continue };
            if index >= self.family {
                cell.row = memory(pair, &design).or(cell.row.take());
            } else if let Some(test) = test(pair, &design) {
                let p = again.get(&cell.suspect).map_or(test.p(), |again| larger_p(&test, again));
                cell.p = (p * looks as f64).min(1.0);
                tested.push((index, pair, test, p));
            }
        }
        let p: Vec<f64> = self.cells[..self.family].iter().map(|cell| cell.p).collect();
        let adjusted = stats::holm(&p);
        let mut rule = Rule::confirm(&self.options, self.family, looks);
        for (index, pair, test, p) in tested {
            let mut tested = verdict::tested(pair, &test, p, adjusted[index], &mut rule);
            self.itself.judge(&self.cells[index].suspect, &mut tested);
            self.cells[index].row = Some(verdict::row(pair, &design, |_| Finding::Tested(tested)));
        }
        Ok(())
    }

    /// Fresh sessions show nothing of what sessions differ by: the screen's base does.
    fn lend_thresholds(&self, pairs: &mut [Pair]) {
        let rows = self.screen.rows.iter().filter_map(|row| Some((Suspect::of_row(row), row.cell.learned?)));
        let learned: HashMap<Suspect, Learned> = rows.collect();
        for pair in pairs {
            pair.learned = learned.get(&Suspect::of(pair)).copied();
            pair.adopt();
        }
    }

    /// The head against the base again, where that is measured.
    fn against_the_other_arm(&self, head: &Side) -> HashMap<Suspect, Test> {
        let Some(again) = &self.again else { return HashMap::new() };
        let design = interleaved(again, head, &self.options);
        let pairs = match_sides(again, head, &design, &self.options).pairs;
        pairs.iter().filter_map(|pair| Some((Suspect::of(pair), test(pair, &design)?))).collect()
    }

    /// What was settled early may be doubted for what other cells have shown since.
    fn look_back(&mut self) {
        for Confirmed { suspect, row, .. } in &mut self.cells {
            if let Some(Row { finding: Finding::Tested(tested), .. }) = row {
                self.itself.judge(suspect, tested);
            }
        }
    }

    /// The screen with the suspects' rows replaced by what the fresh runs say. One that couldn't be measured again
    /// stays open.
    pub fn finish(mut self) -> Comparison {
        if self.cells.is_empty() {
            return self.screen;
        }
        self.look_back();
        let cells = self.cells.into_iter().map(|cell| (cell.suspect, cell.row));
        let mut fresh: HashMap<Suspect, Option<Row>> = cells.collect();
        for row in &mut self.screen.rows {
            let Some(decided) = fresh.remove(&Suspect::of_row(row)) else { continue };
            match decided {
                Some(fresh) => *row = fresh,
                None => leave_open(&mut row.finding),
            }
        }
        self.screen.family = self.family;
        self.screen.tier = Tier::Confirmed;
        if !self.screen.rows.iter().any(Row::is_not_measured_again) {
            // Drift between sessions doesn't touch what was measured in one.
            self.screen.warnings.retain(|warning| !screen::is_about_drift(warning));
        }
        self.screen.summarize();
        self.screen
    }
}

/// Without fresh runs, a suspect isn't called changed, whatever the screen found.
fn leave_open(finding: &mut Finding) {
    match finding {
        Finding::Tested(tested) => {
            let screen = std::mem::replace(&mut tested.conclusion, Conclusion::Unchanged);
            tested.conclusion = Conclusion::NotMeasuredAgain(Box::new(screen));
        }
        Finding::Ranges(Ranges { change, reading, .. }) if *reading != Reading::Unchanged => {
            let told = Told {
                code: Some(ReasonCode::NotMeasuredAgain.into()),
                text: "looks changed, and couldn't be measured again".to_owned(),
            };
            *finding = Finding::Untestable { change: *change, why: Untestable::Told(told) };
        }
        Finding::Ranges(_) | Finding::Untestable { .. } | Finding::NotComparable(_) => {}
    }
}

/// What the fresh runs say of memory; `None` where they hold no values, or some that are none.
fn memory(pair: &Pair, design: &Design) -> Option<Row> {
    let clean = pair.zeros == [0, 0];
    let held = [&pair.base, &pair.head].iter().all(|values| values.iter().any(|values| !values.is_empty()));
    let reading = (clean && held).then(|| memory_rule::judge(pair))?;
    Some(verdict::row(pair, design, |change| Finding::Ranges(Ranges { change, reading, confirmed: true })))
}

/// The head has to differ from each arm of the base, in the same direction.
fn larger_p(base: &Test, again: &Test) -> f64 {
    let same_direction = base.delta().get() * again.delta().get() > 0.0;
    if same_direction { base.p().max(again.p()) } else { 1.0 }
}

/// Fresh runs are of one session, also where two files don't say so.
fn interleaved(base: &Side, head: &Side, options: &Options) -> Design {
    match Design::of(base, head, options.same_session) {
        Design::Apart { .. } => Design::OneSession,
        design => design,
    }
}

fn test(pair: &Pair, design: &Design) -> Option<Test> {
    let evidence = design.evidence(pair).filter(|evidence| evidence.difference.spread.df > 0.0)?;
    let moderated = Prior::NONE.moderate(evidence.difference.spread);
    (pair.zeros == [0, 0]).then_some(Test { evidence, moderated, unsteady: false })
}
