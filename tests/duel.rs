//! Two programs measured in turn: what a question gets to see, and what ends it.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bench_diff::compare::{self, Comparison, Confirmation, Options, Row, Verdict};
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

/// Speaks the worker protocol, and notes its name and the cases that it was given. A file beside it may say its speed.
const PROGRAM: &str = r#"#!/bin/sh
echo '{"event":"hello","program":{"name":"fake","version":"1.0","candle_version":"none"}}'
job=$(cat)
echo '{"event":"loaded","loaded":{"revision":null,"warnings":[],"decode_weight_bytes":1,"kv_bytes_per_token":1,"flops_per_token":1,"attention_flops_per_token_squared":1}}'
cases=$(printf '%s' "$job" | grep -o '"id":"[^"]*"' | cut -d'"' -f4)
echo "$(basename "$0")" $(printf '%s\n' "$cases" | sed 's|.*/||') >> "$(dirname "$0")/log"
speed=$(cat "$0.speed" 2>/dev/null || echo 100)
for case in $cases; do
    echo "{\"event\":\"case_started\",\"case\":\"$case\"}"
    echo "{\"event\":\"case_measured\",\"case\":\"$case\",\"measurement\":{\"metrics\":{\"decode_throughput\":$speed,\"ttft\":20}}}"
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
        for program in ["base", "head", "again"] {
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

    /// In tokens a second.
    fn set_speed(&self, program: &str, speed: u32) {
        fs::write(self.path(&format!("{program}.speed")), speed.to_string()).unwrap();
    }

    /// The base once more: a program of its own here, so that a test can say what the base seems to differ by from itself.
    fn again(&self) -> Contender {
        Contender { program: Worker::at(self.path("again")), saved: None }
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
        of(Duel { request, base, head, base_again: None, observer: &mut Silent, stop: Stop::on_signals() }).unwrap()
    }

    /// What is confirmed of a head that is slower than the base, with a base that is as fast again as it is said.
    fn confirmed(&self, head: u32, again: u32) -> Duelled {
        self.set_speed("head", head);
        self.set_speed("again", again);
        let found = self.duel(None, |duel| duel.complete(&Options::default())).comparison;
        fs::remove_file(self.path("log")).unwrap();
        let suspects = compare::changed(&found);
        assert_eq!(suspects.len(), 2, "decode of both cases: {suspects:?}");
        let question = Confirmation::new(found, suspects, &Options::default());
        self.duel(None, |duel| Duel { base_again: Some(self.again()), ..duel }.until_settled(question, LONG))
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

/// So many blocks, each A B B A, in any order of the contenders.
#[track_caller]
fn assert_in_turns(log: &[String], contenders: &[&str], blocks: usize) {
    let names: Vec<&str> = log.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names.len(), 2 * contenders.len() * blocks, "{names:?}");
    for block in names.chunks(2 * contenders.len()) {
        let (there, back) = block.split_at(contenders.len());
        assert!(there.iter().eq(back.iter().rev()), "{block:?}");
        assert_eq!(BTreeSet::from_iter(there), BTreeSet::from_iter(contenders));
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
    let log = place.log();
    assert!(log[..4].iter().all(|line| line.ends_with(" 1 8")) && log[4..].iter().all(|line| line.ends_with(" 8")));
    assert_in_turns(&log, &["base", "head"], 2);
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
    assert!(warnings.contains("2 cases could not be settled: the budget of 0 s was spent"), "{warnings}");
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
    let mut turns = place.log();
    assert_eq!(turns.len(), 6);
    // The third round is the first half of a block: it ends as the fourth would begin.
    turns.extend([turns[5].clone(), turns[4].clone()]);
    assert_in_turns(&turns, &["base", "head"], 2);
}

#[track_caller]
fn decode(duelled: &Duelled) -> &Row {
    duelled.comparison.rows.iter().find(|row| row.cell.metric.as_str() == "decode_throughput").unwrap()
}

/// A third contender, which is the base once more, takes its turns with the others.
#[test]
fn a_change_that_the_base_does_not_show_against_itself_is_confirmed() {
    let place = Place::new();
    let duelled = place.confirmed(90, 100);
    assert_in_turns(&place.log(), &["base", "head", "again"], 2);
    let (row, again) = (decode(&duelled), duelled.base_again.as_ref().unwrap());
    assert_eq!((row.verdict(), duelled.ended), (Verdict::Regressed, Ended::Settled));
    let shown = row.finding.tested().unwrap().base_again.unwrap();
    assert_eq!((shown.n, shown.change.get(), shown.p), (4, 0.0, 1.0));
    assert_eq!(again.sessions[0].id, duelled.base.sessions[0].id, "one session");
}

/// The base differs from itself by 9%, and the head by 10%: whatever it is, it isn't the change.
#[test]
fn a_change_that_the_base_shows_against_itself_is_none() {
    let place = Place::new();
    let duelled = place.confirmed(90, 91);
    let row = decode(&duelled);
    assert_eq!((row.verdict(), duelled.ended), (Verdict::Inconclusive, Ended::OutOfLooks));
    assert_eq!(duelled.comparison.counts.regressed, 0);
    let written = compare::disk::Row::from(row);
    assert_eq!(written.reason_code.unwrap().as_str(), "like-itself");
    let told = "10% slower, but the base differs from itself by 9%, measured just so: this machine can't tell";
    assert_eq!(written.reason, told);
    assert_eq!(written.base_again.unwrap().n, 16);
}

/// A machine that tells equal programs apart by 1% can still tell a change of 40%.
#[test]
fn a_change_far_beyond_what_the_base_shows_is_confirmed() {
    let place = Place::new();
    assert_eq!(decode(&place.confirmed(60, 99)).verdict(), Verdict::Regressed);
}
