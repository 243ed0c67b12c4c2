//! One look at the data of both sides.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::design::{Basis, Design, native};
use super::learned;
use super::matching::{Matched, match_sides};
use super::mismatch::Ceilings;
use super::pair::Pair;
use super::test::{Assessment, Test, assess};
use super::verdict::Rule;
use super::{
    Comparison, Counts, Difference, Finding, Mismatch, Options, Ranges, Row, Side, Tier, Verdict, compared_counters,
    mismatch, model_of_case, verdict,
};
use crate::error::{Error, Result};
use crate::metric::{self, Better};
use crate::number::percent;
use crate::plural::counted;
use crate::results::Occasions;
use crate::results::occasions::HISTORY;
use crate::stats::{self, LogRatio, Share};
use crate::suggest;
use crate::thresholds::ALL;

/// A metric's median shift is worth a warning from this share on, ...
const SHIFT: Share = Share::new(0.01);
/// ... in this many cases or more.
const SHIFT_CASES: usize = 4;

/// Compares base and head. Fails on units that don't fit, or metrics that neither side holds.
pub fn compare(base: &Side, head: &Side, options: &Options) -> Result<Comparison> {
    check_selection(base, head, options)?;
    check_sessions(base, head, options)?;
    let design = Design::of(base, head, options.same_session);
    let mut differences = mismatch::differences(base, head);
    let Matched { pairs, notes, allowed, .. } = match_sides(base, head, &design, options);
    let assessed = assess(&pairs, &design, blocked(&differences, options).as_ref());
    differences.extend(allowed);
    let tier = tier(&design, &assessed);
    let mut comparison = Comparison {
        verdict: Verdict::NotComparable,
        counts: Counts::default(),
        tier,
        base_occasions: base_occasions(&design).map(Occasions::count),
        base_shared_process: base_occasions(&design).is_some_and(Occasions::is_of_shared_process),
        alpha: options.alpha,
        family: assessed.iter().filter(|assessed| matches!(assessed, Assessment::Tested(_))).count(),
        common_shift: common_shift(&pairs, &assessed),
        by_metric: Vec::new(),
        rows: rows(&pairs, &assessed, &design, options),
        notes,
        differences,
        warnings: Vec::new(),
        same_program: None,
        attributed: None,
        counters: compared_counters::compare(base, head, options.counters_floor),
    };
    comparison.warnings = warnings(base, head, &design, &assessed, &comparison, options);
    comparison.warnings.extend(model_of_case::warnings(base, head));
    comparison.warnings.extend(learned::warnings(&pairs, &base.name));
    comparison.warnings.extend(dropped(&pairs));
    comparison.warnings.extend(without_numbers(&pairs));
    comparison.summarize();
    Ok(comparison)
}

/// The tests of all cells, for callers that need more than the verdict.
pub(super) fn tests<'a>(base: &'a Side, head: &'a Side, options: &Options) -> Result<Vec<(Pair<'a>, Assessment)>> {
    let design = Design::of(base, head, options.same_session);
    let pairs = match_sides(base, head, &design, options).pairs;
    let assessed = assess(&pairs, &design, blocked(&mismatch::differences(base, head), options).as_ref());
    Ok(pairs.into_iter().zip(assessed).collect())
}

/// A metric asked for by name must exist: a typo would compare nothing, and say that all is well. One that bench-diff
/// knows may be absent, as energy is on a CPU.
fn check_selection(base: &Side, head: &Side, options: &Options) -> Result<()> {
    let cells = || base.cases.iter().chain(&head.cases).flat_map(|case| &case.cells);
    let held = |name: &str| metric::find(name).is_some() || cells().any(|cell| cell.metric.as_str() == name);
    let mut wanted = options
        .metrics
        .iter()
        .filter(|name| *name != "all")
        .chain(options.noise_thresholds.keys().filter(|name| *name != ALL));
    let Some(name) = wanted.find(|name| !held(name)) else { return Ok(()) };
    let error = Error::usage(format!("neither {} nor {} holds the metric `{name}`", base.name, head.name));
    let names: BTreeSet<&str> = cells().map(|cell| cell.metric.as_str()).collect();
    match suggest::nearest(name, names) {
        Some(near) => Err(error.hint(format!("did you mean `{near}`?"))),
        None => Err(error),
    }
}

