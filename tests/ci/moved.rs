//! "What got slower": programs that are slower by construction, and whose traces say why. Their traces are written as the tracer
//! writes them (schemas/trace.v1.json), since there is no GPU here; the card is `devices/nvml.c`.

use std::process::Command;

use serde_json::{Value, json};

use crate::{Place, Said, read};

pub const CONFIG: &str = r#"weights = "generated"
[suites.gpu]
device = "cuda"
models = ["Qwen/Qwen2.5-0.5B"]
context-lengths = [1]
generated-length = 64
limits = { idle-wait-seconds = 0 }
"#;

/// What a traced worker does with its job: it leaves a trace, the next of three.
const TRACED: &str = r#"
if printf '%s' "$job" | grep -q '"traced":{'; then
    traces=$(($(cat "$0.traces" 2>/dev/null || echo 0) + 1))
    echo "$traces" > "$0.traces"
    [ ! -f "$0.no-trace" ] || { cat "$0.no-trace"; exit 0; }
    cp "$0.$((traces % 3)).trace" "$BENCH_DIFF_TRACE_DIRECTORY/$$-1.trace"
    echo '{"event":"loaded","loaded":{"revision":null,"warnings":[],"decode_weight_bytes":1,"kv_bytes_per_token":1,"flops_per_token":1,"attention_flops_per_token_squared":1}}'
    for case in $(printf '%s' "$job" | grep -o '"id":"[^"]*"' | cut -d'"' -f4); do
        parts=$(cat "$0.$((traces % 3)).parts" 2>/dev/null)
        echo "{\"event\":\"case_traced\",\"case\":\"$case\"${parts:+,\"parts\":$parts}}"
    done
    echo '{"event":"done"}'
    exit 0
fi
"#;

