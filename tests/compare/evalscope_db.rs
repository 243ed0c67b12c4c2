//! EvalScope's database: what its requests become, and databases that are none of EvalScope's.

use std::fs;

use rusqlite::{Connection, MAIN_DB};

use super::tools::{fixture, rows};
use super::{SUCCESS, usage_error};
use crate::compare_support::{Files, compare_json, run};

const TODAY: &str = "evalscope-1.14.1.db";

/// As EvalScope 1.14 makes it.
const RESULT: &str = "CREATE TABLE result(request TEXT, start_time REAL, inter_token_latencies TEXT, success INTEGER,
    response_messages TEXT, completed_time REAL, latency REAL, first_chunk_latency REAL, prompt_tokens INTEGER,
    completion_tokens INTEGER, max_gpu_memory_cost REAL, time_per_output_token REAL, request_id TEXT, is_stream INTEGER);";

/// Ten answers, one after the other.
const ANSWERS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
    INSERT INTO result SELECT 'prompt ' || i, i, '[]', 1, '', i + 0.5, 0.5, 0.18, 8, 33, 0, 0.01, NULL, 1 FROM n;";

/// The file that these statements make.
fn database(sql: &str) -> Vec<u8> {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(&format!("PRAGMA page_size = 512; {sql}")).unwrap();
    connection.serialize(MAIN_DB).unwrap().to_vec()
}

/// The ten answers, changed.
fn answers(change: &str) -> Vec<u8> {
    database(&format!("{RESULT} {ANSWERS} {change};"))
}

fn warnings(head: &[u8]) -> Vec<String> {
    let printed = compare_json(&Files::of_bytes(&answers(""), head), &[]);
    printed.warnings.into_iter().filter(|warning| warning.starts_with("head.json")).collect()
}

#[test]
fn what_a_database_tells_besides_its_numbers_is_said() {
    assert_eq!(
        warnings(&fixture(TODAY)),
        [
            "head.json: 1 of 5 requests failed: the log of evalscope perf says why",
            "head.json: a prompt was sent more than once: a server with a prefix cache is faster then",
            "head.json: samples of evalscope perf are repetitions within one process: they don't show how processes differ",
        ]
    );
    assert_eq!(warnings(&answers("")).len(), 1, "nothing failed, and all prompts differ");
    let uncounted = "head.json: 3 of 10 answers have no number of tokens or no time, and are left out";
    let change = "UPDATE result SET prompt_tokens = NULL WHERE start_time = 1;
        UPDATE result SET latency = 'long' WHERE start_time = 2; UPDATE result SET completion_tokens = 0 WHERE start_time = 3";
    assert_eq!(warnings(&answers(change))[0], uncounted);
}

#[test]
fn requests_in_flight_together_are_no_samples() {
    let file = answers("UPDATE result SET start_time = 9.4 WHERE start_time = 10");
    let expected = ["context 8 | speed | avg 66 tok/s | higher", "context 8 | ttft | avg 180 ms | lower"];
    assert_eq!(rows(&file, &[])[..2], expected);
    let said = "head.json: requests were in flight together and waited for each other: averages are shown";
    assert_eq!(warnings(&file), [said]);
    assert_eq!(
        warnings(&answers("UPDATE result SET start_time = 9.5 WHERE start_time = 10")).len(),
        1,
        "one after the other"
    );
}

/// Without a stream, EvalScope notes the whole latency as the first token's.
#[test]
fn what_didnt_stream_has_no_first_token() {
    let speed = ["context 8 | speed | 10 x 66 tok/s | higher"];
    assert_eq!(rows(&answers("UPDATE result SET is_stream = 0"), &[]), speed);
    assert_eq!(rows(&answers("UPDATE result SET first_chunk_latency = latency"), &[]), speed);
}

#[test]
fn many_small_requests_are_read() {
    let many = ANSWERS.replace("< 10)", "< 20000)");
    let file = database(&format!("{RESULT} {many}"));
    assert_eq!(rows(&file, &["--metric", "speed"]), ["context 8 | speed | 20000 x 66 tok/s | higher"]);
}

