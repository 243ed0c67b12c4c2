//! What looks changed is measured again, until it is settled or no look is left.

use bench_diff::compare::{self, Confirmation, LOOKS, Options, Side, Tier, Verdict};
use bench_diff::results::Results;
use serde_json::json;

use crate::compare_support::{Files, case, cell, session};
use crate::other_session;

/// A screen against another session finds suspects; fresh interleaved runs acquit or convict.
#[test]
fn suspects_are_measured_again() {
    let options = Options::default();
    let side = |name: &str, results: &Results| Side::from_results(name, results);
    let base = side("base", &session(|_, _| 1.0));
    // Everything has drifted by 1%, and case 0 is slower on top.
    let head = side("head", &other_session(|case, _| if case == 0 { 1.04 } else { 1.01 }));
    let screen = compare::compare(&base, &head, &options).expect("a comparison");
    assert_eq!(screen.counts.regressed, 0);
    let suspects = compare::suspects(&base, &head, &options).expect("suspects");
    assert!(suspects.len() > 4);
    let mut confirmation = Confirmation::new(screen, suspects.clone(), &options);
    assert_eq!(confirmation.wanted(), Some(LOOKS[0]));
    let fresh = |factor: f64| session(|case, _| if case == 0 { factor } else { 1.0 });
    confirmation.look(&side("base", &fresh(1.0)), &side("head", &fresh(1.09))).expect("a look");
    assert_eq!(confirmation.wanted(), None, "all is settled by the first look");
    let confirmed = confirmation.finish();
    assert_eq!((confirmed.tier, confirmed.verdict), (Tier::Confirmed, Verdict::Regressed));
    assert_eq!(confirmed.family, suspects.len());
    for row in &confirmed.rows {
        let suspect =
            suspects.iter().any(|suspect| (&suspect.case, &suspect.metric) == (&row.cell.case, &row.cell.metric));
        assert_eq!(row.is_confirmed(), suspect, "{} {}", row.cell.case, row.cell.metric);
        if suspect {
            let expected = if row.cell.case == case(0).id { Verdict::Regressed } else { Verdict::Unchanged };
            assert_eq!(
                (row.verdict(), row.finding.tested().unwrap().confidence),
                (expected, 0.99),
                "{} {}",
                row.cell.case,
                row.cell.metric
            );
        }
    }
}

/// Measuring again is dear: only cases of which something changed are, and those as a whole.
#[test]
fn a_case_that_did_not_change_is_no_suspect() {
    let slower = |case: usize, metric: &str| if case == 0 && metric == "ttft" { 1.04 } else { 1.0 };
    let side = |results: &Results| Side::from_results("side", results);
    let suspects = compare::suspects(&side(&session(|_, _| 1.0)), &side(&other_session(slower)), &Options::default());
    let suspects = suspects.expect("suspects");
    let named: Vec<_> = suspects.iter().map(|suspect| (suspect.case.as_str(), suspect.metric.as_str())).collect();
    let changed = case(0);
    assert_eq!(named, ["decode_throughput", "ttft", "itl_p99"].map(|metric| (changed.id.as_str(), metric)));
}

/// What a look has settled stays; what is open is looked at again, until no look is left.
#[test]
fn what_is_open_is_looked_at_again() {
    let options = Options { same_session: true, ..Options::default() };
    let cells = |clear: f64, close: f64, n: usize| {
        let spread = |level: f64| (0..n).map(|i| level * (1.0 + 0.012 * (i % 2) as f64)).collect();
        json!([cell("clear", "ttft", spread(clear)), cell("close", "ttft", spread(close))])
    };
    let sides = |clear: f64, n: usize| {
        let files = Files::new(&cells(10.0, 10.0, n), &cells(clear, 10.11, n));
        compare::load(&files.base(), &files.head(), None).expect("samples")
    };
    let (base, head) = sides(11.0, 4);
    let screen = compare::compare(&base, &head, &options).expect("a comparison");
    let suspects = compare::suspects(&base, &head, &options).expect("suspects");
    assert_eq!(suspects.len(), 2);
    let mut confirmation = Confirmation::new(screen, suspects, &options);
    let mut seen = Vec::new();
    while let Some(runs) = confirmation.wanted() {
        // The clear one is measured no more after the first look.
        let (mut base, head) = sides(11.0, runs as usize);
        if runs > LOOKS[0] {
            base.cases.retain(|case| case.id != "clear");
        }
        confirmation.look(&base, &head).expect("a look");
        seen.push((runs, confirmation.open_cases().into_iter().collect::<Vec<_>>().join(" ")));
    }
    insta::assert_snapshot!(seen.iter().map(|(runs, open)| format!("{runs}: {open}\n")).collect::<String>());
    let rows = confirmation.finish().rows;
    assert_eq!(rows[0].verdict(), Verdict::Regressed);
    assert_eq!(rows[0].sides.base.map(|base| base.n), Some(4));
}

/// A suspect that couldn't be measured again is neither guilty nor innocent.
#[test]
fn a_suspect_without_fresh_runs_stays_open() {
    let options = Options::default();
    let base = Side::from_results("base", &session(|_, _| 1.0));
    let head = Side::from_results("head", &session(|case, _| if case == 0 { 1.05 } else { 1.0 }));
    let screen = compare::compare(&base, &head, &options).expect("a comparison");
    let suspects = compare::suspects(&base, &head, &options).expect("suspects");
    assert_eq!(screen.verdict, Verdict::Regressed);
    let nothing = Side::default();
    let mut confirmation = Confirmation::new(screen, suspects, &options);
    confirmation.look(&nothing, &nothing).expect("a look");
    let confirmed = confirmation.finish();
    assert_eq!((confirmed.counts.regressed, confirmed.verdict), (0, Verdict::Inconclusive));
}
