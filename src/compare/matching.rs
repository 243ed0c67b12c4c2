//! Brings the cells of both sides together, and notes what has no partner.

use std::cell::OnceCell;
use std::collections::HashMap;

use super::design::{Design, Selected};
use super::learned;
use super::model_of_case::{self, other_weights, silent_side};
use super::other_quantization::counterpart;
use super::pair::Pair;
use super::side::{CaseSide, CellSide, Side};
use super::{CaseNote, Difference, Mismatch, NoteKind, Options, settings_differences};
use crate::plural::counted;
use crate::unit;

#[derive(Debug, Default)]
pub(super) struct Matched<'a> {
    pub pairs: Vec<Pair<'a>>,
    pub notes: Vec<CaseNote>,
    /// In what cases differ that are compared all the same: what was allowed, and what doesn't matter to speed.
    pub allowed: Vec<Difference>,
    /// Both sides were measured with other settings, whatever the case.
    other_settings: bool,
}

/// All pairs of selected metrics in the base's order, and a note for every case or metric on one side only.
pub(super) fn match_sides<'a>(base: &'a Side, head: &'a Side, design: &Design, options: &Options) -> Matched<'a> {
    let (base_cases, head_cases) = (base.by_id(), head.by_id());
    let settings = base.settings.as_ref().zip(head.settings.as_ref());
    let other_settings = settings.is_some_and(|(base, head)| !settings_differences(base, head).is_empty());
    let mut matched = Matched { other_settings, ..Matched::default() };
    let alone = |side: &'a Side, others: &HashMap<&str, &CaseSide>| -> Vec<&'a CaseSide> {
        side.cases.iter().filter(|case| !others.contains_key(case.id.as_str())).collect()
    };
    let (only_base, only_head) = (alone(base, &head_cases), alone(head, &base_cases));
    for base_case in &base.cases {
        match head_cases.get(base_case.id.as_str()) {
            Some(head_case) => matched.add_case(base_case, head_case, design, options),
            None => {
                let reason = format!("in the base only{}", quantized_otherwise(base_case, &only_head, "head"));
                matched.note(&base_case.id, NoteKind::Missing, true, reason);
            }
        }
    }
    for head_case in only_head {
        let reason = match head_case.failures.first() {
            Some(reason) if head_case.runs == 0 => format!("in the head only, and failed: {reason}"),
            _ => match quantized_otherwise(head_case, &only_base, "base") {
                relative if relative.is_empty() => "in the head only: nothing to compare with".to_owned(),
                relative => format!("in the head only{relative}"),
            },
        };
        matched.note(&head_case.id, NoteKind::New, false, reason);
    }
    learned::learn(&mut matched.pairs, &base.occasions);
    matched.pairs.iter_mut().filter(|pair| !design.is_screen(pair)).for_each(Pair::adopt);
    matched
}

impl<'a> Matched<'a> {
    fn note(&mut self, case: &str, kind: NoteKind, fails: bool, reason: String) {
        self.notes.push(CaseNote { case: case.to_owned(), kind, fails, reason });
    }

    /// The same difference of several cases is one.
    fn allow(&mut self, case: &str, differing: &[Difference]) {
        for difference in differing {
            let same = |known: &&mut Difference| known.in_words() == difference.in_words();
            match self.allowed.iter_mut().find(same) {
                Some(known) => known.cases.push(case.to_owned()),
                None => self.allowed.push(Difference { cases: vec![case.to_owned()], ..difference.clone() }),
            }
        }
    }

    fn add_case(&mut self, base: &'a CaseSide, head: &'a CaseSide, design: &Design, options: &Options) {
        if base.runs == 0 || head.runs == 0 {
            self.note_empty(base, head);
            return;
        }
        let differing = super::mismatch::case(base, head);
        let in_words = || Mismatch::Case(model_of_case::in_words(&differing));
        let incomparable = (!differing.is_empty() && !options.allow_mismatch).then(in_words);
        if options.allow_mismatch {
            self.allow(&base.id, &differing);
        }
        // Another shape has other weights, of course.
        let cases = base.case.as_ref().zip(head.case.as_ref()).filter(|_| differing.is_empty());
        let other_weights = cases.and_then(|(base, head)| other_weights(base, head));
        self.allow(&base.id, other_weights.as_slice());
        let (base_cells, head_cells) = (Counterparts::of(base), Counterparts::of(head));
        for (place, cell) in base.cells.iter().enumerate().filter(|(_, cell)| options.selects(cell)) {
            match head_cells.of_cell(place, cell) {
                Some(other) if cell.has_values() && !other.has_values() => {
                    let reason = format!(
                        "`{}` is lost: of {} of the head, none is a positive, finite number",
                        cell.metric,
                        counted(other.dropped, "value"),
                    );
                    self.note(&base.id, NoteKind::Missing, true, reason);
                }
                Some(other) => match same_measure(cell, other) {
                    Ok(factor) => {
                        let pair = pair(&base.id, cell, other, factor, design, options);
                        self.pairs.push(Pair { incomparable: incomparable.clone(), ..pair });
                    }
                    Err(why) => {
                        self.note(&base.id, NoteKind::Missing, true, format!("`{}` is another: {why}", cell.metric));
                    }
                },
                None => {
                    self.note(&base.id, NoteKind::Missing, true, format!("`{}` is in the base only", cell.metric));
                }
            }
        }
        let base_has = |(place, cell): &(usize, &CellSide)| base_cells.of_cell(*place, cell).is_some();
        let selected = head.cells.iter().enumerate().filter(|(_, cell)| options.selects(cell));
        for (_, cell) in selected.filter(|it| !base_has(it)) {
            self.note(&base.id, NoteKind::New, false, format!("`{}` is in the head only", cell.metric));
        }
        self.note_fallback(base, head);
        if differing.is_empty() && !self.other_settings && output_changed(base, head) {
            self.note_output(base, head, other_weights.is_some());
        }
    }

