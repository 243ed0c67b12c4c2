//! The sentences of a comment: the verdict, where it was measured, and what to do next.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Surroundings;
use super::tables::percent;
use crate::calibrate::calibrate;
use crate::compare::{Comparison, NoteKind, Row, Tier, Verdict};
use crate::escape;
use crate::metric::Metric;
use crate::render;
use crate::report::{Acceptance, Report};
use crate::results::occasions::{HISTORY, more_sessions};
use crate::results::{Outcome, Program, Results, Session};
use crate::stats::{LogRatio, Share};

/// Warnings shown; a hostile report may have any number.
const WARNINGS: usize = 8;

/// The verdict in one line, counted from the rows. Plain text: also a check run's title.
pub fn headline(report: &Report) -> String {
    if report.failure.is_some() {
        return "❌ Nothing could be measured".to_owned();
    }
    let Some(comparison) = &report.comparison else {
        let cases = match report.head.cases.len() {
            1 => "1 case".to_owned(),
            count => format!("{count} cases"),
        };
        return format!("🔵 First measurement of {cases}: no baseline yet");
    };
    let rows = |verdict| comparison.rows.iter().filter(|row| row.verdict() == verdict && !row.is_unconfirmed()).count();
    let unconfirmed = comparison.rows.iter().filter(|row| row.is_unconfirmed()).count();
    let notes = |kind| comparison.notes.iter().filter(|note| note.kind == kind).count();
    let counts = [
        (rows(Verdict::Regressed), "🔴", "regressed"),
        (rows(Verdict::Improved), "🟢", "improved"),
        (unconfirmed, "🟠", "unconfirmed"),
        (rows(Verdict::Inconclusive), "🟡", "inconclusive"),
        (rows(Verdict::Unchanged), "⚪", "unchanged"),
        (rows(Verdict::NotComparable), "🚫", "not comparable"),
        (notes(NoteKind::Failed), "❌", "failed"),
        (notes(NoteKind::Missing), "❓", "missing"),
        (notes(NoteKind::FellBack), "↩️", "fell back"),
        (notes(NoteKind::OutputChanged), "⚠️", "with changed output"),
    ];
    let said: Vec<_> = counts
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, icon, word)| format!("{icon} {count} {word}"))
        .collect();
    if said.is_empty() { "🚫 Nothing was measured".to_owned() } else { said.join(" · ") }
}

/// The verdict, then what was measured where.
pub fn top(report: &Report, surroundings: &Surroundings) -> String {
    let mut text = format!("### {}\n\n", headline(report));
    if let Some(accepted) = &surroundings.accepted {
        text.push_str(&accepted_line(accepted));
    }
    // Nobody knows of what, where there is no report.
    if !report.suite.is_empty() {
        text.push_str(&what(report));
    }
    if let Some(why) = &report.failure {
        text.push_str(&failure_line(why, surroundings));
    }
    text.push_str(&environment(report));
    for warning in report.comparison.iter().flat_map(|comparison| &comparison.warnings).take(WARNINGS) {
        text.push_str(&format!("> ⚠️ {}\n\n", escape::markdown(&escape::short_line(warning, 400))));
    }
    text
}

/// An earlier verdict of this comment is gone: it was another commit's.
fn failure_line(why: &str, surroundings: &Surroundings) -> String {
    let commit = surroundings.commit.as_deref().map(short_commit).unwrap_or_default();
    let what = if commit.is_empty() { "This commit".to_owned() } else { format!("Commit `{commit}`") };
    format!("> {what} could not be measured: {}\n\n", escape::markdown(&escape::short_line(why, 600)))
}

fn short_commit(commit: &str) -> String {
    commit.chars().take_while(char::is_ascii_hexdigit).take(9).collect()
}

fn accepted_line(accepted: &Acceptance) -> String {
    let comment = match escape::address(&accepted.url) {
        Some(url) => format!(" ([comment]({url}))"),
        None => String::new(),
    };
    format!(
        "> ✅ Accepted by {}{comment}: {}\n\n",
        escape::code(&escape::short_line(&accepted.by, 60)),
        escape::markdown(&escape::short_line(&accepted.reason, 300))
    )
}

