//! The comment's text, as a person reads it.

use std::sync::LazyLock;

use bench_diff::render::pull_request::{Surroundings, comment, summary, title};
use bench_diff::report::{self, Acceptance, Report};

use bench_diff::compare::{Options, Verdict};
use bench_diff::results::{FailureKind, Results};
use serde_json::{Value, json};

use crate::fake::{BASE_SHA, HEAD_SHA};
use crate::reports::{
    LARGE, LONG, NOISY, SMALL, Samples, confirmed, first_run, forged, in_turn, judged, metrics, regressed,
    self_checked, since, three_cases, unchanged, unconfirmed, worse,
};

fn surroundings() -> Surroundings {
    Surroundings {
        run_url: Some("https://github.test/acme/candle/actions/runs/42".into()),
        commit: Some(HEAD_SHA.into()),
        accepted: None,
    }
}

/// As much as one comment can have to say without traces.
#[test]
fn a_regression() {
    insta::assert_snapshot!(shown("regression", &comment(&much_to_say(), &surroundings())));
}

fn much_to_say() -> Report {
    let (base, options) = three_cases();
    let too_large = "Qwen2.5-72B-Instruct/bf16/1";
    let reason = "needs about 144.2 GiB, but the device has 79.2 GiB: use a shorter context or a smaller model";
    let base =
        base.noise_of(LONG, "ttft", NOISY).with_case(too_large).failing(too_large, FailureKind::DoesNotFit, reason);
    let head = worse(&base).with_case("Qwen2.5-3B-Instruct/bf16/1").with_other_tokens(SMALL);
    let baseline = Results { label: Some("v1.2.0".into()), ..base.clone().driver("575.57.08").history(16..=20) };
    let report = confirmed(baseline, &base, &head, &options);
    let release = base.changed(LARGE, "ttft", -0.05).history(2..=6);
    since(report, "v1.0.0", &release, &options)
}

/// With what traces say of the cases that changed. It is the picture in README.md (`.ci/picture`).
#[test]
fn a_traced_regression() {
    let attributed = json!({ "sections": [traced_decode(), traced_prefill()] });
    let report = forged(&much_to_say(), |report| report["comparison"]["attributed"] = attributed);
    insta::assert_snapshot!(shown("traced", &comment(&report, &surroundings())));
}

/// Three traces that differ by half a thousandth.
fn spread(mean: f64) -> Value {
    json!({ "mean": mean, "min": mean * 0.9995, "max": mean * 1.0005 })
}

fn calls(calls: f64, us_a_call: f64) -> Value {
    let exact = json!({ "mean": calls, "min": calls, "max": calls });
    json!({ "calls": exact, "us_a_call": spread(us_a_call), "us": spread(calls * us_a_call) })
}

fn section(case: &str, section: &str, us: [f64; 2], pauses: [f64; 2]) -> Value {
    let no_kernel = pauses[1] - pauses[0];
    let change = json!({
        "gone": 0.0, "new": 0.0, "calls": 0.0, "speed": us[1] - us[0] - no_kernel, "no_kernel": no_kernel, "unexplained": 0.0
    });
    json!({
        "case": case, "section": section, "traces": 3, "base_us": spread(us[0]), "head_us": spread(us[1]),
        "base_pauses_us": spread(pauses[0]), "head_pauses_us": spread(pauses[1]), "change": change,
        "kernels_as_before": 11, "kernels_us": us[1] - pauses[1], "moved_share": 0.2, "counts": []
    })
}

/// Decode whose kernel is slower.
pub fn traced_decode() -> Value {
    let mut found = section(LONG, "decode", [689.7, 718.9], [92.0, 96.7]);
    found["kernels"] = json!([{
        "what": "slower", "name": "rmsnorm_bf16", "grid": [1, 1, 1], "block": [1024, 1, 1], "change_us": 24.5, "apart": true,
        "base": calls(49.0, 2.0), "head": calls(49.0, 2.5),
        "code": { "is": "other", "registers": [32, 56], "local_bytes": [0, 0] }
    }]);
    let amount =
        |calls: f64| json!({ "calls": spread(calls), "bytes": spread(calls * 4.0), "us": spread(calls * 1.5) });
    found["counts"] = json!([{ "of": "copy", "kind": "device to host", "base": amount(1.0), "head": amount(2.0) }]);
    found
}