    /// With equal settings, the sides' tokens differ.
    fn note_output(&mut self, base: &CaseSide, head: &CaseSide, has_other_weights: bool) {
        let cases = base.case.as_ref().zip(head.case.as_ref());
        let reason = match cases.and_then(|(base, head)| silent_side(base, head)) {
            _ if has_other_weights => "other tokens, and the model of this name has other weights".to_owned(),
            Some(side) => format!(
                "other tokens with equal settings: the output has changed, or the model is another one, as the {side} \
                 doesn't say which it loaded"
            ),
            None => {
                "other tokens with equal settings: the output has changed, judge the speed with that in mind".to_owned()
            }
        };
        self.note(&base.id, NoteKind::OutputChanged, false, reason);
    }

    /// What was asked for ran on one side only.
    fn note_fallback(&mut self, base: &CaseSide, head: &CaseSide) {
        if base.fallback().is_none()
            && let Some((ran, asked)) = head.fallback()
        {
            let reason = format!("`{ran}` ran in the head; `{asked}`, which was asked for, in the base");
            self.note(&base.id, NoteKind::FellBack, true, reason);
        }
    }

    /// A case that is planned on both sides, but gave no numbers on at least one.
    fn note_empty(&mut self, base: &CaseSide, head: &CaseSide) {
        let why = |case: &CaseSide| match case.failures.first() {
            Some(reason) => format!("failed: {reason}"),
            None if !case.only_throttled.is_empty() => {
                let reasons: Vec<&str> = case.only_throttled.iter().map(String::as_str).collect();
                let reasons = reasons.join(", ");
                format!(
                    "was throttled in every run ({reasons}), which tells something about the card and not the program"
                )
            }
            None => "never ran, as the measurement was cut off".to_owned(),
        };
        let lost = base.runs > 0;
        let reason = match (base.runs, head.runs) {
            (0, 0) => format!("no numbers on either side; in the head it {}", why(head)),
            (0, _) => format!("no numbers in the base: it {}", why(base)),
            _ => format!("no numbers in the head: it {}", why(head)),
        };
        let never_ran = lost && head.failures.is_empty();
        self.note(&base.id, if never_ran { NoteKind::Missing } else { NoteKind::Failed }, lost, reason);
    }
}

/// `: B of the head differs from it only in the model's quantization`; empty where there is none.
fn quantized_otherwise(case: &CaseSide, others: &[&CaseSide], side: &str) -> String {
    let counterpart = counterpart(case, others);
    let said = |id| format!(": `{id}` of the {side} differs from it only in the model's quantization");
    counterpart.map(said).unwrap_or_default()
}

/// A side's cells, where those of the other are looked up.
struct Counterparts<'a> {
    cells: &'a [CellSide],
    /// Only made where the sides' cells are in different orders: of most cases it would be the most expensive part.
    by_metric: OnceCell<HashMap<&'a str, &'a CellSide>>,
}

impl<'a> Counterparts<'a> {
    fn of(case: &'a CaseSide) -> Self {
        Self { cells: &case.cells, by_metric: OnceCell::new() }
    }

    /// `place`: of `cell` on its own side.
    fn of_cell(&self, place: usize, cell: &CellSide) -> Option<&'a CellSide> {
        if let Some(there) = self.cells.get(place).filter(|there| there.metric == cell.metric) {
            return Some(there);
        }
        let named = || self.cells.iter().map(|cell| (cell.metric.as_str(), cell)).collect();
        self.by_metric.get_or_init(named).get(cell.metric.as_str()).copied()
    }
}

/// All runs of each side gave the same tokens, but the two sides' tokens differ.
fn output_changed(base: &CaseSide, head: &CaseSide) -> bool {
    !base.token_hashes.is_empty() && !head.token_hashes.is_empty() && base.token_hashes.is_disjoint(&head.token_hashes)
}

/// How many of the base's unit one of the head's is; or why both are not values of one metric.
fn same_measure(base: &CellSide, head: &CellSide) -> Result<f64, String> {
    if base.better != head.better {
        return Err(format!("better {} → {}", base.better.word(), head.better.word()));
    }
    unit::factor(&head.unit, &base.unit).ok_or_else(|| format!("unit {} → {}", base.unit, head.unit))
}

fn pair<'a>(
    case: &'a str,
    base: &'a CellSide,
    head: &'a CellSide,
    factor: f64,
    design: &Design,
    options: &Options,
) -> Pair<'a> {
    let Selected { base: base_values, head: head_values, missing } = design.select(base, head);
    let head_values = head_values.into_iter().map(|values| match factor {
        1.0 => values,
        factor => values.iter().map(|&value| value * factor).collect(),
    });
    Pair {
        case,
        metric: &base.metric,
        unit: &base.unit,
        better: base.better,
        kind: base.kind,
        noise_threshold: options.noise_threshold(base),
        auto: options.is_auto(base),
        learned: None,
        cell: base,
        base: base_values,
        head: head_values.collect(),
        missing,
        zeros: [base.good_zeros(), head.good_zeros()],
        dropped: [base, head].map(|cell| cell.dropped - cell.good_zeros()),
        has_average: base.is_average || head.is_average,
        incomparable: None,
    }
}
