//! The tables beside that of the cases: what has no numbers and why, what differs, and every sample.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::case_table::Rank;
use super::{NAME, SENTENCE, Sides, metric};
use crate::compare::{CaseNote, Comparison, Difference, Finding, NoteKind, Row, Tier, Verdict, wording};
use crate::metric::MetricName;
use crate::number::{count, counted, value};
use crate::page::{Block, Column, Icon, Line, Table, code, command, foreign, line};
use crate::report::Report;
use crate::results::{Outcome, Results};

/// Samples shown of one side of a cell.
const SAMPLES: usize = 20;
/// Metrics shown of one case.
const METRICS: usize = 16;

/// Cases that gave no numbers, or other output; before them what matters most.
pub fn notes(comparison: &Comparison) -> Vec<Block> {
    const KINDS: [(NoteKind, Icon, &str); 5] = [
        (NoteKind::Failed, Icon::Failed, " failed"),
        (NoteKind::Missing, Icon::Missing, " missing: what the base has and the head lacks"),
        (NoteKind::FellBack, Icon::FellBack, " fell back: another implementation ran than was asked for"),
        (
            NoteKind::OutputChanged,
            Icon::OutputChanged,
            " with changed output: other tokens than the base for the same input",
        ),
        (NoteKind::New, Icon::New, " new: nothing to compare with"),
    ];
    let fold = |(kind, icon, words): (NoteKind, Icon, &'static str)| {
        let notes: Vec<&CaseNote> = comparison.notes.iter().filter(|note| note.kind == kind).collect();
        let columns = vec![
            Column::left("Case", |note: &&CaseNote| code(&note.case, NAME)),
            Column::left("Why", |note: &&CaseNote| foreign(&note.reason, SENTENCE)),
        ];
        Block::fold(line![icon, count(notes.len()), words], Table::of(columns, &notes))
    };
    KINDS.into_iter().filter_map(fold).collect()
}

/// The cases of which runs gave no numbers; each once for a reason, with how many runs.
pub fn failures(results: &Results) -> Option<Block> {
    let mut failed: Vec<(&str, &str, usize)> = Vec::new();
    let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
    for run in results.sessions.iter().flat_map(|session| &session.runs) {
        let Outcome::Failed(failure) = &run.outcome else { continue };
        let at = *seen.entry((&run.case, &failure.reason)).or_insert(failed.len());
        match failed.get_mut(at) {
            Some((.., runs)) => *runs += 1,
            None => failed.push((&run.case, &failure.reason, 1)),
        }
    }
    type Row<'a> = (&'a str, &'a str, usize);
    let columns = vec![
        Column::left("Case", |(case, ..): &Row| code(case, NAME)),
        Column::left("Why", |(_, why, _): &Row| foreign(why, SENTENCE)),
        Column::right("Runs", |(.., runs): &Row| count(*runs)),
    ];
    let cases: HashSet<&str> = failed.iter().map(|(case, ..)| *case).collect();
    Block::fold(line![Icon::Failed, counted(cases.len(), "case"), " failed"], Table::of(columns, &failed))
}

/// Fields of hardware and settings that differ.
pub fn differences(differences: &[&Difference], sides: Sides) -> Table {
    let [base, head] = sides.title;
    let columns = vec![
        Column::left("Different", |difference: &&Difference| different(difference)),
        Column::left(base, |difference: &&Difference| code(&difference.base, NAME)),
        Column::left(head, |difference: &&Difference| code(&difference.head, NAME)),
    ];
    Table::of(columns, differences)
}

/// `dtype`, `dtype, in 2 cases`
fn different(difference: &Difference) -> Line {
    let field = foreign(&difference.field, NAME);
    match difference.cases.len() {
        0 => field,
        cases => line![field, ", in ", counted(cases, "case")],
    }
}

/// Why cells have no verdict, where neither their numbers say it nor the next step.
pub fn reasons(comparison: &Comparison) -> Option<Block> {
    let mut unsaid: Vec<Unsaid> = Vec::new();
    for row in comparison.rows.iter().filter(|row| is_unsaid(comparison, row)) {
        let why = wording::reason(row);
        match unsaid.last_mut() {
            Some(last) if last.case == row.cell.case && last.why == why => last.metrics.push(&row.cell.metric),
            _ => unsaid.push(Unsaid { case: &row.cell.case, metrics: vec![&row.cell.metric], why }),
        }
    }
    let listed = |row: &Unsaid| Line::joined(row.metrics.iter().take(METRICS).map(|name| metric(name)), ", ");
    let columns = vec![
        Column::left("Case", |row: &Unsaid| code(row.case, NAME)),
        Column::left("Metric", listed),
        Column::left("Why", |row: &Unsaid| foreign(&row.why, SENTENCE)),
    ];
    Block::fold("Why there is no verdict".into(), Table::of(columns, &unsaid))
}

