//! Reports to publish.

use bench_diff::compare::*;
use bench_diff::metric;
use bench_diff::report::{Answer, Origin, ReleaseComparison, Report};
use bench_diff::results::{Failure, FailureKind, Outcome, Results};
use serde_json::json;

/// `change` of a metric of a case, with a verdict.
pub fn row(case: &str, metric: &str, verdict: Verdict, change: f64) -> Row {
    written(case, metric, verdict, change).into()
}

/// The same as a report holds it.
pub fn written(case: &str, metric: &str, verdict: Verdict, change: f64) -> disk::Row {
    let metric = metric::find(metric).unwrap().definition();
    let base = match metric.unit {
        "tok/s" => 63.12,
        "MiB" => 3_212.0,
        _ => 41.7,
    };
    let timed = metric.kind == metric::Kind::Timed;
    disk::Row {
        case: case.into(),
        metric: metric.name.into(),
        unit: metric.unit.into(),
        better: metric.better,
        verdict,
        reason: match verdict {
            Verdict::Inconclusive => "the interval crosses the floor; 8 runs a side would settle it".into(),
            Verdict::NotComparable => "the GPU differs".into(),
            _ => String::new(),
        },
        reason_code: None,
        confirmed: verdict == Verdict::Regressed,
        base_again: None,
        unconfirmed: false,
        base: Some(Summary { n: 3, mean: base, sd: Some(base * 0.004) }),
        head: Some(Summary { n: 3, mean: base * (1.0 + change), sd: Some(base * 0.004) }),
        change: Some(change),
        interval: timed.then_some([change - 0.007, change + 0.007]),
        confidence: timed.then_some(0.95),
        p: timed.then_some(0.0004),
        p_adjusted: timed.then_some(if change.abs() > 0.02 { 0.0004 } else { 0.31 }),
        df: timed.then_some(11.2),
        p_pooled: None,
        df_pooled: timed.then_some(4.0),
        noise_threshold: metric.noise_threshold.get(),
        minimum_detectable_effect: timed.then_some(0.012),
        runs_needed: (verdict == Verdict::Inconclusive).then_some(8),
    }
}

/// A row as a file with other words in it would give it.
pub fn edit(row: &mut Row, edit: impl FnOnce(&mut disk::Row)) {
    let mut written = disk::Row::from(&*row);
    edit(&mut written);
    *row = written.into();
}

/// `name` wherever a row holds text.
pub fn name_all(row: &mut Row, name: &str) {
    edit(row, |row| {
        (row.case, row.metric, row.unit, row.reason) = (name.into(), name.into(), name.into(), name.into());
        row.reason_code = Some(name.into());
    });
}

pub fn comparison(rows: Vec<Row>) -> Comparison {
    let mut comparison = Comparison {
        verdict: Verdict::Unchanged,
        counts: Counts::default(),
        by_metric: vec![],
        tier: Tier::Confirmed,
        base_occasions: None,
        alpha: 0.05,
        family: rows.len(),
        common_shift: Default::default(),
        rows,
        notes: vec![],
        differences: vec![],
        warnings: vec![],
    };
    comparison.summarize();
    comparison
}

/// Results of these cases on an H100: three runs, a bit apart from each other.
pub fn results(cases: &[&str], started: &str, commit: &str) -> Results {
    let case = |id: &&str| {
        json!({
            "id": id, "model": "Qwen/Qwen2.5-0.5B-Instruct", "weights": "generated", "quantization": "none",
            "dtype": "bf16", "engine": "candle", "implementation": "graph", "device": "cuda", "gpus": 1,
            "batch_size": 1, "context_length": 1, "generated_length": 2048,
        })
    };
    let runs = (1..=3).flat_map(|round| {
        cases.iter().map(move |id| {
            let spread = 1.0 + (f64::from(round) - 2.0) * 0.004;
            json!({
                "case": id, "round": round, "started": started, "status": "ok",
                "metrics": {
                    "decode_throughput": 63.12 * spread, "ttft": 41.7 * spread, "itl_p99": 41.9 * spread,
                    "peak_memory": 3212.0,
                },
                "device": { "sm_clock_mhz": 1980.0, "memory_clock_mhz": 2619.0 },
            })
        })
    });
    serde_json::from_value(json!({
        "schema": 1,
        "suite": "smoke",
        "cases": cases.iter().map(case).collect::<Vec<_>>(),
        "settings": { "runs": 3, "warmup": 1, "prompt": "seed" },
        "sessions": [{
            "id": commit, "started": started, "finished": started,
            "program": {
                "name": "bench-diff", "version": "0.1.0", "commit": commit, "candle_version": "0.11.1",
            },
            "environment": {
                "gpus": [{ "name": "NVIDIA H100 80GB HBM3", "memory_mib": 81559 }],
                "driver_version": "580.65.06", "cpu": "Intel Xeon", "cpu_cores": 16, "os": "Linux", "kernel": "6.8",
            },
            "runs": runs.collect::<Vec<_>>(),
        }],
    }))
    .unwrap()
}