/// A kernel: its name, blocks, calls a token, and nanoseconds of a call.
type Kernel = (&'static str, u32, u64, u64);

/// What a program does for a token.
#[derive(Clone)]
pub struct Step {
    pub kernels: Vec<Kernel>,
    /// Nanoseconds in which no kernel runs.
    pub pauses: u64,
    pub copies: u64,
    pub synchronizations: u64,
    /// By so many thousandths a trace takes longer than the one before.
    jitter: u64,
    /// What is done once for the prompt, besides.
    pub prompt: Vec<Kernel>,
}

/// A program of 24 layers.
pub fn usual() -> Step {
    Step {
        kernels: vec![
            ("rmsnorm_bf16", 1, 49, 2000),
            ("_Z4gemvPfS_", 152, 168, 3000),
            ("softmax", 14, 24, 2000),
            ("add", 1, 48, 1000),
        ],
        pauses: 100_000,
        copies: 1,
        synchronizations: 1,
        jitter: 1,
        prompt: Vec::new(),
    }
}

fn sum(calls: u64, ns: u64) -> Value {
    json!({ "calls": calls, "total_ns": calls * ns, "min_ns": ns, "max_ns": ns, "buckets": [] })
}

impl Step {
    pub fn with(self, change: impl FnOnce(&mut Self)) -> Self {
        let mut step = self;
        change(&mut step);
        step
    }

    /// Tokens a second.
    pub fn speed(&self) -> String {
        let busy: u64 = self.kernels.iter().map(|(_, _, calls, ns)| calls * ns).sum();
        format!("{:.3}", 1e9 / (busy + self.pauses) as f64)
    }

    /// As the tracer of one process leaves it.
    fn trace(&self, number: u64) -> Value {
        let names: Vec<&str> = self.kernels.iter().chain(&self.prompt).map(|kernel| kernel.0).collect();
        let pairs =
            (1..=2).flat_map(|repeat| [(format!("one token {repeat}"), 1), (format!("all tokens {repeat}"), 64)]);
        let phases: Vec<Value> = pairs.map(|(name, tokens)| self.phase(&name, tokens, number)).collect();
        json!({
            "schema": "bench-diff trace 1",
            "processes": [{
                "pid": 1, "program": "program", "cupti": { "library": "libcupti.so.13", "version": 130_001 },
                "ended": true, "dropped": 0, "names": names, "phases": phases
            }],
        })
    }

    fn phase(&self, name: &str, tokens: u64, number: u64) -> Value {
        let slower = |ns: u64| ns + ns * self.jitter * number / 1000;
        let times =
            self.kernels.iter().map(|kernel| (kernel, tokens)).chain(self.prompt.iter().map(|kernel| (kernel, 1)));
        let kernels = times.enumerate().map(|(index, ((_, blocks, calls, ns), times))| {
            let place = json!({ "device": 0, "name": index, "grid": [blocks, 1, 1], "block": [256, 1, 1] });
            merged(place, sum(calls * times, slower(*ns)))
        });
        let together = |kernels: &[Kernel]| kernels.iter().map(|(_, _, calls, ns)| calls * slower(*ns)).sum::<u64>();
        let (token, prompt) = (together(&self.kernels), together(&self.prompt));
        let all = tokens * token + prompt;
        let busy = json!({ "calls": tokens, "total_ns": all, "min_ns": token, "max_ns": token + prompt });
        let of_kind = |kind: u32, sum: Value| merged(json!({ "device": 0, "kind": kind }), sum);
        json!({
            "name": name,
            "kernels": kernels.collect::<Vec<_>>(),
            "devices": [{ "device": 0, "busy": busy, "gaps": sum(tokens, slower(self.pauses)) }],
            "copies": [merged(of_kind(2, sum(self.copies * tokens, 3000)), json!({ "bytes": 4 * self.copies * tokens }))],
            "synchronizations": [of_kind(3, sum(self.synchronizations * tokens, 1000))],
        })
    }
}

fn merged(mut object: Value, more: Value) -> Value {
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

/// A machine with a card, and two programs.
pub struct Machine(pub Place);

impl Machine {
    pub fn new() -> Self {
        let place = Place::with_config(CONFIG);
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/devices/nvml.c");
        let library = place.path("libnvidia-ml.so.1");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(library).arg(source).status().unwrap();
        assert!(built.success());
        Self(place)
    }

    pub fn program(&self, name: &str, speed: &str, step: &Step) -> String {
        let template = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ci/program.sh");
        let script = std::fs::read_to_string(template).unwrap();
        let script =
            script.replace("SPEED", speed).replace("COMMIT", if name == "base" { "aaaaaaa" } else { "bbbbbbb" });
        let script = script.replace(r#"{"event":"hello","#, r#"{"event":"hello","protocol":4,"#);
        let script = script.replace("job=$(cat)\n", &format!("job=$(cat)\n{TRACED}"));
        for number in 0..3 {
            let trace = step.trace(number).to_string();
            std::fs::write(self.0.path(&format!("{name}.{number}.trace")), trace).unwrap();
        }
        self.0.install(name, &script)
    }

    pub fn run(&self, args: &[&str]) -> Said {
        let here = self.0.path("").display().to_string();
        let variables = [("LD_LIBRARY_PATH", &*here), ("TMPDIR", &*here), ("BENCH_DIFF_WORKER_CARDS", "Fake H100:80")];
        self.0.run_with(args, &variables)
    }

    /// The comment of `ci`, whose programs are as fast as their steps say.
    pub fn comment(&self, base: &Step, head: &Step) -> String {
        let (base, head) = (self.program("base", &base.speed(), base), self.program("head", &head.speed(), head));
        let (exit, out, err) =
            self.run(&["ci", "--quiet", "--runs", "4", "--base-binary", &base, "--head-binary", &head]);
        assert_eq!(exit, 0, "{out}{err}");
        out.replace('\u{a0}', " ")
    }

    pub fn comparison(&self) -> Value {
        read(&self.0.path(".bench-diff/latest/report.json"))["comparison"].clone()
    }

    /// Of decode's row.
    pub fn cause(&self) -> (String, String) {
        let comparison = self.comparison();
        let rows = comparison["rows"].as_array().unwrap();
        let decode = rows.iter().find(|row| row["metric"] == "decode_throughput").unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&decode["cause"]["word"]), text(&decode["cause"]["evidence"]))
    }
}

/// The first line under the heading of decode.
pub fn first_line(comment: &str) -> String {
    let section = comment.split("decode of ").nth(1).unwrap_or_else(|| panic!("no section: {comment}"));
    section.lines().find(|line| line.starts_with("- ")).unwrap_or_default().to_owned()
}

/// What is planted, what the head then does, the cause, and how the first line begins.
type Plant = (&'static str, Step, &'static str, &'static str);

fn in_kernels() -> Vec<Plant> {
    let slower_norm = |step: &mut Step| step.kernels[0].3 = 2500;
    let more_launches = |step: &mut Step| {
        step.kernels[3].2 = 72;
        step.pauses += 60_000;
    };
    let renamed = |step: &mut Step| step.kernels[2] = ("softmax_v2", 14, 24, 3000);
    vec![
        (
            "a kernel is slower",
            usual().with(slower_norm),
            "code",
            "`rmsnorm_bf16`: 2.002 → 2.502 µs a call (+25.0%), 49 calls a token: **+24.5 µs** of the +24.5 µs",
        ),
        ("one more launch a layer", usual().with(more_launches), "code", "`add`: 48 → 72 calls a token"),
        (
            "a new kernel",
            usual().with(|step| step.kernels.push(("scale", 1, 24, 1500))),
            "code",
            "`scale` is new: 24 calls a token, 1.50",
        ),
        (
            "another grid and slower",
            usual().with(|step| step.kernels[0] = ("rmsnorm_bf16", 8, 49, 2500)),
            "code",
            "`rmsnorm_bf16`: other grid 1 × 256 → 8 × 256, 2.002 → 2.502 µs a call (+25.0%), 49 calls a token: **+24.5 µs**",
        ),
        (
            "another name and slower",
            usual().with(renamed),
            "code",
            "`softmax` → `softmax_v2` (perhaps renamed): 2.002 → 3.003 µs a call",
        ),
    ]
}

fn beside_kernels() -> Vec<Plant> {
    let waits = |step: &mut Step| {
        step.synchronizations = 2;
        step.pauses += 40_000;
    };
    let copies = |step: &mut Step| {
        step.copies = 2;
        step.pauses += 40_000;
    };
    let pauses = |step: &mut Step| {
        step.pauses += 30_000;
        step.kernels[2].3 += 90;
    };
    let synchronization = "synchronisations of a stream: 1 → 2 a token";
    let copy = "copies device to host: 1 → 2 a token, 4 → 8 bytes: **+3.00 µs**";
    vec![
        ("a synchronisation a token", usual().with(waits), "code", synchronization),
        ("a copy a token", usual().with(copies), "code", copy),
        ("longer pauses", usual().with(pauses), "host", "no kernel ran for 100.1 → 130.1 µs a token"),
    ]
}

#[test]
fn the_first_line_names_what_was_planted() {
    let machine = Machine::new();
    for (what, head, word, line) in in_kernels().into_iter().chain(beside_kernels()) {
        let comment = machine.comment(&usual(), &head);
        let said = first_line(&comment);
        assert!(said.starts_with(&format!("- {line}")), "{what}: {said}\n{comment}");
        assert_eq!(machine.cause().0, word, "{what}: {}", machine.cause().1);
        assert!(comment.contains("What got slower"), "{comment}");
        assert!(comment.contains(&format!("cause: {word}")), "{comment}");
    }
}

#[test]
fn the_comment_as_its_reader_sees_it() {
    let machine = Machine::new();
    let head = usual().with(|step| {
        step.kernels[0].3 = 2500;
        step.kernels[3].2 = 72;
        step.kernels[2] = ("softmax_v2", 14, 24, 1800);
        step.copies = 2;
        step.pauses += 60_000;
    });
    let comment = machine.comment(&usual(), &head);
    insta::assert_snapshot!("what_got_slower", machine.0.plain(&comment));
    let attributed = &machine.comparison()["attributed"]["sections"][0];
    assert_eq!((&attributed["section"], &attributed["traces"]), (&json!("decode"), &json!(3)));
    let parts = &attributed["change"];
    let sum: f64 = parts.as_object().unwrap().values().map(|part| part.as_f64().unwrap()).sum();
    let mean = |side: &str| attributed[side]["mean"].as_f64().unwrap();
    assert!((sum - (mean("head_us") - mean("base_us"))).abs() < 1e-6, "the parts add up: {attributed}");
}

/// One persistent kernel: a trace sees its whole, and says that it doesn't see more.
#[test]
fn what_is_inside_one_kernel_is_not_divided() {
    let graph = |ns| Step { kernels: vec![("decode_step", 120, 1, ns)], pauses: 3000, ..usual() };
    let machine = Machine::new();
    let said = first_line(&machine.comment(&graph(560_000), &graph(580_000)));
    let one = "- decode is one kernel, `decode_step`, and what is inside it isn't divided: 560.6 → 580.6 µs a token, **+20.0 µs**";
    assert!(said.starts_with(one), "{said}");
    assert_eq!(machine.cause().0, "code");
}

/// Programs have their kernels in them (tests/fixtures/kernel_code), and a name says whether the code behind it is the same.
#[test]
fn code_is_compared_beside_the_time() {
    let with = |name: &'static str, ns| usual().with(|step| step.kernels[0] = (name, 1, 49, ns));
    for (kernel, said) in [
        ("same", "- `same` (same code): 2.002 → 3.003 µs a call"),
        ("outer::scale", "- `outer::scale` (other code): 2.002 → 3.003 µs a call"),
        ("rmsnorm_bf16", "- `rmsnorm_bf16`: 2.002 → 3.003 µs a call"),
    ] {
        let machine = Machine::new();
        let [(base, old), (head, new)] = [("base", 2000, "old"), ("head", 3000, "new")].map(|(side, ns, code)| {
            let step = with(kernel, ns);
            (machine.program(side, &step.speed(), &step), code)
        });
        for (program, code) in [(&base, old), (&head, new)] {
            let fatbin = format!("{}/tests/fixtures/kernel_code/{code}.fatbin", env!("CARGO_MANIFEST_DIR"));
            let script = [std::fs::read(program).unwrap(), b"exit 0\n".to_vec(), std::fs::read(fatbin).unwrap()];
            std::fs::write(program, script.concat()).unwrap();
        }
        let args = ["ci", "--quiet", "--runs", "4", "--base-binary", &base, "--head-binary", &head];
        let (exit, out, err) = machine.run(&args);
        assert_eq!(exit, 0, "{err}");
        let line = first_line(&out.replace('\u{a0}', " "));
        assert!(line.starts_with(said), "{line}");
        let (_, evidence) = machine.cause();
        assert_eq!(evidence.ends_with(", with the same machine code"), kernel == "same", "{evidence}");
    }
}

/// Where the traces agree, what differs isn't in the kernels.
#[test]
fn equal_traces_are_told_to_be_equal() {
    let machine = Machine::new();
    let (base, head) = (machine.program("base", "100", &usual()), machine.program("head", "90", &usual()));
    let (exit, out, err) =
        machine.run(&["ci", "--quiet", "--runs", "4", "--base-binary", &base, "--head-binary", &head]);
    assert_eq!(exit, 0, "{err}");
    let same = "- the same kernels, called as often and as fast as far as these traces tell";
    assert!(out.contains(same), "{out}");
    assert_eq!(machine.cause().0, "unexplained");
    // A faster head has something to say as well.
    let (exit, out, err) =
        machine.run(&["ci", "--quiet", "--runs", "4", "--base-binary", &head, "--head-binary", &base]);
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("**What changed**") && !out.contains("What got slower"), "{out}");
}

/// The same kernels, all of them slower, on a card that ran slower.
#[test]
fn a_slower_clock_is_the_cards() {
    let machine = Machine::new();
    let slow = usual().with(|step| step.kernels.iter_mut().for_each(|kernel| kernel.3 += kernel.3 / 10));
    for (name, step, clock) in [("base", usual(), "1980"), ("head", slow, "1750")] {
        let path = machine.program(name, &step.speed(), &step);
        let script = std::fs::read_to_string(&path).unwrap();
        let clocked = script.replace(
            "throttled) {",
            &format!("1) {{ device = \",\\\"device\\\":{{\\\"sm_clock_mhz\\\":{clock}}}\" }} if (throttled) {{"),
        );
        assert_ne!(script, clocked);
        machine.0.install(name, &clocked);
    }
    let (base, head) = (machine.0.path("base").display().to_string(), machine.0.path("head").display().to_string());
    let (exit, out, err) =
        machine.run(&["ci", "--quiet", "--runs", "4", "--base-binary", &base, "--head-binary", &head]);
    assert_eq!(exit, 0, "{err}");
    let (word, evidence) = machine.cause();
    assert_eq!(word, "card", "{evidence}\n{out}");
    assert_eq!(evidence, "the processors' clock was 1980 MHz in the base, 1750 in the head");
    assert!(out.contains("**Next:** look at the machine before the code."), "{out}");
}

/// What can't be traced costs nothing but the explanation.
#[test]
fn without_traces_the_verdict_stands_and_says_why() {
    let machine = Machine::new();
    let head = usual().with(|step| step.kernels[0].3 = 2500);
    machine.0.note(
        "head",
        "no-trace",
        r#"{"event":"failed","failure":{"kind":"error","reason":"no libcupti was found"}}"#,
    );
    let comment = machine.comment(&usual(), &head);
    assert!(!comment.contains("What got slower"), "{comment}");
    assert!(
        comment.contains("1 case that changed without traces") && comment.contains("the head: no libcupti was found")
    );
    let cause = ("unexplained".to_owned(), "not traced: the head: no libcupti was found".to_owned());
    assert_eq!(machine.cause(), cause);
    // Nobody is traced who isn't to be.
    let paths = ["base", "head"].map(|name| machine.0.path(name).display().to_string());
    let args =
        ["ci", "--quiet", "--runs", "4", "--base-binary", &paths[0], "--head-binary", &paths[1], "--trace-budget", "0"];
    assert_eq!(machine.run(&args).0, 0);
    assert_eq!(machine.comparison()["attributed"], Value::Null);
    assert_eq!(machine.cause().1, "settings are equal, and base and head were not traced");
}

/// On a CPU there are no kernels.
#[test]
fn on_a_cpu_the_cause_says_that_kernels_need_a_gpu() {
    let place = Place::new();
    let (base, head) = (place.program("base", "100", "aaaaaaa"), place.program("head", "90", "bbbbbbb"));
    let (exit, out, err) = place.ci(&["--base-binary", &base, "--head-binary", &head]);
    assert_eq!(exit, 0, "{err}");
    let row = &place.report()["comparison"]["rows"][0];
    let evidence = "settings are equal, and on a CPU there is no trace: kernels need an NVIDIA GPU";
    assert_eq!(row["cause"], json!({ "word": "unexplained", "evidence": evidence }));
    assert!(out.contains(evidence), "{out}");
}

/// Names of kernels are a stranger's.
#[test]
fn hostile_names_of_kernels_stay_names() {
    let names: [&'static str; 5] = [
        "`|a|\n\n| forged | table |\n|---|---|\n| 🔴 | ✅ |",
        "@maintainer <img src=x> [click](https://example.com) #1",
        "\u{1b}[31mred\u{202e}\u{0}",
        Box::leak("x".repeat(4096).into_boxed_str()),
        "</summary></details>::set-output name=x::y",
    ];
    let base = Step { kernels: names.iter().map(|name| (*name, 7, 24, 2000)).collect(), ..usual() };
    let head = base.clone().with(|step| step.kernels.iter_mut().for_each(|kernel| kernel.3 = 3000));
    let machine = Machine::new();
    let comment = machine.comment(&base, &head);
    insta::assert_snapshot!("hostile_kernels", machine.0.plain(&comment));
    for forged in ["\n| forged", "\u{1b}", "\u{202e}", "\u{0}"] {
        assert!(!comment.contains(forged), "{forged:?}: {comment}");
    }
    // Within a span of code, or escaped.
    for (at, _) in comment.match_indices("@maintainer") {
        assert!(comment[..at].ends_with(['`', '\u{2060}', ';']), "{}", &comment[at.saturating_sub(20)..at + 20]);
    }
    let longest = comment.lines().map(str::len).max().unwrap();
    assert!(longest < 1500, "{longest}");
}

/// `ab` says the same, for a terminal.
#[test]
fn ab_says_what_moved_too() {
    let machine = Machine::new();
    let head = usual().with(|step| step.kernels[0].3 = 2500);
    let (base, head) =
        (machine.program("base", &usual().speed(), &usual()), machine.program("head", &head.speed(), &head));
    let (exit, out, err) = machine.run(&["ab", "--quiet", &base, &head]);
    assert_eq!(exit, 1, "{out}{err}");
    insta::assert_snapshot!("ab_what_got_slower", out.replace(&base, "BASE").replace(&head, "HEAD"));
    let (_, out, _) = machine.run(&["ab", "--quiet", "--format", "json", &base, &head]);
    let comparison: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(comparison["rows"][0]["cause"]["word"], "code");
    assert_eq!(comparison["attributed"]["sections"][0]["kernels"][0]["name"], "rmsnorm_bf16");
}
