//! Screen and confirm: what looks changed is measured again, base and head interleaved, before anyone is alarmed.

use std::collections::{HashMap, HashSet};

use super::design::Design;
use super::matching::match_sides;
use super::screen;
use super::test::{Assessment, Test};
use super::verdict::{Rule, describe, tested_row};
use super::{Comparison, Options, Row, Side, Tier, Verdict};
use crate::error::Result;
use crate::stats::{self, Prior};

/// Unadjusted p below which a cell is measured again.
const SUSPECT_P: f64 = 0.10;
/// Fewest and most fresh runs a side.
const RUNS: (f64, f64) = (5.0, 10.0);

/// A cell that looks changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    pub case: String,
    pub metric: String,
    /// Fresh runs a side that should settle it.
    pub runs: u32,
}

/// The timed cells of a screen to measure again. Drift between sessions counts as a reason to look, not as an excuse.
pub fn suspects(base: &Side, head: &Side, options: &Options) -> Result<Vec<Suspect>> {
    let suspect = |(pair, assessment): (super::matching::Pair, Assessment)| match assessment {
        Assessment::Tested(test) if test.p_without_drift() < SUSPECT_P => Some(Suspect {
            case: pair.case.to_owned(),
            metric: pair.metric.to_string(),
            runs: fresh_runs(test.moderated.variance.sqrt(), pair.margin),
        }),
        _ => None,
    };
    Ok(screen::tests(base, head, options)?.into_iter().filter_map(suspect).collect())
}

/// 2 (2.6 s / ln(1 + m))^2: 80% power for a change of the size of the margin, within bounds.
fn fresh_runs(sd: f64, margin: f64) -> u32 {
    let runs = (2.0 * (2.6 * sd / margin.ln_1p()).powi(2)).ceil();
    runs.clamp(RUNS.0, RUNS.1) as u32
}

/// Replaces the suspects' rows by what the fresh runs say. `base` and `head` hold only those, measured interleaved.
///
/// A plain pooled t-test: suspects were chosen for looking extreme, so the screen's prior isn't used. A suspect without
/// fresh runs on both sides stays open.
pub fn confirm(
    mut screen: Comparison,
    suspects: &[Suspect],
    base: &Side,
    head: &Side,
    options: &Options,
) -> Result<Comparison> {
    if suspects.is_empty() {
        return Ok(screen);
    }
    let design = match Design::of(base, head, options.same_session) {
        Design::Apart => Design::OneSession,
        design => design,
    };
    let wanted: HashSet<(&str, &str)> = suspects.iter().map(|s| (&*s.case, &*s.metric)).collect();
    // The suspects say what is compared, whatever the selection.
    let options = Options { metrics: vec!["all".to_owned()], ..options.clone() };
    let mut pairs = match_sides(base, head, &design, &options)?.pairs;
    pairs.retain(|pair| wanted.contains(&(pair.case, pair.metric.as_str())));
    let tests: Vec<Option<Test>> = pairs
        .iter()
        .map(|pair| {
            let evidence = design.evidence(pair).filter(|evidence| evidence.difference.spread.df > 0.0)?;
            let clean = pair.dropped == [0, 0];
            clean.then(|| Test { evidence, moderated: Prior::NONE.moderate(evidence.difference.spread) })
        })
        .collect();
    let p: Vec<f64> = tests.iter().flatten().map(Test::p).collect();
    let mut adjusted = stats::holm(&p).into_iter();
    let mut rule = Rule::confirm(options.alpha, p.len());
    let mut fresh: HashMap<(String, String), Row> = HashMap::new();
    for (pair, test) in pairs.iter().zip(&tests) {
        let row = match test {
            Some(test) => {
                let adjusted = adjusted.next().expect("one p for each test");
                tested_row(pair, test, test.p(), adjusted, &mut rule)
            }
            None => describe(pair),
        };
        fresh.insert((row.case.clone(), row.metric.clone()), row);
    }
    for row in &mut screen.rows {
        if !wanted.contains(&(row.case.as_str(), row.metric.as_str())) {
            continue;
        }
        match fresh.remove(&(row.case.clone(), row.metric.clone())).filter(|fresh| fresh.confirmed) {
            Some(fresh) => *row = fresh,
            None => {
                row.verdict = Verdict::Inconclusive;
                row.reason = format!("looks changed, and couldn't be measured again: {}", row.reason);
            }
        }
    }
    screen.tier = Tier::Confirmed;
    screen.family = p.len();
    screen.summarize();
    Ok(screen)
}