/// `**smoke** on NVIDIA H100 · geometric mean over matched cases: decode −1.2%, TTFT +0.4%`
fn what(report: &Report) -> String {
    let suite = escape::markdown(&escape::short_line(&report.suite, 60));
    let mut text = format!("**{suite}** on **{}**", escape::markdown(&escape::short_line(&device(report), 80)));
    if let Some(comparison) = &report.comparison {
        let means = geometric_means(&comparison.rows);
        if !means.is_empty() {
            let listed = means.iter().map(|(title, change)| format!("{title} {}", percent(*change)));
            text.push_str(&format!(" · geometric mean: {}", listed.collect::<Vec<_>>().join(", ")));
        }
    }
    text.push_str("\n\n");
    text
}

/// For each metric, over the rows that have both sides.
fn geometric_means(rows: &[Row]) -> Vec<(&'static str, Share)> {
    let mut logs: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.verdict() != Verdict::NotComparable) {
        if let (Some(base), Some(head)) = (row.sides.base, row.sides.head) {
            let log = (head.mean / base.mean).ln();
            if log.is_finite() {
                let (sum, count) = logs.entry(row.cell.metric.as_str()).or_default();
                *sum += log;
                *count += 1;
            }
        }
    }
    let known = Metric::ALL.iter().filter_map(|metric| {
        let (sum, count) = logs.get(metric.name())?;
        Some((metric.definition().title, LogRatio::new(sum / *count as f64).share()))
    });
    known.take(5).collect()
}

fn device(report: &Report) -> String {
    let Some(session) = report.head.sessions.last() else { return report.hardware.clone() };
    let environment = &session.environment;
    match environment.gpus.as_slice() {
        [] => environment.cpu.clone().unwrap_or_else(|| report.hardware.clone()),
        [gpu] => gpu.name.clone(),
        [gpu, ..] => format!("{}× {}", environment.gpus.len(), gpu.name),
    }
}

/// `driver 580.65 · 1980 MHz, not throttled · base abc1234 (v1.2.0), 3 days old · PR def5678`
fn environment(report: &Report) -> String {
    let mut parts = Vec::new();
    if let Some(session) = report.head.sessions.last() {
        if let Some(driver) = &session.environment.driver_version {
            parts.push(format!("driver {}", escape::markdown(&escape::short_line(driver, 40))));
        }
        parts.extend(clocks(&report.head));
    }
    if let Some(base) = &report.base {
        parts.push(format!("base {}", base_line(base, &report.head)));
    }
    if let Some(session) = report.head.sessions.last() {
        parts.push(format!("PR {}", program(&session.program)));
    }
    if report.head.cases.iter().any(|case| case.weights == crate::case::WeightsSource::Generated) {
        parts.push("generated weights".to_owned());
    }
    if parts.is_empty() { String::new() } else { format!("<sub>{}</sub>\n\n", parts.join(" · ")) }
}

/// The clocks that were seen, and whether anything held them down.
fn clocks(results: &Results) -> Option<String> {
    let runs = results.sessions.iter().flat_map(|session| &session.runs);
    let mut clocks = Vec::new();
    let mut throttled = 0;
    for run in runs {
        if let Outcome::Ok(measurement) = &run.outcome {
            let clock = measurement.device.as_ref().and_then(|device| device.sm_clock_mhz);
            clocks.extend(clock.filter(|clock| clock.is_finite()));
            throttled += usize::from(!measurement.throttle_reasons().is_empty());
        }
    }
    let low = clocks.iter().copied().reduce(f64::min)?;
    let high = clocks.iter().copied().reduce(f64::max)?;
    let range = if high - low < 0.5 { format!("{low:.0} MHz") } else { format!("{low:.0}–{high:.0} MHz") };
    Some(match throttled {
        0 => format!("{range}, not throttled"),
        runs => format!("{range}, ⚠️ throttled in {runs} runs"),
    })
}