/// Sessions of plain samples have no names: interleaved ones are found by their places.
fn check_sessions(base: &Side, head: &Side, options: &Options) -> Result<()> {
    let counts = [base, head].map(|side| side.occasions.sessions());
    let plain = base.is_plain_samples() && head.is_plain_samples();
    // Without any number there are no sessions, either.
    if !options.same_session || !plain || counts[0] == counts[1] || counts.contains(&0) {
        return Ok(());
    }
    let [base, head] =
        [base, head].map(|side| format!("{} has {}", side.name, counted(side.occasions.sessions(), "session")));
    Err(Error::usage(format!("--same-session: {base}, {head}"))
        .hint("give both files the same sessions in the same order, or leave out --same-session"))
}

/// Why nothing can be compared, if so.
fn blocked(differences: &[Difference], options: &Options) -> Option<Mismatch> {
    let blocking = |difference: &&Difference| difference.blocks;
    if options.allow_mismatch {
        return None;
    }
    let fields: Vec<_> = differences.iter().filter(blocking).map(Difference::in_words).collect();
    (!fields.is_empty()).then_some(Mismatch::Sides(fields))
}

fn rows(pairs: &[Pair], assessed: &[Assessment], design: &Design, options: &Options) -> Vec<Row> {
    let p: Vec<f64> = assessed.iter().filter_map(tested).map(Test::p).collect();
    let adjusted = stats::holm(&p);
    let mut tests = p.iter().zip(&adjusted);
    let mut rule = Rule::one_shot(options, p.len());
    let mut finding = |pair: &Pair, assessment: &Assessment, change| match assessment {
        Assessment::Tested(test) => {
            let (&p, &adjusted) = tests.next().expect("one p for each test");
            Finding::Tested(verdict::tested(pair, test, p, adjusted, &mut rule))
        }
        Assessment::Memory(reading) => Finding::Ranges(Ranges { change, reading: *reading, confirmed: false }),
        Assessment::Untestable(why) => Finding::Untestable { change, why: why.clone() },
        Assessment::Incomparable(mismatch) => Finding::NotComparable(mismatch.clone()),
    };
    let row = |(pair, assessment): (&Pair, &Assessment)| {
        verdict::row(pair, design, |change| finding(pair, assessment, change))
    };
    pairs.iter().zip(assessed).map(row).collect()
}

fn tested(assessment: &Assessment) -> Option<&Test> {
    match assessment {
        Assessment::Tested(test) => Some(test),
        _ => None,
    }
}

fn tier(design: &Design, assessed: &[Assessment]) -> Tier {
    let mut bases = assessed.iter().filter_map(tested).map(|test| test.evidence.basis);
    match design {
        Design::Apart { .. } if bases.any(|basis| basis == Basis::History) => Tier::History,
        Design::Apart { base, .. } if base.is_history() => Tier::History,
        Design::Apart { .. } => Tier::SingleBaseline,
        Design::OneSession | Design::Shared(_) => Tier::SameSession,
    }
}

fn base_occasions(design: &Design) -> Option<&Occasions> {
    match design {
        Design::Apart { base, .. } => Some(base),
        Design::OneSession | Design::Shared(_) => None,
    }
}

/// Median relative change of each metric over its tested cells, in native units.
fn common_shift(pairs: &[Pair], assessed: &[Assessment]) -> BTreeMap<String, Share> {
    let mut deltas: BTreeMap<&str, (Better, Vec<f64>)> = BTreeMap::new();
    for (pair, test) in pairs.iter().zip(assessed).filter_map(|(pair, assessed)| Some((pair, tested(assessed)?))) {
        deltas.entry(pair.metric.as_str()).or_insert((pair.better, Vec::new())).1.push(test.delta().get());
    }
    let shift = |(metric, (better, deltas)): (&str, (Better, Vec<f64>))| {
        let delta = LogRatio::new(stats::median(&deltas)?);
        Some((metric.to_owned(), native(delta, better).finite()?))
    };
    deltas.into_iter().filter_map(shift).collect()
}

/// Each once, though the models of several cases may have other weights.
fn fields_that_differ(comparison: &Comparison, blocks: bool) -> Vec<&str> {
    let chosen = comparison.differences.iter().filter(|difference| difference.blocks == blocks);
    let mut fields: Vec<&str> = chosen.map(|difference| difference.field.as_str()).collect();
    fields.dedup();
    fields
}

