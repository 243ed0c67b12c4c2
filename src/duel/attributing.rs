//! What changed for certain is traced, base and head in turn: what of it moved?
//!
//! A traced run is never a timed run: this comes after the verdict, and changes nothing of it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::budget::Budget;
use super::code_of_sides::CodeOfSides;
use crate::case::{Case, DeviceKind};
use crate::compare::{Attributed, Comparison, LeftOut, MovedParts, Row, Verdict, section};
use crate::config::SuiteModel;
use crate::engine::ModelSpec;
use crate::error::Advice;
use crate::measure::traced::{self, MOST_CASES, Phase, Traced, TracedCases, TracedGenerations};
use crate::measure::{At, Halt, Observer, Request, Stop, Update, Worker};
use crate::results::{Results, StepParts};
use crate::trace::attribution::{Attribution, Section};
use crate::trace::{Part, Trace};

/// Of each side: what the traces of one side differ by is noise.
const TRACES: usize = 3;
/// Fewer tell nothing of that.
const FEWEST: usize = 2;
/// In each of them: what a program does every 32 or 64 tokens is in it, and all cases of a process have their phases.
pub const GENERATIONS: TracedGenerations = TracedGenerations { tokens: 65, repeats: 2 };

/// Two programs that were measured in turn.
pub struct Attributing<'a> {
    /// The suite, and where the locks are.
    pub request: &'a Request<'a>,
    /// What the head was measured against.
    pub base: &'a Worker,
    /// What was judged.
    pub head: &'a Worker,
    /// What was measured: it knows the revisions of weights.
    pub known: &'a Results,
    /// Who is told of progress.
    pub observer: &'a mut dyn Observer,
    /// Ends it early.
    pub stop: &'a Stop,
}

impl Attributing<'_> {
    /// The cases that changed, the worst first, as far as the time goes. `None` where none was to be traced: nothing changed, or
    /// not on a GPU. Whatever goes wrong here is said, and nothing fails.
    pub fn within(mut self, time: Duration, comparison: &Comparison) -> Result<Option<Attributed>, Halt> {
        let wanted = if time.is_zero() { Vec::new() } else { wanted(comparison) };
        let mut groups: Vec<(ModelSpec, Vec<Case>)> = Vec::new();
        for (case, _) in &wanted {
            let models = &self.request.suite.models;
            let Some((model, case)) = models.iter().find_map(|model| traceable(model, case)) else { continue };
            match groups.iter_mut().find(|(spec, cases)| *spec == model.spec && cases.len() < MOST_CASES) {
                Some((_, cases)) => cases.push(case.clone()),
                None => groups.push((model.spec.clone(), vec![case.clone()])),
            }
        }
        let (mut found, mut budget, mut code) = (Attributed::default(), Budget::new(time), CodeOfSides::default());
        for (spec, cases) in &groups {
            let [base, head] = self.in_turn(spec, cases, &mut budget)?;
            for (place, case) in cases.iter().enumerate() {
                let sections = &wanted.iter().find(|(id, _)| *id == case.id).expect("it was wanted").1;
                match of_case(place, case, sections, [&base, &head]) {
                    Ok(mut sections) => {
                        code.add_to(&mut sections, [self.base, self.head], spec, case);
                        if sections.iter().any(|found| found.section == Section::Decode) {
                            found.parts.extend(inside(place, case, [&base, &head], comparison.alpha));
                        }
                        found.sections.extend(sections);
                    }
                    Err(why) => found.left_out.push(LeftOut { case: case.id.clone(), why }),
                }
            }
        }
        Ok((!groups.is_empty()).then_some(found))
    }

    /// A B, B A, A B: as with the timed runs, a slow drift falls on both.
    fn in_turn(&mut self, spec: &ModelSpec, cases: &[Case], budget: &mut Budget) -> Result<[Seen; 2], Halt> {
        let mut seen = [Seen::default(), Seen::default()];
        for turn in 0..TRACES {
            if !budget.allows_another_block() {
                let why = format!("the {} for traces were spent", budget.in_words());
                seen.iter_mut().for_each(|seen| seen.why = seen.why.take().or_else(|| Some(why.clone())));
                break;
            }
            let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
            budget.spend(|| {
                order.into_iter().try_for_each(|side| {
                    let traced = self.traced(side, spec, cases)?;
                    seen[side].add(traced, ["the base", "the head"][side]);
                    Ok::<(), Halt>(())
                })
            })?;
            // What failed once fails again.
            if seen.iter().any(|seen| seen.whole == 0) {
                break;
            }
        }
        Ok(seen)
    }

    fn traced(&mut self, side: usize, spec: &ModelSpec, cases: &[Case]) -> Result<TracedCases, Halt> {
        let worker = [self.base, self.head][side];
        let at = At { side: ["base", "head"][side], model: &spec.model, round: 0 };
        self.observer.update(Update::Counting { at, cases: cases.len() });
        let revision =
            self.known.cases.iter().find(|case| case.id == cases[0].id).and_then(|case| case.revision.clone());
        let spec = &ModelSpec { revision: revision.or_else(|| spec.revision.clone()), ..spec.clone() };
        let traced = Traced { suite: self.request.suite, worker, spec, cases, generations: GENERATIONS };
        match traced::run_alone(traced, self.request, self.observer, self.stop) {
            Err(Halt::Failed(error)) => Ok(TracedCases::none(error.in_one_line())),
            ended => ended,
        }
    }
}

