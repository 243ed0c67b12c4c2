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
    on_devices(name, rest, &format!(r#"{{"device":0,"busy":{{{rest}}}}}"#))
}

fn on_devices(name: &str, rest: &str, devices: &str) -> String {
    let kernel = format!(r#"{{"device":0,"name":0,"grid":[1,1,1],"block":[1,1,1],{rest}}}"#);
    let phase = format!(r#"{{"name":"","kernels":[{kernel}],"devices":[{devices}]}}"#);
    of_process(&format!(r#""names":[{name:?}],"phases":[{phase}]"#))
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

/// JSON of something else has no fields that anybody would want to read about, and a file that isn't there is no model.
#[test]
fn what_is_something_else_is_told_so() {
    for text in [r#"{"schema":2,"suite":"small"}"#, r#"[1,2]"#, r#"{"a":{}}"#] {
        let ran = shown(text.as_bytes());
        assert!(ran.err.contains("a.trace: not a trace: its `schema` isn't `bench-diff trace 1`\n"), "{}", ran.err);
    }
    let ran = trace(&["nowhere.trace"]);
    assert_eq!((ran.code, ran.err.lines().next()), (2, Some("error: there is no file nowhere.trace")));
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
    let (ns, most) = (u64::MAX / 2, 1_u64 << 40);
    for rest in [
        r#""calls":0,"total_ns":0,"min_ns":0,"max_ns":0"#.to_owned(),
        format!(r#""calls":{most},"total_ns":{most},"min_ns":1,"max_ns":1,"buckets":[[1,{most}]]"#),
        format!(r#""calls":3,"total_ns":{},"min_ns":{ns},"max_ns":{ns}"#, u64::MAX),
    ] {
        let text = with_kernel("a", &rest);
        let ran = shown(text.as_bytes());
        assert!(ran.code == 0 && !ran.out.contains("NaN"), "{}{}", ran.out, ran.err);
    }
}

/// They can't all be true, and who reads the table would believe them.
#[test]
fn numbers_that_contradict_each_other_are_refused() {
    let most = u64::MAX;
    for (rest, why) in [
        (r#""calls":2,"total_ns":5,"min_ns":10,"max_ns":10"#, "2 calls of 10 to 10 ns take 5 ns in all"),
        (r#""calls":2,"total_ns":50,"min_ns":10,"max_ns":10"#, "2 calls of 10 to 10 ns take 50 ns in all"),
        (r#""calls":2,"total_ns":20,"min_ns":12,"max_ns":8"#, "the shortest call takes 12 ns, and the longest 8"),
        (r#""calls":0,"total_ns":20,"min_ns":0,"max_ns":0"#, "0 calls take 20 ns and have 0 bytes"),
        (r#""calls":2,"total_ns":20,"min_ns":10,"max_ns":10,"buckets":[[10,3]]"#, "2 calls, of which 3 have a time"),
        (
            r#""calls":2,"total_ns":20,"min_ns":10,"max_ns":10,"buckets":[[80,2]]"#,
            "calls of 10 to 10 ns are said to take other times",
        ),
        (
            r#""calls":2,"total_ns":30,"min_ns":10,"max_ns":20,"buckets":[[18,1],[10,1]]"#,
            "its buckets are out of order",
        ),
        (
            &format!(r#""calls":{most},"total_ns":{most},"min_ns":{most},"max_ns":0,"buckets":[[65535,{most}]]"#),
            &format!("the shortest call takes {most} ns, and the longest 0"),
        ),
    ] {
        let ran = shown(with_kernel("gemv", rest).as_bytes());
        let said = format!("a.trace: not a trace: its numbers contradict each other: the kernel `gemv`: {why}\n");
        assert!(ran.code == 2 && ran.err.contains(&said), "{rest}: {}", ran.err);
    }
}

#[test]
fn busy_times_and_copies_that_can_not_be_are_refused() {
    let device = |ns: u64, more: &str| {
        format!(r#"{{"device":0,"busy":{{"calls":1,"total_ns":{ns},"min_ns":{ns},"max_ns":{ns}}}{more}}}"#)
    };
    let said = |devices: &str| {
        let ran = shown(on_devices("a", SUM, devices).as_bytes());
        (ran.code, ran.err)
    };
    assert_eq!(said(&device(20, "")).0, 0);
    let gaps = r#","gaps":{"calls":2,"total_ns":2,"min_ns":1,"max_ns":1}"#;
    for (devices, why) in [
        (device(21, ""), "device 0 ran kernels for 21 ns, and all kernels together take 20 ns\n"),
        (device(9, ""), "device 0 ran kernels for 9 ns, and one of them takes 10 ns\n"),
        (String::new(), "device 0 ran kernels for 0 ns, and one of them takes 10 ns\n"),
        (device(20, gaps), "device 0 has more gaps (2) than stretches in which kernels ran (1)\n"),
    ] {
        let (code, err) = said(&devices);
        assert!(code == 2 && err.contains(why), "{devices}: {err}");
    }
    let copies = r#""phases":[{"name":"decode","copies":[{"device":0,"kind":1,"calls":0,"bytes":64,"total_ns":0,"min_ns":0,"max_ns":0}]}]"#;
    let ran = shown(of_process(copies).as_bytes());
    let why = "the copies of kind 1, in the phase `decode`: 0 calls take 0 ns and have 64 bytes\n";
    assert!(ran.code == 2 && ran.err.contains(why), "{}", ran.err);
}