fn warnings(
    base: &Side,
    head: &Side,
    design: &Design,
    assessed: &[Assessment],
    comparison: &Comparison,
    options: &Options,
) -> Vec<String> {
    // A file beside itself has each twice.
    let mut known = HashSet::new();
    let of_files = base.warnings.iter().chain(&head.warnings).filter(|warning| known.insert(warning.as_str()));
    let mut warnings: Vec<String> = of_files.cloned().collect();
    let mut warn = |warning: String| warnings.push(warning);
    let single = assessed.iter().filter_map(tested).filter(|test| test.evidence.basis == Basis::SingleBaseline).count();
    match comparison.tier {
        Tier::SingleBaseline if single > 0 && !all_unchanged(comparison) => warn(too_few(&base.occasions)),
        Tier::History if single > 0 => {
            warn(format!("{single} cells have values of fewer than {HISTORY} occasions of the base: {DRIFT} there"));
        }
        _ => {}
    }
    if matches!(design, Design::Apart { .. }) {
        [base, head].into_iter().filter_map(undated).for_each(&mut warn);
    }
    if let Design::Shared(blocks) = design {
        let left_out = (base.sessions.len() + head.sessions.len()).saturating_sub(2 * blocks.len());
        if left_out > 0 {
            warn(format!("only sessions that both sides hold are compared: {left_out} others are left out"));
        }
    }
    let differing = |blocks: bool| fields_that_differ(comparison, blocks);
    if options.allow_mismatch && !differing(true).is_empty() {
        let fields: BTreeSet<&str> = differing(true).into_iter().collect();
        let fields = fields.into_iter().collect::<Vec<_>>().join(", ");
        warn(format!("compared with --allow-mismatch, although these differ: {fields}"));
    }
    if !differing(false).is_empty() {
        warn(format!("base and head differ in {}: a change may come from there", differing(false).join(", ")));
    }
    let ceilings = mismatch::ceilings(base, head);
    if let Ceilings::Differ(limits) = &ceilings {
        limits.iter().map(|limit| limit.sentence.clone()).for_each(&mut warn);
    }
    for (side, other) in [(base, head), (head, base)] {
        side_warnings(side).into_iter().for_each(&mut warn);
        throttling_warning(side, other).into_iter().for_each(&mut warn);
    }
    if matches!(design, Design::Apart { .. }) {
        shift_warnings(comparison, &ceilings).into_iter().for_each(&mut warn);
    }
    if comparison.rows.is_empty() {
        warn("nothing was compared: no metric of any case has numbers on both sides".to_owned());
    }
    warnings
}

/// Plain samples of several sessions, of which nothing says when they were.
fn undated(side: &Side) -> Option<String> {
    let (name, sessions) = (&side.name, side.occasions.sessions());
    (side.is_plain_samples() && sessions > 1).then(|| {
        format!("{name} doesn't say when its {sessions} sessions were measured: they are taken as hours apart")
    })
}

/// Then no row asks how large a change drift could hide.
fn all_unchanged(comparison: &Comparison) -> bool {
    comparison.rows.iter().all(|row| row.verdict() == Verdict::Unchanged)
}

/// What was left out of cells that were judged all the same.
fn dropped(pairs: &[Pair]) -> Option<String> {
    let judged = pairs.iter().filter(|pair| !pair.values().iter().any(Vec::is_empty));
    let dropped: Vec<usize> = judged.map(|pair| pair.dropped.iter().sum()).filter(|count| *count > 0).collect();
    (!dropped.is_empty()).then(|| {
        let (values, cells) = (counted(dropped.iter().sum(), "value"), counted(dropped.len(), "cell"));
        format!("left out for not being positive, finite numbers: {values} of {cells}")
    })
}

/// Cells whose values in the base are none, which shows nowhere else: what only the head lacks is a note.
fn without_numbers(pairs: &[Pair]) -> Option<String> {
    let lost: Vec<&Pair> = pairs.iter().filter(|pair| pair.dropped[0] > 0 && pair.values()[0].is_empty()).collect();
    let first = lost.first()?;
    let (metric, case) = (first.metric.as_str(), first.case);
    let others = lost.len() - 1;
    let others = if others == 0 { String::new() } else { format!(", and {}", counted(others, "other cell")) };
    Some(format!("not compared, as the base has no positive, finite value there: `{metric}` of `{case}`{others}"))
}