fn base_line(base: &Results, head: &Results) -> String {
    let Some(last) = base.sessions.last() else { return "without sessions".to_owned() };
    let mut text = program(&last.program);
    if let Some(label) = &base.label {
        text.push_str(&format!(" ({})", escape::markdown(&escape::short_line(label, 40))));
    }
    if let Some(age) = head.sessions.last().and_then(|head| days_between(last, head)).filter(|days| *days > 0) {
        text.push_str(&format!(", {age} {} old", if age == 1 { "day" } else { "days" }));
    }
    if base.sessions.len() > 1 {
        text.push_str(&format!(", {} sessions", base.sessions.len()));
    }
    text
}

fn days_between(base: &Session, head: &Session) -> Option<i64> {
    let base: Timestamp = base.started.parse().ok()?;
    let head: Timestamp = head.started.parse().ok()?;
    Some((head.as_second() - base.as_second()) / 86_400)
}

fn program(program: &Program) -> String {
    let short = |commit: &str| {
        let dirty = if commit.ends_with("-dirty") { "-dirty" } else { "" };
        let hex = short_commit(commit);
        if hex.is_empty() { "an unknown commit".to_owned() } else { format!("`{hex}{dirty}`") }
    };
    match (candle_commit_of(program), &program.commit) {
        (Some(candle), _) => format!("candle {}", short(candle)),
        (None, Some(commit)) => short(commit),
        (None, None) => escape::code(&escape::short_line(&program.version, 30)),
    }
}

/// What the symbols of the table mean.
pub fn legend(report: &Report, confirmed: bool) -> String {
    let mut text = "<sub>↑ higher is better, ↓ lower is better. Floor: smaller changes are not reported.".to_owned();
    if confirmed {
        text.push_str(
            " ✓ and a number: confirmed by so many fresh runs a side, base and head interleaved on this machine.",
        );
    }
    if report.comparison.as_ref().is_some_and(|comparison| comparison.tier == Tier::SingleBaseline) {
        text.push_str(
            " Unconfirmed: looks changed, which drift between sessions can explain too. The baseline has too few occasions to \
             tell changes under about 5% from drift.",
        );
    }
    text.push_str("</sub>\n\n");
    text
}

/// What a self-check found out about the machine.
pub fn sensitivity(report: &Report) -> String {
    let Some(mut check) = report.self_check.clone() else { return String::new() };
    // The sentences are shown as they are: no name in them may be a stranger's.
    check.rows.retain(|row| row.cell.metric.known().is_some());
    let runs = report.head.settings.runs;
    let calibration = calibrate(&report.suite, &report.hardware, runs, runs, check);
    let said = render::calibration::verdict(&calibration).into_iter().map(|sentence| format!("- {sentence}\n"));
    format!(
        "**How quiet is this machine?** The same build was measured as base and as head, taking turns.\n\n{}\n",
        said.collect::<String>()
    )
}

/// How to see the same numbers elsewhere. Only checked words go into a command that people copy.
pub fn reproduce(report: &Report) -> String {
    let is_word = |text: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !text.is_empty() && text.len() <= 60 && !text.starts_with('-') && text.bytes().all(allowed)
    };
    let suite = if is_word(&report.suite) { format!(" --suite {}", report.suite) } else { String::new() };
    let run = |results: &Results, file: &str| {
        let at = results.sessions.last().map(|session| program(&session.program).replace('`', "")).unwrap_or_default();
        let at = if at.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-')) {
            format!("# at {at}\n")
        } else {
            String::new()
        };
        format!("{at}bench-diff run{suite} --output {file}\n")
    };
    let commands = match candle_commit(&report.head) {
        Some(head) => {
            let base = report.base.as_ref().and_then(candle_commit).map(|base| format!(" --base-ref {base}"));
            let base = base.unwrap_or_default();
            format!("# ../candle: a checkout of candle at {head}\nbench-diff ci{suite} --candle ../candle{base}\n")
        }
        None => {
            let base = report.base.as_ref().map(|base| run(base, "base.json")).unwrap_or_default();
            let compare = if base.is_empty() { "" } else { "bench-diff compare base.json head.json\n" };
            format!("{base}{}{compare}", run(&report.head, "head.json"))
        }
    };
    format!("<details><summary>🔁 Reproduce locally</summary>\n\n```sh\n{commands}```\n\n</details>\n\n")
}

