//! The command that measures the same again. It is for people to copy, so only checked words go into it: full names of
//! commits, known flags, and values that a shell makes nothing of. A program or a command to run never comes from a report.

use super::commit_names::{candle_commit_of, short_commit};
use crate::compare::{Tier, in_turn};
use crate::escape;
use crate::report::{Contenders, Report, Reproduction};
use crate::results::Results;

/// Flags that only say what to measure, and how. Each has one value.
const MEASURING: [&str; 22] = [
    "--config",
    "--suite",
    "--model",
    "--weights",
    "--revision",
    "--quantization",
    "--dtype",
    "--engine",
    "--implementation",
    "--context-lengths",
    "--generated-length",
    "--device",
    "--gpus",
    "--runs",
    "--warmup",
    "--warmup-length",
    "--iterations",
    "--threads",
    "--prompt",
    "--alpha",
    "--candle",
    CONFIRM_BUDGET,
];

/// The minutes that `ci` may measure again. `ab`, which does nothing else, calls them its budget.
const CONFIRM_BUDGET: &str = "--confirm-budget";

/// How to measure again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// Comments above the command, and what comes before it.
    notes: Vec<String>,
    /// The words before the flags, ready for a shell.
    start: Vec<String>,
    /// Each with its value.
    flags: Vec<(String, String)>,
    /// It measures base and head in turn.
    pub in_turn: bool,
}

impl Again {
    /// As the caller of `ab` named the sides, and with its flags. `None` where a name can't be shown.
    pub fn of_ab(old: &str, new: &str, flags: &[String]) -> Option<Self> {
        let start = vec!["ab".to_owned(), escape::shell(old)?, escape::shell(new)?];
        Some(Self { notes: Vec::new(), start, flags: pairs(flags).collect(), in_turn: true })
    }

    /// As a report says it, whoever wrote that.
    pub fn of_report(report: &Report) -> Self {
        let told = report.reproduction.clone().unwrap_or_else(|| guessed(report));
        let known = |(flag, _): &(String, String)| MEASURING.contains(&flag.as_str());
        let flags: Vec<(String, String)> = pairs(&told.flags).filter(known).collect();
        let commits = commits(&told, report);
        let built = report.origin.as_ref().and_then(|origin| origin.commit.as_deref());
        let built = short_commit(built.unwrap_or_default());
        match (told.contenders.known(), commits) {
            (Some(Contenders::Commits), Some(sides)) => {
                let note = "# in a clone; add --build-command and --product, unless it is candle or bench-diff";
                let notes = std::iter::once(note.to_owned()).chain(fetching(&sides.1, report)).collect();
                Self::in_turn(sides, notes, flags, report)
            }
            (Some(Contenders::Engines), Some(sides)) => {
                let notes = fetching(&sides.1, report).into_iter().collect();
                Self::in_turn(sides, notes, flags, report)
            }
            (Some(Contenders::Candles), Some(sides)) => Self::in_turn(sides, Vec::new(), flags, report),
            (Some(Contenders::Programs), _) => {
                let note = "# BASE and HEAD: the two programs".to_owned();
                Self::in_turn(("BASE".to_owned(), "HEAD".to_owned()), vec![note], flags, report)
            }
            (Some(Contenders::Commits | Contenders::Program), _) => {
                let which = if built.is_empty() { String::new() } else { format!(", built at {built}") };
                let notes = vec![format!("# PROGRAM: what was measured{which}")];
                Self { notes, start: words(&["ci", "--head-binary", "PROGRAM"]), flags, in_turn: false }
            }
            _ => {
                let notes = if built.is_empty() { Vec::new() } else { vec![format!("# at {built}")] };
                Self { notes, start: words(&["ci"]), flags, in_turn: false }
            }
        }
    }