pub const SMALL: &str = "Qwen2.5-0.5B-Instruct/bf16/1";
pub const LONG: &str = "Qwen2.5-0.5B-Instruct/bf16/6144";
pub const LARGE: &str = "Qwen2.5-7B-Instruct/bf16/6144";

/// A report with these rows.
pub fn report(rows: Vec<Row>) -> Report {
    let cases = [SMALL, LONG, LARGE];
    let mut base = results(&cases, "2026-11-20T08:00:00Z", super::fake::BASE_SHA);
    base.label = Some("v1.2.0".into());
    let head = results(&cases, "2026-11-24T08:00:00Z", super::fake::HEAD_SHA);
    of(head, Answer::Compared { base, comparison: comparison(rows), release: None })
}

fn of(head: Results, answer: Answer) -> Report {
    let origin = Some(origin(super::fake::HEAD_SHA, 42));
    Report { origin, ..Report::of(head, "nvidia-h100-80gb-hbm3".into(), answer) }
}

/// The base and the comparison with it.
pub fn compared(report: &mut Report) -> (&mut Results, &mut Comparison) {
    match &mut report.answer {
        Answer::Compared { base, comparison, .. } => (base, comparison),
        other => panic!("nothing was compared: {other:?}"),
    }
}

/// With a comparison with a release as well.
pub fn since(report: &mut Report, label: &str, comparison: Comparison) {
    let Answer::Compared { release, .. } = &mut report.answer else { panic!("nothing was compared") };
    *release = Some(ReleaseComparison { label: label.into(), comparison });
}

pub fn origin(commit: &str, run: u64) -> Origin {
    Origin { commit: Some(commit.into()), run_id: Some(run), run_attempt: Some(1) }
}

/// Nothing could be measured.
pub fn failed() -> Report {
    let mut head = results(&[SMALL], "2026-11-24T08:00:00Z", super::fake::HEAD_SHA);
    for run in &mut head.sessions[0].runs {
        let reason = "the GPU fell off the bus: see :fire: 1234567 and @octocat".into();
        run.outcome = Outcome::Failed(Failure { kind: FailureKind::Crashed, reason });
    }
    let why = format!("every run failed: {SMALL}: the GPU fell off the bus");
    of(head, Answer::Failed { why })
}

pub fn unchanged() -> Report {
    report(vec![row(SMALL, "decode_throughput", Verdict::Unchanged, 0.001)])
}

pub fn regressed() -> Report {
    report(vec![
        row(SMALL, "decode_throughput", Verdict::Unchanged, 0.001),
        row(LONG, "decode_throughput", Verdict::Regressed, -0.041),
        row(LONG, "ttft", Verdict::Inconclusive, 0.018),
        row(LONG, "peak_memory", Verdict::Improved, -0.12),
        row(LARGE, "decode_throughput", Verdict::Unchanged, -0.002),
        row(LARGE, "ttft", Verdict::Regressed, 0.062),
    ])
}

/// A screen: two rows look changed, which drift could explain as well.
pub fn unconfirmed() -> Report {
    let looks_changed = |case, metric, change: f64| -> Row {
        let row = written(case, metric, Verdict::Inconclusive, change);
        let reason = format!(
            "{:+.1}%, unconfirmed: 3 more sessions of the base, at least 6 hours apart, or base and head measured \
             interleaved would settle it",
            change * 100.0
        );
        disk::Row { unconfirmed: true, runs_needed: None, reason, ..row }.into()
    };
    let mut report = report(vec![
        looks_changed(LONG, "decode_throughput", -0.071),
        looks_changed(LARGE, "ttft", -0.064),
        row(SMALL, "ttft", Verdict::Inconclusive, 0.018),
        row(SMALL, "decode_throughput", Verdict::Unchanged, 0.001),
    ]);
    let (_, comparison) = compared(&mut report);
    (comparison.tier, comparison.base_occasions) = (Tier::SingleBaseline, Some(2));
    report
}

pub fn first_run() -> Report {
    checked(None)
}

/// A first run with this self-check.
pub fn checked(self_check: Option<Comparison>) -> Report {
    Report { answer: Answer::FirstRun { self_check, release: None }, ..unchanged() }
}