fn candle_commit_of(program: &Program) -> Option<&str> {
    program.components.get("candle")?.commit.as_deref()
}

/// The commit of candle that the last session was built against, if it names one and nothing else.
fn candle_commit(results: &Results) -> Option<&str> {
    let commit = candle_commit_of(&results.sessions.last()?.program)?;
    let named = matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    named.then(|| &commit[..9])
}

/// The next step, how to accept, and where the rest is.
pub fn end(report: &Report, surroundings: &Surroundings) -> String {
    let mut text = format!("**Next:** {}\n\n", next(report, surroundings.accepted.is_some()));
    let mut sources = Vec::new();
    if let Some(url) = &surroundings.run_url {
        sources.push(format!("[full report and results]({url})"));
    }
    if let Some(commit) = &surroundings.commit {
        let hex = short_commit(commit);
        sources.extend((!hex.is_empty()).then(|| format!("commit `{hex}`")));
    }
    sources.push(format!("bench-diff {}", env!("CARGO_PKG_VERSION")));
    text.push_str(&format!("<sub>{}</sub>\n", sources.join(" · ")));
    text
}

fn next(report: &Report, accepted: bool) -> String {
    if report.failure.is_some() {
        return "find out why in the run's log, and run it again; until then nothing is known about this commit."
            .to_owned();
    }
    let Some(comparison) = &report.comparison else {
        return "commit a baseline, and the next pull request is compared with it: download `results.json` from the \
                run, then `bench-diff baseline update results.json`."
            .to_owned();
    };
    let count = |verdict| comparison.rows.iter().filter(|row| row.verdict() == verdict).count();
    let noted = |kind| comparison.notes.iter().any(|note| note.kind == kind);
    if count(Verdict::Regressed) > 0 && accepted {
        return "nothing: the regression is accepted for this pull request. After merging, update the baseline with \
                `bench-diff baseline update results.json`."
            .to_owned();
    }
    if count(Verdict::Regressed) > 0 {
        return "find the cause, or, if it is worth it, a maintainer comments `bench-accept: <reason>` and re-runs the \
                check."
            .to_owned();
    }
    if noted(NoteKind::Failed) || noted(NoteKind::Missing) {
        return "see above why cases gave no numbers: they are not covered by this verdict.".to_owned();
    }
    if noted(NoteKind::FellBack) {
        return "find out why the asked-for implementation didn't run: the warnings in the results say it.".to_owned();
    }
    if noted(NoteKind::OutputChanged) {
        return "check that the changed output is intended: the same input gave other tokens than before.".to_owned();
    }
    if count(Verdict::NotComparable) > 0 {
        return "measure a baseline on this hardware and commit it: `bench-diff baseline update results.json`."
            .to_owned();
    }
    if comparison.rows.iter().any(|row| row.is_unconfirmed()) {
        return settle_unconfirmed(comparison);
    }
    if count(Verdict::Inconclusive) > 0 {
        return settle(comparison);
    }
    match count(Verdict::Improved) {
        0 => "nothing to do.".to_owned(),
        _ => "after merging, keep the gain: `bench-diff baseline update results.json`.".to_owned(),
    }
}

fn settle_unconfirmed(comparison: &Comparison) -> String {
    let missing = HISTORY.saturating_sub(comparison.base_occasions.unwrap_or(1)).max(1);
    format!(
        "to settle what is unconfirmed, let the base be built or named beside the baseline, so that both are measured \
         interleaved; or add to the baseline {}, with `bench-diff baseline update`.",
        more_sessions(missing, "")
    )
}

fn settle(comparison: &Comparison) -> String {
    match comparison.rows.iter().filter_map(|row| row.runs_needed()).max() {
        Some(runs) => format!("to settle what is inconclusive, measure again with `--runs {runs}`."),
        None => "see above what would settle the inconclusive rows.".to_owned(),
    }
}
