//! Where the paths of a configuration's programs start: from the file.

use super::*;

impl Bench {
    /// A configuration in a directory of its own, whose engine is that command.
    fn with_engine(command: &str) -> Self {
        let bench = Self::new();
        fs::create_dir(bench.path("ci")).unwrap();
        let models = CONFIG.replace("./one", "../one").replace("./two", "../two");
        bench.write("ci/bench-diff.toml", &format!("engine = \"command\"\ncommand = {command}\n{models}"));
        bench
    }

    fn planned(&self) -> String {
        let finished = self.bench_diff(&["plan", "--config", "ci/bench-diff.toml"]);
        // All cases are of one program.
        let expected = if finished.out.contains("won't run") { 1 } else { 0 };
        assert_eq!(finished.code, Some(expected), "{}", finished.err);
        finished.out
    }

    fn measured(&self, args: &[&str]) -> Finished {
        let fixed = ["--runs", "1", "--context-lengths", "8", "--generated-length", "4", "--force"];
        Finished::of(self.plain(&[&fixed[..], args].concat()).output().unwrap())
    }
}

/// The program itself, its arguments, and what it reads.
#[test]
fn programs_are_started_where_the_file_is() {
    let bench = Bench::with_engine("[\"sh\", \"engine.sh\", \"./program\"]");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/program.sh");
    bench.write("ci/program", program.to_str().unwrap());
    bench.write("ci/engine.sh", "tee asked | \"$(cat \"$1\")\" well\n");
    let finished = bench.measured(&["--config", "ci/bench-diff.toml"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert!(bench.read("ci/asked").contains("\"directory\":\"/"), "found from anywhere: {}", bench.read("ci/asked"));
    assert!(!bench.planned().contains("isn't there"), "{}", bench.planned());
    // On the command line, paths start where one is.
    let flags = ["--config", "ci/bench-diff.toml", "--command", "sh ci/engine.sh ci/program"];
    assert_eq!(bench.measured(&flags).code, Some(0));
    assert!(bench.path("asked").exists());
    // As the file has it, and with a space in a word.
    fs::rename(bench.path("ci/program"), bench.path("ci/a program")).unwrap();
    for words in [&[r#"["sh", "ci/engine.sh", "ci/a program"]"#][..], &["sh", "ci/engine.sh", "ci/program"]] {
        fs::remove_file(bench.path("asked")).unwrap();
        let words = words.iter().flat_map(|word| ["--command", word]);
        let flags: Vec<&str> = ["--config", "ci/bench-diff.toml"].into_iter().chain(words).collect();
        let finished = bench.measured(&flags);
        assert_eq!(finished.code, Some(0), "{}", finished.err);
        assert!(bench.path("asked").exists());
        let _ = fs::rename(bench.path("ci/a program"), bench.path("ci/program"));
    }
}

#[test]
fn a_program_by_its_path_is_beside_the_file() {
    let bench = Bench::with_engine("[\"./engine\", \"well\"]");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/program.sh");
    std::os::unix::fs::symlink(program, bench.path("ci/engine")).unwrap();
    let finished = bench.measured(&["--config", "ci/bench-diff.toml"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
}

/// Before anything is tried, and with where it was looked for.
#[test]
fn a_program_that_is_not_there_is_planned_as_such() {
    for (command, why) in [
        ("[\"./gone\"]", "the program `./gone` isn't there, seen from "),
        ("[\"no-such-engine\"]", "the program `no-such-engine` isn't on the PATH"),
        ("[\"sh\", \"gone.sh\"]", "the script `gone.sh` isn't there, seen from "),
        ("[\"./bench-diff.toml\"]", "the program `./bench-diff.toml` can't be started: it is not an executable file"),
    ] {
        let bench = Bench::with_engine(command);
        let planned = bench.planned();
        assert!(planned.contains(why) && planned.contains("won't run"), "{why}: {planned}");
        let finished = bench.measured(&["--config", "ci/bench-diff.toml"]);
        assert_eq!(finished.code, Some(3), "{}", finished.err);
        assert!(failures(&bench.results()).iter().all(|(_, reason)| reason.starts_with(why)), "{why}");
    }
}

/// A server that is to be started, too.
#[test]
fn a_server_that_is_not_there_is_planned_as_such() {
    let bench = Bench::with_engine("[]");
    let server = "engine = \"server\"\nserver = { url = \"http://127.0.0.1:9/v1\", start = [\"./gone\"] }";
    let config = bench.read("ci/bench-diff.toml").replace("engine = \"command\"\ncommand = []", server);
    bench.write("ci/bench-diff.toml", &config);
    assert!(bench.planned().contains("the program `./gone` isn't there, seen from "), "{}", bench.planned());
}
