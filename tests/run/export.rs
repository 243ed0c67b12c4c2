//! Results that are there, as the files of the programs that measured Qwen's published numbers.

use super::*;

fn files(bench: &Bench, folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in
        ["transformers", "vllm"].iter().flat_map(|program| fs::read_dir(bench.path(folder).join(program)).unwrap())
    {
        let path = path.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Without the time.
        let name = name.rsplit_once('_').unwrap().0.to_owned();
        found.push((name, fs::read_to_string(path).unwrap()));
    }
    found.sort();
    found
}

#[test]
fn results_that_are_there_are_exported_as_those_that_are_measured() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["--csv", "measured"]).code, Some(0));
    let exported = bench.bench_diff(&["export", "results.json", "later"]);
    assert_eq!((exported.code, exported.err.as_str()), (Some(0), ""));
    assert_eq!(files(&bench, "later"), files(&bench, "measured"));
    let written: Vec<&str> = exported.out.lines().collect();
    assert_eq!(written.len(), 10, "{written:?}");
    assert!(written.iter().all(|path| path.starts_with("later/") && bench.path(path).is_file()), "{written:?}");
}

#[test]
fn what_cant_be_exported_is_said() {
    let bench = Bench::behaving("f32 crash\n");
    assert_eq!(bench.run(&[]).code, Some(3));
    let empty = bench.bench_diff(&["export", "results.json", "out"]);
    assert_eq!(empty.code, Some(2));
    assert_eq!(empty.err, "error: nothing to export: no case of results.json has numbers in its last session\n");
    let absent = bench.bench_diff(&["export", "none.json", "out"]);
    assert!(absent.code == Some(2) && absent.err.starts_with("error: can't read none.json: "), "{}", absent.err);
    bench.write("taken", "");
    let taken = bench.bench_diff(&["export", "results.json", "taken"]);
    assert!(taken.code == Some(2) && taken.err.starts_with("error: can't write files to taken/"), "{}", taken.err);
}
