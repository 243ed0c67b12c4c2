//! The comment's text, as a person reads it.

use bench_diff::render::pull_request::{Surroundings, comment, summary, title};
use bench_diff::report::{self, Acceptance, Report};

use bench_diff::compare::{CaseNote, Difference, NoteKind, Row, Sides, Summary, Verdict};

use crate::reports::{
    LARGE, SMALL, checked, compared, comparison, edit, name_all, regressed, report, row, since, unchanged, unconfirmed,
};

fn surroundings() -> Surroundings {
    Surroundings {
        run_url: Some("https://github.test/acme/candle/actions/runs/42".into()),
        commit: Some(crate::fake::HEAD_SHA.into()),
        accepted: None,
    }
}

#[test]
fn a_regression() {
    let mut report = regressed();
    let (_, comparison) = compared(&mut report);
    for (case, kind, reason) in [
        (SMALL, NoteKind::OutputChanged, "same settings, other tokens"),
        ("Qwen2.5-72B-Instruct/bf16/1", NoteKind::Failed, "needs 144 GiB, the GPU has 80 GiB"),
        ("Qwen2.5-3B-Instruct/bf16/1", NoteKind::New, "not in the baseline"),
    ] {
        comparison.notes.push(CaseNote { case: case.into(), kind, fails: false, reason: reason.into() });
    }
    comparison.differences.push(Difference {
        field: "driver".into(),
        base: "575.57".into(),
        head: "580.65.06".into(),
        blocks: false,
    });
    comparison.warnings.push("decode of all cases moved by 1.2%: suspect the machine".into());
    let rows = vec![row(LARGE, "ttft", Verdict::Regressed, 0.11)];
    since(&mut report, "v1.0.0", crate::reports::comparison(rows));
    insta::assert_snapshot!(shown("regression", &comment(&report, &surroundings())));
}

#[test]
fn nothing_changed() {
    insta::assert_snapshot!(shown("unchanged", &comment(&unchanged(), &surroundings())));
}

#[test]
fn what_looks_changed_and_is_unconfirmed() {
    let text = comment(&unconfirmed(), &surroundings());
    assert!(!text.contains("🔴") && !text.contains("🟢"), "nothing is called slower or faster: {text}");
    insta::assert_snapshot!(shown("unconfirmed", &text));
}

#[test]
fn a_first_run() {
    // The suite leaves out itl_p99, which was measured all the same.
    let metrics = ["decode_throughput", "ttft", "peak_memory"];
    let rows = metrics.map(|metric| row(SMALL, metric, Verdict::Unchanged, 0.001)).to_vec();
    insta::assert_snapshot!(shown("first-run", &comment(&checked(Some(comparison(rows))), &surroundings())));
}

/// The same build on both sides: what seems to differ is the machine's noise, and is said so.
#[test]
fn a_first_run_on_a_noisy_machine() {
    let rows = [("decode_throughput", 0.001), ("ttft", 0.031), ("itl_p99", 0.240), ("peak_memory", 0.0)];
    let rows = rows.map(|(metric, change)| Row {
        sides: Sides {
            base: Some(Summary { n: 3, mean: 40.0, geometric_mean: None, sd: Some(2.0) }),
            head: Some(Summary { n: 3, mean: 40.0 * (1.0 + change), geometric_mean: None, sd: Some(2.0) }),
            dropped: [0, 0],
        },
        ..row(SMALL, metric, Verdict::Inconclusive, change)
    });
    let said = comment(&checked(Some(comparison(rows.to_vec()))), &surroundings());
    assert!(!said.contains("regressed"), "{said}");
    insta::assert_snapshot!(shown("noisy-first-run", &said));
}

#[test]
fn an_accepted_regression() {
    let accepted = Acceptance {
        by: "ada".into(),
        reason: "exact softmax is worth 4%".into(),
        url: "https://github.test/acme/candle/pull/7#issuecomment-3".into(),
    };
    let text = comment(&regressed(), &Surroundings { accepted: Some(accepted), ..surroundings() });
    insta::assert_snapshot!(shown("accepted", &text));
}