    /// As often as it was, where that was one session of both.
    fn in_turn(
        (base, head): (String, String),
        notes: Vec<String>,
        mut flags: Vec<(String, String)>,
        report: &Report,
    ) -> Self {
        let minutes = flags.iter().position(|(flag, _)| flag == CONFIRM_BUDGET).map(|at| flags.remove(at).1);
        flags.retain(|(flag, _)| flag != "--runs");
        if report.comparison().is_some_and(|comparison| comparison.tier == Tier::SameSession) {
            flags.push(("--runs".to_owned(), report.head.settings.runs.to_string()));
        } else if let Some(minutes) = minutes {
            flags.push(("--budget".to_owned(), format!("{minutes}m")));
        }
        Self { notes, start: vec!["ab".to_owned(), base, head], flags, in_turn: true }
    }

    /// With a flag that has no value.
    #[must_use]
    pub fn with_switch(mut self, switch: &str) -> Self {
        self.start.push(switch.to_owned());
        self
    }

    /// The command, and above it what it needs; with so many runs where they are given.
    pub fn command(&self, runs: Option<u32>) -> String {
        let mut flags = self.flags.clone();
        if let Some(runs) = runs {
            let runs = if self.in_turn { in_turn(runs) } else { runs };
            flags.retain(|(flag, _)| flag != "--runs" && flag != "--budget");
            flags.push(("--runs".to_owned(), runs.to_string()));
        }
        let mut notes = self.notes.clone();
        let mut words = [vec!["bench-diff".to_owned()], self.start.clone()].concat();
        for (flag, value) in flags {
            // A value like that would be taken for a flag.
            match escape::shell(&value).filter(|_| !value.starts_with('-')) {
                Some(value) => words.extend([flag, value]),
                None => notes.push(format!("# and {flag}, whose value can't be shown here")),
            }
        }
        notes.push(words.join(" "));
        notes.join("\n") + "\n"
    }
}

/// A clone lacks the merge of a pull request with its base. `head` is a commit's full name, or the checkout.
fn fetching(head: &str, report: &Report) -> Option<String> {
    let own = report.origin.as_ref()?.commit.as_deref()?;
    let is_merge = report.pull_request.is_some() && head != "." && !own.eq_ignore_ascii_case(head);
    is_merge.then(|| format!("# what was measured is the merge with the base\ngit fetch origin {head}"))
}

/// Those of base and head, as far as they are known. Of a candle that a configuration names, the programs know it.
fn commits(told: &Reproduction, report: &Report) -> Option<(String, String)> {
    let sides = (told.base.as_deref(), told.head.as_deref());
    let sides = match (told.contenders.known(), sides) {
        (Some(Contenders::Candles), (None, None)) => candles(report),
        (_, sides) => sides,
    };
    sides.0.and_then(commit).zip(sides.1.and_then(commit))
}

/// The candles of the programs that were measured last.
fn candles(report: &Report) -> (Option<&str>, Option<&str>) {
    fn of(results: &Results) -> Option<&str> {
        candle_commit_of(&results.sessions.last()?.program)
    }
    let (base, head) = report.deciding(true);
    (base.and_then(of), of(head))
}

/// What a report of an older version doesn't say.
fn guessed(report: &Report) -> Reproduction {
    let both = matches!(candles(report), (Some(_), Some(_)));
    let contenders = if both { Contenders::Candles } else { Contenders::ThisProgram };
    let suite = Some(&report.suite).filter(|suite| !suite.is_empty());
    let flags = suite.map(|suite| vec!["--suite".to_owned(), suite.clone()]).unwrap_or_default();
    Reproduction { contenders: contenders.into(), base: None, head: None, flags }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Flags with their values.
fn pairs(flags: &[String]) -> impl Iterator<Item = (String, String)> {
    flags.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()))
}

/// The full name of a commit, which no branch can take; of a checkout with changes, the checkout.
fn commit(text: &str) -> Option<String> {
    let named = |text: &str| matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.strip_suffix("-dirty") {
        Some(commit) if named(commit) => Some(".".to_owned()),
        None if named(text) => Some(text.to_owned()),
        _ => None,
    }
}