/// A database can hold statements, and pages that lead anywhere.
#[test]
fn whatever_isnt_evalscopes_ends_in_one_sentence() {
    let view = |select: &str| database(&format!("CREATE VIEW result AS {select};"));
    let columns =
        "'' request, 1 start_time, 1 success, 2 completed_time, 1 latency, 1 first_chunk_latency, 8 prompt_tokens,
        33 completion_tokens, 0 max_gpu_memory_cost";
    let computed = |column: &str| {
        let columns = RESULT.replace("max_gpu_memory_cost REAL", column);
        database(&format!("{columns} INSERT INTO result(latency) VALUES (1.0);"))
    };
    let faults: Vec<(&str, Vec<u8>)> = vec![
        ("of another program", database("CREATE TABLE bookmarks(url TEXT);")),
        ("empty", database(RESULT)),
        ("nothing answered", answers("UPDATE result SET success = 0")),
        ("nothing counted", answers("UPDATE result SET completion_tokens = NULL")),
        ("a column is missing", answers("ALTER TABLE result DROP COLUMN latency")),
        ("a view", view(&format!("SELECT {columns}"))),
        (
            "an endless view",
            view(&format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {columns} FROM n")),
        ),
        ("a virtual table", database("CREATE VIRTUAL TABLE result USING fts5(request, latency);")),
        ("a column that computes", computed("max_gpu_memory_cost REAL AS (length(hex(zeroblob(30000000))))")),
        ("a check that computes", computed("max_gpu_memory_cost REAL CHECK (length(hex(zeroblob(3))) > 0)")),
        ("a very long statement", database(&format!("CREATE TABLE {}(a);", "a".repeat(20_000)))),
        ("very many tables", database(&(0..200).map(|i| format!("CREATE TABLE t{i}(a);")).collect::<String>())),
        ("cut off", answers("")[..1500].to_vec()),
        ("a magic word alone", b"SQLite format 3\0".to_vec()),
        ("noise", [b"SQLite format 3\0".as_slice(), &[0xff; 4000]].concat()),
        ("a page in a circle", circle()),
        ("a page of zeros", zeroed()),
        ("rows of nothing", nothing()),
        ("text of numbers", answers("UPDATE result SET latency = 'x', prompt_tokens = 'y'")),
    ];
    let mut said = String::new();
    for (what, content) in faults {
        let files = Files::of_bytes(&answers(""), &content);
        let (exit, _, err) = run(&files, &["--fail-on", "never", "--from", "evalscope-db"]);
        assert_eq!(exit, usage_error(), "{what}");
        said += &format!("{what}\n  {}\n", err.trim_end().replace('\n', "\n  "));
    }
    insta::assert_snapshot!(said);
}

/// Of a table that takes several pages, the page that leads to the others leads to itself.
fn circle() -> Vec<u8> {
    let mut file = answers("");
    let root = 512;
    assert_eq!(file[root], 5, "it leads to others");
    file[root + 8..root + 12].copy_from_slice(&2u32.to_be_bytes());
    file
}

/// Rows of a few bytes, which columns that were added later make long.
fn nothing() -> Vec<u8> {
    let columns = RESULT.split_once('(').unwrap().1.trim_end_matches(");").split(',').skip(1).map(str::to_owned);
    let more = columns.chain((0..80).map(|i| format!("c{i} REAL")));
    let added: String = more.map(|column| format!("ALTER TABLE result ADD COLUMN {column};")).collect();
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
        INSERT INTO result SELECT NULL FROM n;";
    database(&format!("CREATE TABLE result(request TEXT); {rows} {added}"))
}

fn zeroed() -> Vec<u8> {
    let mut file = answers("");
    file[1024..1536].fill(0);
    file
}

/// SQLite keeps the rest beside it until whoever writes it has ended.
#[test]
fn a_database_that_is_written_still_is_refused() {
    for end in ["-journal", "-wal"] {
        let files = Files::of_bytes(&answers(""), &answers(""));
        let beside = files.head().with_file_name(format!("head.json{end}"));
        fs::write(&beside, "").unwrap();
        assert_eq!(run(&files, &["--fail-on", "never"]).0, SUCCESS, "nothing is in it");
        fs::write(&beside, "x").unwrap();
        let (exit, _, err) = run(&files, &["--fail-on", "never"]);
        let said = format!("error: head.json is written still, or was never finished: head.json{end} holds the rest");
        assert_eq!((exit, err.lines().next()), (usage_error(), Some(&*said)));
    }
}

#[test]
fn a_database_that_was_in_wal_mode_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("benchmark_data.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&format!("PRAGMA journal_mode = WAL; {RESULT} {ANSWERS}")).unwrap();
    connection.close().unwrap();
    let file = fs::read(&path).unwrap();
    assert_eq!(file[18..20], [2, 2], "it is in that mode");
    assert_eq!(rows(&file, &["--metric", "speed"]), ["context 8 | speed | 10 x 66 tok/s | higher"]);
}

/// Nothing that is read is changed, and nothing is left beside it.
#[test]
fn a_database_stays_as_it_is() {
    let file = answers("");
    let files = Files::of_bytes(&file, &file);
    assert_eq!(run(&files, &["--fail-on", "never"]).0, SUCCESS);
    assert_eq!(fs::read(files.head()).unwrap(), file);
    assert_eq!(fs::read_dir(files.head().parent().unwrap()).unwrap().count(), 2);
}

/// EvalScope's outputs have the database deep inside, and in its folder the averages of it.
#[test]
fn of_a_folder_of_outputs_the_database_is_named() {
    let outputs = tempfile::tempdir().unwrap();
    let load = outputs.path().join("20261126_180000/Qwen2.5-7B/parallel_1_number_8");
    fs::create_dir_all(&load).unwrap();
    fs::write(load.join("benchmark_data.db"), fixture(TODAY)).unwrap();
    let compare = |folder: &std::path::Path| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let folder = folder.as_os_str().to_owned();
        let args = ["bench-diff".into(), "compare".into(), folder.clone(), folder, "--fail-on=never".into()];
        let exit = bench_diff::run(args, &mut out, &mut err);
        (exit, String::from_utf8(err).unwrap().replace(&outputs.path().display().to_string(), "outputs"))
    };
    let (exit, err) = compare(outputs.path());
    let file = "outputs/20261126_180000/Qwen2.5-7B/parallel_1_number_8/benchmark_data.db";
    let hint = |err: &str| err.lines().last().unwrap_or_default().to_owned();
    assert_eq!((exit, hint(&err)), (usage_error(), format!("  hint: name a file, such as {file}")), "{err}");
    assert_eq!(compare(&load).0, SUCCESS, "the folder itself is read");
    fs::write(load.join("speed_benchmark.json"), fixture("speed_benchmark.json")).unwrap();
    let (exit, err) = compare(&load);
    let expected = format!("  hint: name one of its files, such as {file}, or choose with `--from`");
    assert_eq!((exit, hint(&err)), (usage_error(), expected), "{err}");
}