#[test]
fn not_comparable() {
    let mut report = report(vec![row(SMALL, "ttft", Verdict::NotComparable, 0.5)]);
    compared(&mut report).1.differences.push(Difference {
        field: "GPU".into(),
        base: "NVIDIA A100-SXM4-80GB".into(),
        head: "NVIDIA H100 80GB HBM3".into(),
        blocks: true,
    });
    let text = comment(&report, &surroundings());
    assert!(!text.contains("🔴") && !text.contains("🟢"));
    insta::assert_snapshot!(shown("not-comparable", &text));
}

/// What a file claims to follow from its rows isn't believed.
#[test]
fn the_headline_follows_from_the_rows() {
    let mut claimed = regressed();
    let (_, comparison) = compared(&mut claimed);
    (comparison.counts, comparison.by_metric) = Default::default();
    comparison.verdict = Verdict::Unchanged;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    report::write(&claimed, &path).unwrap();
    let read = report::read(&path).unwrap();
    assert_eq!(read.comparison().unwrap().verdict, Verdict::Regressed);
    assert_eq!(
        title(&read),
        "🔴 Slower: decode −4.1% in 1 of 3 cases, TTFT +6.2% in 1 of 2 · 🟢 Less: peak memory −12.0%"
    );
}

#[test]
fn two_thousand_rows_fit() {
    let rows: Vec<_> = (0..2000)
        .map(|i| {
            let verdict = [Verdict::Regressed, Verdict::Inconclusive, Verdict::Unchanged][i % 3];
            row(&format!("Qwen2.5-0.5B-Instruct/bf16/{i}"), "decode_throughput", verdict, -0.03 - i as f64 / 1e5)
        })
        .collect();
    let report = report(rows);
    let text = comment(&report, &surroundings());
    assert!(text.len() < 60_000, "{}", text.len());
    assert!(text.starts_with("### 🔴 Slower: decode −3.0% to −5.0% in 667 of 2000 cases\n"));
    assert!(text.contains("more in the full report"));
    assert!(text.ends_with("bench-diff 0.1.0\n"), "the end is there");
    let summary = summary(&report, &surroundings());
    assert!(summary.len() < 1 << 20);
    assert!((0..2000).all(|i| summary.contains(&format!("**{i}**"))), "the summary has every row");
}

#[test]
fn whatever_is_in_a_report_the_comment_is_short() {
    let long = "x|`@everyone`\u{202e}".repeat(10_000);
    let mut report = regressed();
    report.suite = long.clone();
    report.hardware = long.clone();
    report.head.sessions[0].environment.gpus[0].name = long.clone();
    let (_, comparison) = compared(&mut report);
    comparison.warnings = vec![long.clone(); 1000];
    for row in &mut comparison.rows {
        name_all(row, &long);
        edit(row, |row| row.change = Some(1e308));
    }
    // As many rows as runs, all of one case: whatever is looked up for each row must not be quadratic.
    let many = (0..100_000).map(|_| row("one", "ttft", Verdict::Inconclusive, 0.01));
    comparison.rows.extend(many);
    let mut run = report.head.sessions[0].runs[0].clone();
    run.case = "one".into();
    report.head.sessions[0].runs.extend(std::iter::repeat_n(run, 100_000));
    let (_, comparison) = compared(&mut report);
    let notes =
        (0..5000).map(|_| CaseNote { case: long.clone(), kind: NoteKind::Failed, fails: true, reason: long.clone() });
    comparison.notes = notes.collect();
    let text = comment(&report, &surroundings());
    assert!(text.len() < 60_000, "{}", text.len());
}

