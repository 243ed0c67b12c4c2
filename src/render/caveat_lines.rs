//! What keeps a report from being the verdict that was asked for: said first, and then why.

use super::commit_names::{program, short_commit};
use super::surroundings::Surroundings;
use super::{NAME, SENTENCE};
use crate::compare::{Comparison, Row};
use crate::page::{Block, Icon, Line, Page, code, command, foreign, line};
use crate::report::{Caveats, Report, SuiteChange};
use crate::results::{Program, Session};

/// Changes shown; a hostile report may have any number.
const MOST: usize = 8;

/// What the first line says before all else.
fn first(report: &Report) -> Vec<Line> {
    let caveats = &report.caveats;
    let mut parts = Vec::new();
    if is_not_in_it(report) {
        parts.push(line![Icon::Warning, "Nothing of this pull request was measured"]);
    }
    if caveats.base_out_of_reach.is_some() {
        parts.push(line![Icon::NotComparable, "The base couldn't be run"]);
    }
    if caveats.measures_another_suite() {
        let so = if report.is_first_run() { "Nothing was compared" } else { "The base's suite was not judged" };
        parts.push(line![Icon::NotComparable, so, ": this pull request measures another suite"]);
    }
    parts
}

/// Why, and what changes it.
pub fn explained(report: &Report, surroundings: &Surroundings) -> Vec<Block> {
    let caveats = &report.caveats;
    let mut said: Vec<Line> = Vec::new();
    if is_not_in_it(report) {
        said.extend(not_in_it(report, surroundings));
    }
    if let Some(why) = &caveats.base_out_of_reach {
        said.push(line!["The base couldn't be run, so nobody knows what it would give here: ", foreign(why, SENTENCE)]);
    }
    if caveats.base_is_unconfigured && report.comparison().is_some() {
        said.push(
            "The base has no configuration: what counts as a change is bench-diff's default, not what this pull request says."
                .into(),
        );
    }
    said.extend(suite_changes(caveats));
    said.into_iter().map(Block::Quote).collect()
}

/// The page of a report's numbers, with all that keeps these from being its verdict.
pub fn put_before(page: Page, report: &Report) -> Page {
    let verdict = (!answer_all(report)).then_some(page.headline);
    let next = next_step(report, false).map(Block::Next);
    let is_kept = |block: &Block| next.is_none() || !matches!(block, Block::Next(_) | Block::Commands(_));
    let end: Vec<Block> = page.end.into_iter().filter(is_kept).collect();
    Page {
        headline: headline(report, verdict),
        top: page.top.into_iter().chain(explained(report, &Surroundings::default())).collect(),
        body: page.body,
        end: next.into_iter().chain(end).collect(),
    }
}

/// What is said before the verdict, and that.
pub fn headline(report: &Report, verdict: Option<Line>) -> Line {
    Line::joined(first(report).into_iter().chain(verdict), " · ")
}

/// That nothing changed in another suite is no answer to what was asked.
pub fn answer_all(report: &Report) -> bool {
    let changed =
        |comparison: &Comparison| comparison.rows.iter().any(Row::looks_changed) || !comparison.notes.is_empty();
    report.caveats.measures_another_suite() && report.comparison().is_some_and(|comparison| !changed(comparison))
}

/// What to do about them.
pub fn next_step(report: &Report, accepted: bool) -> Option<Line> {
    let caveats = &report.caveats;
    if report.failure().is_some() {
        return None;
    }
    let incomparable = report.is_first_run() || report.comparison().is_some_and(|all| all.counts.not_comparable > 0);
    let another = caveats.measures_another_suite();
    let suite = another || !caveats.suite_changes.is_empty() && incomparable;
    if caveats.base_out_of_reach.is_some() && !accepted {
        return Some("mend what keeps the base from being run, and run this again.".into());
    }
    if is_not_in_it(report) {
        return Some("put the pull request into what is measured, as said above, and run this again.".into());
    }
    if suite && accepted {
        let replace = command("bench-diff baseline update --replace results.json");
        return Some(line![
            "nothing: the change is accepted. After merging, start the baseline anew with ",
            replace,
            "."
        ]);
    }
    let accept = || {
        line![
            "if the other suite is wanted, a maintainer comments ",
            command("bench-accept: <reason>"),
            " and re-runs the check."
        ]
    };
    if another && report.comparison().is_some() {
        return Some(accept());
    }
    suite.then(|| {
        line![
            accept(),
            " Where the base can be run (",
            command("build-command"),
            ", ",
            command("base-binary"),
            "), it is measured with the new suite instead."
        ]
    })
}

/// The pull request isn't in the program: as the job says, or because both sides are of another commit.
fn is_not_in_it(report: &Report) -> bool {
    let same = report.comparison().is_some_and(|comparison| comparison.same_program.is_some());
    let of = pull_request_of(report, &Surroundings::default());
    let measured = report.head.sessions.last().map(Session::measured);
    let other = of.zip(measured).is_some_and(|(of, measured)| measured.commit.is_some() && !is_of(measured, &of));
    report.failure().is_none() && (report.caveats.unrelated || (same && other && report.pull_request.is_some()))
}

fn not_in_it(report: &Report, surroundings: &Surroundings) -> Option<Line> {
    let measured = report.head.sessions.last()?.measured();
    let pull_request = pull_request_of(report, surroundings)?;
    Some(line![
        "The measured program is ",
        foreign(&measured.name, NAME),
        " ",
        program(measured),
        ", and nothing of ",
        code(&pull_request, 20),
        " is in it: for candle or a fork of it set ",
        command("candle: ."),
        ", for another program ",
        command("build-command"),
        " and ",
        command("head-binary"),
        ", for an engine of your own ",
        command("command"),
        " and ",
        command("build"),
        " in ",
        command("bench-diff.toml"),
        "."
    ])
}

/// The pull request's commit where the job or the event names it, short.
pub fn pull_request_of(report: &Report, surroundings: &Surroundings) -> Option<String> {
    let claimed = report.origin.as_ref().and_then(|origin| origin.commit.as_deref());
    let commit = surroundings.commit.as_deref().or(claimed)?;
    Some(short_commit(commit)).filter(|hex| !hex.is_empty())
}

/// Was the program, or a part of it, built from that commit?
pub fn is_of(program: &Program, commit: &str) -> bool {
    let parts = program.components.values().filter_map(|component| component.commit.as_deref());
    program.commit.as_deref().into_iter().chain(parts).any(|own| short_commit(own) == commit)
}

/// `This pull request changes the suite: warmup 1 → 2.`
fn suite_changes(Caveats { suite_changes: changes, base_is_unconfigured, .. }: &Caveats) -> Option<Line> {
    let counts = if *base_is_unconfigured { " (here the default counts)" } else { " (here the base's counts)" };
    let said = |change: &SuiteChange| {
        let values = line![foreign(&change.base, NAME), " → ", foreign(&change.head, NAME)];
        let kept = if change.overruled { counts } else { "" };
        line![foreign(&change.setting, NAME), " ", values, kept]
    };
    let mut shown: Vec<Line> = changes.iter().take(MOST).map(said).collect();
    shown.extend((changes.len() > MOST).then(|| "and more".into()));
    (!changes.is_empty()).then(|| line!["This pull request changes the suite: ", Line::joined(shown, ", "), "."])
}