/// Metrics of a case that have no verdict for the same reason.
struct Unsaid<'a> {
    case: &'a str,
    metrics: Vec<&'a MetricName>,
    why: String,
}

fn is_unsaid(comparison: &Comparison, row: &Row) -> bool {
    let blocked = comparison.differences.iter().any(|difference| difference.blocks);
    match row.verdict() {
        Verdict::NotComparable => !blocked,
        Verdict::Inconclusive => match &row.finding {
            Finding::Tested(_) if Rank::of(row) == Rank::Unconfirmed => row.is_not_measured_again(),
            Finding::Tested(tested) => {
                tested.conclusion.runs_needed().is_none() && comparison.tier != Tier::SingleBaseline
            }
            _ => true,
        },
        Verdict::Regressed | Verdict::Improved | Verdict::AtThreshold | Verdict::Unchanged => false,
    }
}

/// Every value of the rows that a reader may doubt.
pub fn samples(report: &Report) -> Option<Block> {
    let rows = report.comparison().map_or(&[][..], |comparison| &comparison.rows);
    let is_doubtful = |row: &&Row| !matches!(row.verdict(), Verdict::Unchanged | Verdict::NotComparable);
    let doubtful: Vec<&Row> = rows.iter().filter(is_doubtful).collect();
    // Those that decided: fresh ones where the row was measured again.
    let sides = [false, true].map(|confirmed| {
        let (base, head) = report.deciding(confirmed);
        [base.map(Samples::of).unwrap_or_default(), Samples::of(head)]
    });
    let [base, head] = Sides::of(report).title;
    let of = |row: &Row, side: usize| sides[usize::from(row.is_confirmed())][side].list(row);
    let columns = vec![
        Column::left("Case", |row: &&Row| code(&row.cell.case, NAME)),
        Column::left("Metric", |row: &&Row| metric(&row.cell.metric)),
        Column::left(base, |row: &&Row| of(row, 0)),
        Column::left(head, |row: &&Row| of(row, 1)),
    ];
    let title = line![Icon::Samples, "Samples, a value for each run (", count(doubtful.len()), ")"];
    let mut fold = Block::fold(title, Table::of(columns, &doubtful))?;
    if let Block::Fold { blocks, .. } = &mut fold
        && doubtful.iter().any(|row| row.is_confirmed())
        && report.measured_again.is_none()
    {
        blocks.insert(0, Block::Paragraph(measured_again()));
    }
    Some(fold)
}

/// A report of an older version holds the runs that raised the suspicion, not those that settled it.
fn measured_again() -> Line {
    line![
        "What was measured again is judged by runs that aren't listed here: those of ",
        command("confirm-base.json"),
        " and ",
        command("confirm-results.json"),
        ", beside the report."
    ]
}

/// The values of results by case: looked up once for each row.
#[derive(Default)]
struct Samples<'a>(HashMap<&'a str, Vec<&'a BTreeMap<MetricName, f64>>>);

impl<'a> Samples<'a> {
    fn of(results: &'a Results) -> Self {
        let mut samples: HashMap<_, Vec<_>> = HashMap::new();
        for run in results.sessions.iter().flat_map(|session| &session.runs) {
            if let Outcome::Ok(measurement) = &run.outcome {
                samples.entry(run.case.as_str()).or_default().push(&measurement.metrics);
            }
        }
        Self(samples)
    }

    fn list(&self, row: &Row) -> Line {
        let runs = self.0.get(row.cell.case.as_str()).into_iter().flatten();
        let values = runs.filter_map(|metrics| metrics.get(&row.cell.metric).copied());
        let mut shown: Vec<Line> = values.take(SAMPLES + 1).map(|sample| value(sample).into()).collect();
        if shown.len() > SAMPLES {
            shown[SAMPLES] = "…".into();
        }
        if shown.is_empty() { "–".into() } else { Line::joined(shown, " ") }
    }
}
