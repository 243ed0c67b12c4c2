//! A trace may be anybody's file: whatever is in it, it is refused in a sentence or shown as text.

use crate::trace;

fn shown(text: &[u8]) -> crate::Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.trace");
    std::fs::write(&file, text).unwrap();
    trace(&[file.to_str().unwrap()])
}

fn of_process(fields: &str) -> String {
    format!(r#"{{"schema":"bench-diff trace 1","processes":[{{"pid":1,"program":"p","ended":true,{fields}}}]}}"#)
}

fn with_kernel(name: &str, rest: &str) -> String {
    let kernel = format!(r#"{{"device":0,"name":0,"grid":[1,1,1],"block":[1,1,1],{rest}}}"#);
    of_process(&format!(r#""names":[{name:?}],"phases":[{{"name":"","kernels":[{kernel}]}}]"#))
}

const SUM: &str = r#""calls":2,"total_ns":20,"min_ns":10,"max_ns":10,"buckets":[[10,2]]"#;

#[test]
fn what_is_no_trace_is_refused() {
    let deep = "[".repeat(200_000);
    let other = of_process("\"names\":[]").replace("trace 1", "trace 2");
    let nameless = with_kernel("a", SUM).replace("\"names\":[\"a\"]", "\"names\":[]");
    let phases = of_process(&format!("\"phases\":[{}]", vec![r#"{"name":"a"}"#; 5000].join(",")));
    for text in ["", "{}", "null", "\0\0\0", &deep, &other, &nameless, &phases, &with_kernel("a", SUM)[..150]] {
        let ran = shown(text.as_bytes());
        assert!(ran.code == 2 && ran.err.lines().count() <= 3, "{:.200}: {}", text, ran.err);
    }
}

#[test]
fn names_are_text() {
    let hostile = "\\u001b[2J\\u202e::error::x\\n::set-output name=a::b";
    let text =
        with_kernel("N", SUM).replace("\"N\"", &format!("\"{hostile}\"")).replace("\"p\"", &format!("\"{hostile}\""));
    let ran = shown(text.as_bytes());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        !ran.out.contains(['\u{1b}', '\u{202e}']) && !ran.out.lines().any(|line| line.trim_start().starts_with("::")),
        "{}",
        ran.out
    );
}

#[test]
fn any_numbers_are_shown() {
    let most = u64::MAX;
    for rest in [
        format!(
            r#""calls":{most},"total_ns":{most},"min_ns":{most},"max_ns":0,"buckets":[[65535,{most}],[65535,{most}],[0,{most}]]"#
        ),
        r#""calls":0,"total_ns":0,"min_ns":0,"max_ns":0"#.to_owned(),
    ] {
        let text = with_kernel("a", &rest);
        let ran = shown(text.as_bytes());
        assert!(ran.code == 0 && !ran.out.contains("NaN"), "{}{}", ran.out, ran.err);
    }
}
