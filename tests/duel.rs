//! Two programs measured in turn: what a question gets to see, and what ends it.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bench_diff::compare::{self, Comparison, Options};
use bench_diff::config::{Selection, Suite, load_suite};
use bench_diff::device::Machine;
use bench_diff::duel::{Contender, Duel, Duelled, Ended, Question};
use bench_diff::error::Result;
use bench_diff::measure::{Request, Saved, Silent, Stop, Worker};
use bench_diff::results::Results;
use tempfile::TempDir;

const CONFIG: &str = r#"
weights = "generated"

[suites.test]
device = "cpu"
models = ["./small"]
context-lengths = [1, 8]
generated-length = 4
runs = 3
"#;

const MODEL: &str = r#"{
  "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "torch_dtype": "float32",
  "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
  "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 512, "rope_theta": 1000000.0,
  "rms_norm_eps": 1e-06, "tie_word_embeddings": true, "use_sliding_window": false
}"#;

/// Speaks the worker protocol, and notes its name and the cases that it was given.
const PROGRAM: &str = r#"#!/bin/sh
echo '{"event":"hello","program":{"name":"fake","version":"1.0","candle_version":"none"}}'
job=$(cat)
echo '{"event":"loaded","loaded":{"revision":null,"warnings":[],"decode_weight_bytes":1,"kv_bytes_per_token":1,"flops_per_token":1,"attention_flops_per_token_squared":1}}'
cases=$(printf '%s' "$job" | grep -o '"id":"[^"]*"' | cut -d'"' -f4)
echo "$(basename "$0")" $(printf '%s\n' "$cases" | sed 's|.*/||') >> "$(dirname "$0")/log"
for case in $cases; do
    echo "{\"event\":\"case_started\",\"case\":\"$case\"}"
    echo "{\"event\":\"case_measured\",\"case\":\"$case\",\"measurement\":{\"metrics\":{\"decode_throughput\":100,\"ttft\":20}}}"
done
echo '{"event":"done"}'
"#;