/// What a base of few occasions can't show, and what would change that.
fn too_few(occasions: &Occasions) -> String {
    let base = match occasions.in_words() {
        words if words == "1 session on 1 occasion" => "single baseline session".to_owned(),
        words => format!("the base has {words}"),
    };
    let more = occasions.missing().in_words(" of the base");
    format!("{base}: {DRIFT} between sessions; {more}, would show it")
}

/// What drift between sessions hides.
const DRIFT: &str = "changes under ~5% can't be distinguished from drift";

/// Does the warning only hold for sides that were measured apart?
pub(super) fn is_about_drift(warning: &str) -> bool {
    warning.contains(DRIFT) || warning.ends_with(MACHINE)
}

/// What weakens the numbers of one side.
fn side_warnings(side: &Side) -> Vec<String> {
    let mut warnings = Vec::new();
    for session in side.sessions.iter().filter(|session| !session.finished) {
        warnings.push(format!("{}: the session `{}` did not finish: runs may be missing", side.name, session.id));
    }
    let fallbacks: Vec<_> = side.cases.iter().filter_map(|case| Some((&case.id, case.fallback()?))).collect();
    if let Some((case, (ran, asked))) = fallbacks.first() {
        let count = fallbacks.len();
        let cases = if count == 1 { format!("`{case}`") } else { format!("{count} cases, such as `{case}`") };
        warnings.push(format!("{}: `{ran}` ran instead of `{asked}` in {cases}", side.name));
    }
    for case in side.cases.iter().filter(|case| case.runs > 0 && !case.failures.is_empty()) {
        warnings.push(format!(
            "{}: {} of {} runs of `{}` failed: {}",
            side.name,
            case.failures.len(),
            case.runs + case.failures.len(),
            case.id,
            case.failures[0]
        ));
    }
    warnings
}

/// Throttled runs, unless all runs of their case were throttled, on both sides: these can be compared.
fn throttling_warning(side: &Side, other: &Side) -> Option<String> {
    let others = other.by_id();
    let unusual = side.cases.iter().flat_map(|case| {
        let counterpart = others.get(case.id.as_str());
        let always = counterpart.map(|counterpart| case.always_throttled(counterpart)).unwrap_or_default();
        case.throttle_reasons.iter().map(move |reasons| reasons - &always).filter(|reasons| !reasons.is_empty())
    });
    let unusual: Vec<BTreeSet<String>> = unusual.collect();
    let reasons: BTreeSet<&str> = unusual.iter().flatten().map(String::as_str).collect();
    let runs = match unusual.len() {
        0 => return None,
        1 => "1 run".to_owned(),
        count => format!("{count} runs"),
    };
    let reasons = reasons.into_iter().collect::<Vec<_>>().join(", ");
    Some(format!(
        "{}: the device was throttled in {runs} ({reasons}) of cases that also ran unthrottled: their numbers may be low",
        side.name
    ))
}

/// What everything that moves together hints at.
const MACHINE: &str = ": the machine may be the cause";

/// When nearly everything moves together, a shared cause is likely: the machine, unless its limits haven't moved.
fn shift_warnings(comparison: &Comparison, ceilings: &Ceilings) -> Vec<String> {
    let suspicion = match ceilings {
        Ceilings::Alike => ", while the device's measured limits are alike: a shared cause is likely",
        Ceilings::Unknown | Ceilings::Differ(_) => MACHINE,
    };
    let mut changes: HashMap<&str, Vec<Share>> = HashMap::new();
    for row in &comparison.rows {
        changes.entry(row.cell.metric.as_str()).or_default().extend(row.change());
    }
    let together = |metric: &str, shift: Share| {
        let changes = changes.get(metric).map_or(&[][..], Vec::as_slice);
        let same_way = changes.iter().filter(|change| change.get() * shift.get() > 0.0).count();
        changes.len() >= SHIFT_CASES && same_way * 10 >= changes.len() * 9
    };
    comparison
        .common_shift
        .iter()
        .filter(|(metric, shift)| shift.abs() >= SHIFT && together(metric, **shift))
        .map(|(metric, shift)| {
            let direction = if shift.get() > 0.0 { "up" } else { "down" };
            format!("{metric} is {direction} by {} in nearly every case{suspicion}", percent(*shift))
        })
        .collect()
}