#[test]
fn hostile_names_stay_names() {
    for name in [
        "@octocat #1 GH-1 acme/candle#1",
        "a | b \\| c \\\\| d `|` e",
        "</summary></details><img src=x onerror=alert(1)><script>alert(1)</script>",
        "`` ` ``` code\n\n# heading\n\n- list",
        "[link](https://evil.example) ![image](https://evil.example/x.png) https://evil.example www.evil.example",
        "a@evil.example <https://evil.example> [x]: https://evil.example",
        "::set-output name=verdict::fine\n::error::x\n<!-- bench-diff suite=smoke gpu=x run=9 -->",
        "\u{202e}\u{200b}\u{1b}[31m\r\nbench-accept: no",
        "*bold* _it_ ~~no~~ $x$ :tada: &lt; \\",
    ] {
        let text = comment(&named(name), &surroundings());
        assert!(!text.contains(['\u{202e}', '\u{1b}', '\r']), "{name}");
        assert!(!text.lines().any(|line| line.starts_with("::") || line.starts_with("bench-accept:")), "{text}");
        check_html(&gfm(&text), name);
    }
    insta::assert_snapshot!(shown("hostile", &comment(&named("@octocat | <img src=x> `b`"), &surroundings())));
}

/// A report that carries `name` wherever a name or a reason fits.
pub fn named(name: &str) -> Report {
    let mut report = regressed();
    report.suite = name.into();
    report.hardware = name.into();
    report.head.sessions[0].environment.gpus[0].name = name.into();
    report.head.sessions[0].environment.driver_version = Some(name.into());
    report.head.sessions[0].program.commit = Some(name.into());
    let (base, comparison) = compared(&mut report);
    base.label = Some(name.into());
    base.sessions[0].program.commit = None;
    base.sessions[0].program.version = name.into();
    for row in &mut comparison.rows {
        name_all(row, name);
    }
    comparison.warnings.push(name.into());
    for kind in [NoteKind::Failed, NoteKind::Missing, NoteKind::FellBack, NoteKind::New, NoteKind::OutputChanged] {
        comparison.notes.push(CaseNote { case: name.into(), kind, fails: false, reason: name.into() });
    }
    let difference = Difference { field: name.into(), base: name.into(), head: name.into(), blocks: true };
    comparison.differences.push(difference);
    let release = comparison.clone();
    since(&mut report, name, release);
    report.derived()
}

/// As GitHub renders it.
fn gfm(text: &str) -> String {
    let mut options = comrak::Options::default();
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.render.r#unsafe = true;
    comrak::markdown_to_html(text, &options)
}

/// Only our own elements, tables with all their columns, no link but to the run, nobody mentioned.
fn check_html(html: &str, name: &str) {
    const OURS: [&str; 15] = [
        "h3",
        "p",
        "strong",
        "sub",
        "code",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "blockquote",
        "br",
    ];
    let mut columns = (0, 0);
    for tag in html.split('<').skip(1) {
        let element = tag.split(['>', ' ']).next().unwrap().trim_start_matches('/');
        let ours = OURS.contains(&element)
            || element == "pre"
            || tag.starts_with("a href=\"https://github.test/acme/candle/actions/runs/42\"")
            || element == "a" && tag.starts_with("/a>");
        assert!(ours, "<{tag} from {name:?}");
        columns = match tag.split([' ', '>']).next().unwrap() {
            "table" => (0, 0),
            "th" => (columns.0 + 1, 0),
            "tr" => (columns.0, 0),
            "td" => (columns.0, columns.1 + 1),
            "/tr" => {
                assert!(columns.1 == 0 || columns.0 == columns.1, "a row of {columns:?} columns from {name:?}");
                columns
            }
            _ => columns,
        };
    }
    // Mentions and references are looked for in the text outside of code.
    let mut outside = String::new();
    for (i, part) in html.split("<code").enumerate() {
        outside.push_str(if i == 0 { part } else { part.split_once("</code>").unwrap().1 });
    }
    for reference in ["@octocat", "#1", "GH-1", "a@evil"] {
        assert!(!outside.contains(reference), "{reference} from {name:?}");
    }
}

/// With `BENCH_DIFF_SHOW=DIR`, also writes the text to a file, to be looked at as a picture.
fn shown(name: &str, text: &str) -> String {
    if let Some(directory) = std::env::var_os("BENCH_DIFF_SHOW") {
        std::fs::write(std::path::Path::new(&directory).join(format!("{name}.md")), text).unwrap();
    }
    text.to_owned()
}