struct Place {
    directory: TempDir,
    suite: Suite,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("bench-diff.toml"), CONFIG).unwrap();
        fs::create_dir(path("small")).unwrap();
        fs::write(path("small/config.json"), MODEL).unwrap();
        for program in ["base", "head"] {
            // Written elsewhere and copied: executing a file that a forked child still has open for writing fails.
            fs::write(path("source"), PROGRAM).unwrap();
            assert!(
                Command::new("install").arg("-m755").args([path("source"), path(program)]).status().unwrap().success()
            );
        }
        let selection = Selection { config: Some(path("bench-diff.toml")), ..Selection::default() };
        let suite = load_suite(&selection, &Machine::here()).unwrap();
        Self { directory, suite }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Saved as `base.json` and `head.json` where there is a `resume`.
    fn duel(&self, resume: Option<bool>, of: impl FnOnce(Duel) -> Result<Duelled>) -> Duelled {
        let contender = |name: &str| Contender {
            program: Worker::at(self.path(name)),
            saved: resume.map(|resume| Saved { path: self.path(&format!("{name}.json")), resume }),
        };
        // Its own lock files: these tests run side by side.
        let request = Request { locks: self.directory.path().to_owned(), ..Request::new(&self.suite) };
        let (base, head) = (contender("base"), contender("head"));
        of(Duel { request, base, head, observer: &mut Silent, stop: Stop::on_signals() }).unwrap()
    }

    /// Who was measured, and which context lengths.
    fn log(&self) -> Vec<String> {
        fs::read_to_string(self.path("log")).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

/// Looks at two and at four runs. A case is settled by as many as the question says.
struct Counting {
    settled_by: [(&'static str, usize); 2],
    /// Runs of each side and case at each look.
    looks: Vec<[usize; 2]>,
    comparison: Comparison,
}

impl Counting {
    fn new(place: &Place, settled_by: [(&'static str, usize); 2]) -> Self {
        let settings = place.suite.settings.clone();
        let nothing = Results { suite: "test".into(), label: None, cases: vec![], settings, sessions: vec![] };
        let nothing = compare::Side::from_results("nothing", &nothing);
        let comparison = compare::compare(&nothing, &nothing, &Options::default()).unwrap();
        Self { settled_by, looks: Vec::new(), comparison }
    }
}

impl Question for &mut Counting {
    fn wanted(&self) -> Option<u32> {
        [2, 4].get(self.looks.len()).copied().filter(|_| !self.open_cases().is_empty())
    }

    fn most_runs(&self) -> u32 {
        4
    }

    fn open_cases(&self) -> BTreeSet<String> {
        let seen = self.looks.last().copied().unwrap_or_default();
        let open = self.settled_by.iter().zip(seen).filter(|((_, runs), seen)| seen < runs);
        open.map(|((case, _), _)| format!("small/f32/{case}")).collect()
    }

    fn look(&mut self, base: &compare::Side, head: &compare::Side) -> Result<()> {
        let runs = |side: &compare::Side, case: &str| {
            side.cases.iter().find(|found| found.id.ends_with(&format!("/{case}"))).map_or(0, |case| case.runs)
        };
        self.looks.push(self.settled_by.map(|(case, _)| runs(base, case)));
        assert_eq!(self.looks.last().unwrap(), &self.settled_by.map(|(case, _)| runs(head, case)), "fair");
        self.comparison = compare::compare(base, head, &Options::default())?;
        Ok(())
    }

    fn comparison(self) -> Comparison {
        self.comparison.clone()
    }
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn only_what_is_open_is_measured_until_it_is_settled() {
    let place = Place::new();
    let mut question = Counting::new(&place, [("1", 2), ("8", 4)]);
    let duelled = place.duel(None, |duel| duel.until_settled(&mut question, LONG));
    assert_eq!(duelled.ended, Ended::Settled);
    assert_eq!(question.looks, [[2, 2], [2, 4]]);
    let turns = ["base 1 8", "head 1 8", "head 1 8", "base 1 8", "base 8", "head 8", "head 8", "base 8"];
    assert_eq!(place.log(), turns);
    assert_eq!(duelled.comparison.warnings, [""; 0]);
}

#[test]
fn what_no_look_settles_stays_open() {
    let place = Place::new();
    let mut question = Counting::new(&place, [("1", 5), ("8", 2)]);
    let duelled = place.duel(None, |duel| duel.until_settled(&mut question, LONG));
    assert_eq!((duelled.ended, question.looks), (Ended::OutOfLooks, vec![[2, 2], [4, 2]]));
}

#[test]
fn without_time_nothing_is_measured_and_the_comparison_says_so() {
    let place = Place::new();
    let mut question = Counting::new(&place, [("1", 2), ("8", 2)]);
    let duelled = place.duel(None, |duel| duel.until_settled(&mut question, Duration::ZERO));
    assert_eq!((duelled.ended, place.log().len(), question.looks.len()), (Ended::OutOfTime, 0, 0));
    let warnings = duelled.comparison.warnings.join("\n");
    assert!(warnings.contains("2 cases could not be settled: the budget of 0 min was spent"), "{warnings}");
}

#[test]
fn what_was_measured_already_is_not_measured_again() {
    let place = Place::new();
    let mut question = Counting::new(&place, [("1", 2), ("8", 2)]);
    place.duel(Some(false), |duel| duel.until_settled(&mut question, LONG));
    let measured = place.log();
    let mut question = Counting::new(&place, [("1", 2), ("8", 2)]);
    let duelled = place.duel(Some(true), |duel| duel.until_settled(&mut question, LONG));
    assert_eq!((duelled.ended, place.log(), question.looks), (Ended::Settled, measured, vec![[2, 2]]));
}

/// Not in whole blocks: the suite says three.
#[test]
fn a_complete_duel_has_the_runs_that_the_suite_says() {
    let place = Place::new();
    let duelled = place.duel(None, |duel| duel.complete(&Options::default()));
    assert_eq!(duelled.ended, Ended::Settled, "equal numbers: {:?}", duelled.comparison.counts);
    for side in [&duelled.base, &duelled.head] {
        assert_eq!(side.sessions[0].runs.len(), 6);
    }
    assert_eq!(duelled.base.sessions[0].id, duelled.head.sessions[0].id, "one session");
    let turns = ["base 1 8", "head 1 8", "head 1 8", "base 1 8", "base 1 8", "head 1 8"];
    assert_eq!(place.log(), turns);
}