fn traced_prefill() -> Value {
    let mut found = section(LARGE, "prefill", [124_600.0, 132_300.0], [410.0, 420.0]);
    found["kernels"] = json!([{
        "what": "slower", "name": "flash_fwd_kernel<128, bf16>", "grid": [48, 28, 1], "block": [128, 1, 1], "apart": true,
        "change_us": 7690.0, "base": calls(28.0, 901.0), "head": calls(28.0, 1175.6), "code": { "is": "other", "registers": [168, 232], "local_bytes": [0, 96] }
    }]);
    found
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

/// The suite leaves out itl_p99, which was measured all the same.
#[test]
fn a_first_run() {
    insta::assert_snapshot!(shown("first-run", &comment(&first_run(), &surroundings())));
}

/// The same build on both sides: what seems to differ is the machine's noise, and is said so.
#[test]
fn a_first_run_on_a_noisy_machine() {
    let build = Samples::of(HEAD_SHA, &[SMALL, LARGE]).noise(0.012);
    // Something else ran when the head did.
    let disturbed = build.clone().seed("as head").changed(SMALL, "ttft", 0.04).changed(LARGE, "itl_p99", 0.24);
    let said = comment(&self_checked(&build, &disturbed, &Options::default()), &surroundings());
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

/// The card was allowed less power when the baseline was measured.
#[test]
fn not_comparable() {
    let text = comment(&judged(Verdict::NotComparable), &surroundings());
    assert!(!text.contains("🔴") && !text.contains("🟢"));
    insta::assert_snapshot!(shown("not-comparable", &text));
}

/// What a file claims to follow from its rows isn't believed.
#[test]
fn the_headline_follows_from_the_rows() {
    let mut claimed = serde_json::to_value(regressed()).unwrap();
    let comparison = &mut claimed["comparison"];
    for count in comparison["counts"].as_object_mut().unwrap().values_mut() {
        *count = json!(0);
    }
    (comparison["by_metric"], comparison["verdict"]) = (json!([]), json!("unchanged"));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    std::fs::write(&path, claimed.to_string()).unwrap();
    let read = report::read(&path).unwrap();
    assert_eq!(read, forged(&regressed(), |_| ()));
    assert_eq!(read.comparison().unwrap().verdict, Verdict::Regressed);
    assert_eq!(
        title(&read),
        "🔴 Slower: decode −4.1% in 1 of 3 cases, TTFT +6.2% in 1 of 3 · 🟢 Less: peak memory −12.0% in 1 of 3 cases"
    );
}

#[test]
fn two_thousand_rows_fit() {
    let cases: Vec<String> = (0..2000).map(|i| format!("Qwen2.5-0.5B-Instruct/bf16/{i}")).collect();
    let base = Samples::of(BASE_SHA, &cases);
    let change = |i: usize| [-0.03 - i as f64 / 1e5, -0.016, 0.0][i % 3];
    let head = cases.iter().enumerate();
    let head = head.fold(base.at(HEAD_SHA), |head, (i, case)| head.changed(case, "decode_throughput", change(i)));
    let report = in_turn(&base, &head, &metrics(&["decode_throughput"]));
    let counts = report.comparison().unwrap().counts;
    assert!([counts.regressed, counts.inconclusive, counts.unchanged].iter().all(|rows| *rows > 500), "{counts:?}");
    let text = comment(&report, &surroundings());
    assert!(text.len() < 60_000, "{}", text.len());
    assert!(text.starts_with("### 🔴 Slower: decode −2.0% to −5.5% in 694 of 2000 cases ·"), "{}", &text[..200]);
    assert!(text.contains("more in the full report"));
    assert!(text.ends_with("bench-diff 0.1.0\n"), "the end is there");
    let summary = summary(&report, &surroundings());
    assert!(summary.len() < 1 << 20);
    assert!((0..2000).all(|i| summary.contains(&format!("**{i}**"))), "the summary has every row");
}

#[test]
fn whatever_is_forged_in_a_report_the_comment_is_short() {
    let long = "x|`@everyone`\u{202e}".repeat(10_000);
    let report = forged(&regressed(), |file| {
        (file["suite"], file["hardware"]) = (json!(long), json!(long));
        file["head"]["sessions"][0]["environment"]["gpus"][0]["name"] = json!(long);
        file["comparison"]["warnings"] = json!(vec![&long; 1000]);
        let one = file["comparison"]["rows"][0].clone();
        for row in rows(file) {
            name_all(row, &long);
            row["change"] = json!(1e308);
        }
        // As many rows as runs, all of one case: whatever is looked up for each row must not be quadratic.
        let one = with(&one, "case", "one");
        rows(file).extend(std::iter::repeat_n(one, 100_000));
        let runs = file["head"]["sessions"][0]["runs"].as_array_mut().unwrap();
        let run = with(&runs[0], "case", "one");
        runs.extend(std::iter::repeat_n(run, 100_000));
        let note = json!({ "case": long, "kind": "failed", "fails": true, "reason": long });
        file["comparison"]["notes"] = json!(vec![note; 5000]);
    });
    let text = comment(&report, &surroundings());
    assert!(text.len() < 60_000, "{}", text.len());
}

fn rows(file: &mut Value) -> &mut Vec<Value> {
    file["comparison"]["rows"].as_array_mut().unwrap()
}

fn with(of: &Value, key: &str, value: &str) -> Value {
    let mut changed = of.clone();
    changed[key] = json!(value);
    changed
}

/// `name` wherever a row holds text.
fn name_all(row: &mut Value, name: &str) {
    for text in ["case", "metric", "unit", "reason", "reason_code"] {
        row[text] = json!(name);
    }
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
    static REPORT: LazyLock<Report> = LazyLock::new(regressed);
    forged(&REPORT, |file| {
        (file["suite"], file["hardware"], file["base"]["label"]) = (json!(name), json!(name), json!(name));
        let session = &mut file["head"]["sessions"][0];
        session["environment"]["gpus"][0]["name"] = json!(name);
        session["environment"]["driver_version"] = json!(name);
        session["program"]["commit"] = json!(name);
        for session in file["base"]["sessions"].as_array_mut().unwrap() {
            (session["program"]["commit"], session["program"]["version"]) = (Value::Null, json!(name));
        }
        rows(file).iter_mut().for_each(|row| name_all(row, name));
        let comparison = &mut file["comparison"];
        comparison["warnings"] = json!([name]);
        let kinds = ["failed", "missing", "fell_back", "new", "output_changed"];
        let note = |kind| json!({ "case": name, "kind": kind, "fails": false, "reason": name });
        comparison["notes"] = kinds.map(note).into();
        comparison["differences"] = json!([{ "field": name, "base": name, "head": name, "blocks": true }]);
        file["release"] = json!({ "label": name, "comparison": comparison });
    })
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