/// The traces of a side.
#[derive(Default)]
struct Seen {
    traces: Vec<Trace>,
    /// Beside each: what a decode step of its cases is made of, where the engine stamps that.
    parts: Vec<Vec<Option<StepParts>>>,
    /// The first so many cases are whole in all of them.
    whole: usize,
    /// Why there is no more.
    why: Option<String>,
}

impl Seen {
    fn add(&mut self, traced: TracedCases, side: &str) {
        let traced = traced.whole_or_none();
        self.whole = if self.traces.is_empty() { traced.whole } else { self.whole.min(traced.whole) };
        self.traces.push(traced.saved.trace());
        self.parts.push(traced.parts);
        self.why = self.why.take().or_else(|| traced.why.map(|why| format!("{side}: {why}")));
    }
}

/// The cases that changed for certain, with the sections in which they did: slower ones first, and the largest change.
fn wanted(comparison: &Comparison) -> Vec<(&str, BTreeSet<Section>)> {
    let is_changed = |row: &&Row| matches!(row.verdict(), Verdict::Regressed | Verdict::Improved);
    let mut rows: Vec<&Row> = comparison.rows.iter().filter(is_changed).collect();
    let size = |row: &Row| row.change().unwrap_or_default().get().abs();
    rows.sort_by(|a, b| b.verdict().cmp(&a.verdict()).then(size(b).total_cmp(&size(a))));
    let mut wanted: Vec<(&str, BTreeSet<Section>)> = Vec::new();
    for row in rows {
        let section = section(&row.cell.metric);
        match wanted.iter_mut().find(|(case, _)| *case == row.cell.case) {
            Some((_, sections)) => drop(sections.insert(section)),
            None => wanted.push((&row.cell.case, [section].into())),
        }
    }
    wanted
}

/// Only what runs on a GPU has kernels. A server may have been there before, and who follows a seed protocol measures as that
/// program does.
fn traceable<'a>(model: &'a SuiteModel, id: &str) -> Option<(&'a SuiteModel, &'a Case)> {
    let ModelSpec { device, server, seed_protocol, .. } = &model.spec;
    let case = model.cases.iter().find(|case| case.id == id)?;
    let can_be = *device == DeviceKind::Cuda && server.is_none() && seed_protocol.is_none();
    can_be.then_some((model, case))
}

/// What moved in the sections of a case, or why nobody knows.
fn of_case(
    place: usize,
    case: &Case,
    sections: &BTreeSet<Section>,
    sides: [&Seen; 2],
) -> Result<Vec<Attribution>, String> {
    let short = |seen: &&Seen| seen.whole <= place || seen.traces.len() < FEWEST;
    if let Some(why) = sides.iter().filter(|seen| short(seen)).find_map(|seen| seen.why.clone()) {
        return Err(why);
    }
    let attributed = |section: &Section| {
        let [base, head] = sides.map(|seen| parts(&seen.traces, place, *section));
        Attribution::of(&case.id, *section, &base, &head, times(case, *section))
    };
    let found: Vec<Attribution> = sections.iter().filter_map(attributed).collect();
    if found.is_empty() { Err("no kernel ran in it".to_owned()) } else { Ok(found) }
}

/// What moved inside a decode step, where all runs of both sides say what it is made of.
fn inside(place: usize, case: &Case, sides: [&Seen; 2], alpha: f64) -> Option<MovedParts> {
    let of_case = |seen: &Seen| seen.parts.iter().map(|cases| cases.get(place)?.clone()).collect::<Option<Vec<_>>>();
    let (base, head) = (of_case(sides[0])?, of_case(sides[1])?);
    MovedParts::of(&case.id, [&base, &head], alpha)
}

/// How many tokens, or prefills, a trace holds of a case.
pub fn times(case: &Case, section: Section) -> f64 {
    let once = match section {
        Section::Prefill => 1,
        Section::Decode => GENERATIONS.tokens_of(case).saturating_sub(1).max(1),
    };
    f64::from(once * GENERATIONS.repeats)
}

/// What a generation of one token does is the prefill, and what one of several does more is decoding.
fn parts(traces: &[Trace], place: usize, section: Section) -> Vec<Part> {
    traces.iter().map(|trace| part(trace, place, section)).collect()
}

/// Of the case at that place of the job.
pub fn part(trace: &Trace, place: usize, section: Section) -> Part {
    let all = |phase: Phase| {
        let names = (1..=GENERATIONS.repeats).map(|repeat| phase.name(place, repeat));
        let parts = names.filter_map(|name| trace.part(Some(&name)));
        parts.fold(Part::default(), |sum, part| sum.and(&part))
    };
    match section {
        Section::Prefill => all(Phase::OneToken),
        Section::Decode => all(Phase::AllTokens).without(&all(Phase::OneToken)),
    }
}
