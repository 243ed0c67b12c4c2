//! What `--output` may name.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use super::{Place, Said, numbers};

#[test]
fn a_file_is_written_through_links_and_keeps_its_mode() {
    let place = Place::new();
    fs::create_dir(place.path("far")).unwrap();
    fs::write(place.path("far/results.json"), "old").unwrap();
    fs::set_permissions(place.path("far/results.json"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("far/results.json", place.path("link.json")).unwrap();
    symlink("link.json", place.path("link-to-link.json")).unwrap();
    let refused = place.run(&["--output", "link-to-link.json"]);
    assert!(refused.code == Some(2) && refused.err.contains("--force"), "{refused:?}");
    let said = place.run(&["--output", "link-to-link.json", "--force"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(place.path("link.json").is_symlink() && place.path("link-to-link.json").is_symlink());
    assert_eq!(numbers(&place.results("far/results.json")).len(), 4);
    assert_eq!(fs::metadata(place.path("far/results.json")).unwrap().mode() & 0o7777, 0o640);
    assert_eq!((place.litter("."), place.litter("far")), (vec![], vec![]));
}

#[test]
fn a_link_that_leads_nowhere_stands_for_the_file_it_names() {
    let place = Place::new();
    fs::create_dir(place.path("far")).unwrap();
    symlink("far/new.json", place.path("link.json")).unwrap();
    let said = place.run(&["--output", "link.json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(place.path("link.json").is_symlink());
    assert_eq!(numbers(&place.results("far/new.json")).len(), 4);
}

#[test]
fn what_is_no_file_is_refused_and_stays() {
    let place = Place::new();
    symlink("round", place.path("about")).unwrap();
    symlink("about", place.path("round")).unwrap();
    symlink("nowhere/new.json", place.path("lost")).unwrap();
    fs::create_dir(place.path("directory")).unwrap();
    assert!(Command::new("mkfifo").arg(place.path("pipe")).status().unwrap().success());
    let _socket = UnixListener::bind(place.path("socket")).unwrap();
    let cases = [
        ("round", "circles"),
        ("lost", "No such file"),
        ("directory", "it is a directory"),
        ("new/", "names a directory"),
        ("pipe", "it is a named pipe"),
        ("socket", "it is a socket"),
        ("bench-diff.toml/x", "Not a directory"),
    ];
    for (name, why) in cases {
        let said = place.run(&["--force", "--output", name]);
        assert_eq!(said.code, Some(2), "{name}: {said:?}");
        assert!(
            said.err.starts_with(&format!("error: can't write {name}: ")) && said.err.contains(why),
            "{name}: {said:?}"
        );
        let hint = ["  hint: write to /dev/stdout and send that there"];
        let hint = if name == "pipe" { &hint[..] } else { &[] };
        assert_eq!(said.err.lines().skip(1).collect::<Vec<_>>(), hint, "{said:?}");
    }
    let kind = |name: &str| fs::symlink_metadata(place.path(name)).unwrap().file_type();
    assert!(kind("round").is_symlink() && kind("pipe").is_fifo() && kind("socket").is_socket());
    assert_eq!(place.measured(), 0);
    assert_eq!(place.litter("."), [""; 0]);
}

/// What can't be written is what is said to be: the output, or the file that was asked for.
#[test]
fn a_full_disk_is_said_where_it_is() {
    let place = Place::new();
    let full = || Stdio::from(fs::File::options().write(true).open("/dev/full").unwrap());
    let plan = &["plan"][..];
    for args in [plan, &["plan", "--format", "json"], &["schema", "config"], &["init", "new.toml"], &["run", "--help"]]
    {
        let said = Said::of(&place.command(args).stdout(full()).output().unwrap());
        let why = "error: can't write the output: No space left on device (os error 28)\n";
        assert_eq!((said.code, said.err.as_str()), (Some(2), why), "{args:?}");
    }
    fs::write(place.path("taken"), "").unwrap();
    let said = place.run(&["--output", "/dev/full"]);
    assert!(said.code == Some(2) && said.err.contains("error: can't save the results to /dev/full"), "{said:?}");
    let said = place.run(&["--output", "results.json", "--csv", "taken"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err
            .ends_with("error: taken is a file, not a directory\n  hint: move it away, or name another directory\n"),
        "{said:?}"
    );
}

/// `bench-diff ... | head` has seen what it wanted.
#[test]
fn a_reader_that_goes_is_no_error() {
    let place = Place::new();
    for args in [&["plan"][..], &["plan", "--format", "json"], &["schema", "config"], &["--help"], &["--version"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let said = Said::of(&place.command(args).stdout(writer).output().unwrap());
        assert_eq!((said.code, said.err.as_str()), (Some(141), ""), "{args:?}");
    }
}

/// A trace is only added to: what is something else stays as it is.
#[test]
fn a_trace_goes_into_no_other_file() {
    let place = Place::new();
    fs::write(place.path("mine.json"), "{\"schema\": 2}").unwrap();
    let said = place.run(&["--output", "results.json", "--trace", "mine.json"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("mine.json is there and is no trace"), "{said:?}");
    assert_eq!(fs::read_to_string(place.path("mine.json")).unwrap(), "{\"schema\": 2}");
    let said = place.run(&["--output", "one.json", "--trace", "./one.json"]);
    assert_eq!((said.code, said.err.contains("--trace and --output are both")), (Some(2), true), "{said:?}");
    for _ in 0..2 {
        let said = place.run(&["--force", "--output", "results.json", "--trace", "gaps.jsonl"]);
        assert_ne!(said.code, Some(2), "{said:?}");
    }
}

/// Nobody may ever read from a pipe, and whoever waits for that holds the device.
#[test]
fn a_trace_into_a_pipe_is_refused() {
    let place = Place::new();
    assert!(Command::new("mkfifo").arg(place.path("pipe")).status().unwrap().success());
    let said = place.run(&["--output", "results.json", "--trace", "pipe"]);
    let error = "error: can't write the trace to pipe: it is a named pipe\n  hint: write to /dev/stdout";
    assert!(said.code == Some(2) && said.err.starts_with(error), "{said:?}");
    assert_eq!(place.measured(), 0);
}

#[test]
fn the_null_device_stays_one() {
    let place = Place::new();
    let device = null_device(&place);
    symlink(&device, place.path("link.json")).unwrap();
    for name in [device.as_str(), "link.json"] {
        for flags in [&["--output", name][..], &["--output", name, "--force"]] {
            let said = place.run(flags);
            assert_eq!(said.code, Some(0), "{flags:?}: {said:?}");
        }
        let said = place.run(&["--resume", name]);
        assert!(said.code == Some(2) && said.err.contains("can't be read again"), "{said:?}");
    }
    assert!(fs::symlink_metadata(&device).unwrap().file_type().is_char_device());
    assert!(place.path("link.json").is_symlink());
}

/// One of our own for root, who could replace the real one if this were broken.
fn null_device(place: &Place) -> String {
    let ours = place.path("null");
    let made = Command::new("mknod").arg(&ours).args(["c", "1", "3"]).stderr(Stdio::null()).status();
    let usable = made.is_ok_and(|status| status.success()) && fs::OpenOptions::new().write(true).open(&ours).is_ok();
    if usable { ours.display().to_string() } else { "/dev/null".into() }
}

/// One JSON document and nothing else, whatever standard output is.
#[test]
fn standard_output_gets_the_results_once() {
    let place = Place::new();
    for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let piped = place.run(&["--output", name]);
        assert_eq!(piped.code, Some(0), "{name}: {piped:?}");
        let results = serde_json::from_str(&piped.out).unwrap();
        assert_eq!(numbers(&results).len(), 4);

        let file = fs::File::create(place.path("redirected.json")).unwrap();
        let status = place.measuring(&["--quiet", "--output", name]).stdout(Stdio::from(file)).status().unwrap();
        assert!(status.success());
        assert_eq!(numbers(&place.results("redirected.json")).len(), 4);
    }
}

/// A shell's `>(...)` is a pipe under /dev/fd.
#[test]
fn an_open_pipe_is_written_to() {
    let place = Place::new();
    let mut shell = Command::new("bash");
    let binary = env!("CARGO_BIN_EXE_bench-diff");
    let script = format!("{binary} run --worker program/worker --output >(cat > piped.json; touch done)");
    let output =
        shell.args(["-c", &script]).current_dir(place.path(".")).env("TMPDIR", place.path("temporary")).output();
    let said = Said::of(&output.unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
    place.wait_until("written", || place.path("done").exists());
    assert_eq!(numbers(&place.results("piped.json")).len(), 4);
    assert!(said.out.contains("0.5B"), "the table has standard output for itself: {said:?}");
}

#[test]
fn a_name_may_be_as_long_as_names_can_be() {
    let place = Place::new();
    let name = format!("{}.json", "n".repeat(250));
    assert_eq!(place.run(&["--output", &name]).code, Some(0));
    assert_eq!(numbers(&place.results(&name)).len(), 4);
    assert_eq!(place.litter("."), [""; 0]);
}

#[test]
fn init_writes_through_a_link() {
    let place = Place::new();
    symlink("bench-diff.toml", place.path("link.toml")).unwrap();
    let said = Said::of(&place.command(&["init", "link.toml"]).output().unwrap());
    assert!(said.code == Some(2) && said.err.contains("exists already"), "{said:?}");
    let said = Said::of(&place.command(&["init", "--force", "link.toml"]).output().unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(place.path("link.toml").is_symlink());
    assert!(fs::read_to_string(place.path("bench-diff.toml")).unwrap().starts_with('#'));
}

/// What is written after measuring is looked at before.
#[test]
fn no_output_is_found_wrong_after_measuring() {
    let place = Place::new();
    fs::create_dir(place.path("half")).unwrap();
    fs::write(place.path("half/vllm"), "").unwrap();
    fs::create_dir(place.path("directory")).unwrap();
    let csv = |path| ["--csv", path];
    for flags in [csv("bench-diff.toml"), csv("bench-diff.toml/x"), csv("half"), csv("/proc/x"), ["--trace", "no/x"]] {
        let said = place.run(&flags);
        assert_eq!(said.code, Some(2), "{flags:?}: {said:?}");
        let is_file = said.err.contains(" is a file, not a directory\n");
        assert!(is_file || said.err.starts_with("error: can't write "), "{flags:?}: {said:?}");
        let named = if is_file { flags[1].split('/').next().unwrap() } else { flags[1] };
        assert!(said.err.contains(named), "{flags:?}: {said:?}");
        assert_eq!((place.measured(), place.path("results.json").exists()), (0, false), "{flags:?}");
    }
    for summary in ["no/x", "directory", "/proc/x"] {
        let said = Said::of(&place.ci(&["--output", "out", "--summary", summary]).output().unwrap());
        assert_eq!((said.code, place.measured()), (Some(2), 0), "{said:?}");
        assert!(said.err.starts_with(&format!("error: can't write {summary}: ")), "{said:?}");
    }
    fs::create_dir(place.path(".bench-diff")).unwrap();
    symlink("/proc", place.path(".bench-diff/baselines")).unwrap();
    let said = Said::of(&place.ci(&["--output", "out"]).output().unwrap());
    assert_eq!((said.code, place.measured()), (Some(2), 0), "{said:?}");
    assert!(said.err.contains("can't write files to ") && said.err.contains(".bench-diff/baselines/test"), "{said:?}");
    fs::remove_dir_all(place.path(".bench-diff")).unwrap();
    // Also what only a later step of an interrupted `ci` would write.
    fs::create_dir(place.path("out/confirm-base.json")).unwrap();
    let said = Said::of(&place.ci(&["--output", "out", "--resume"]).output().unwrap());
    assert_eq!((said.code, place.measured()), (Some(2), 0), "{said:?}");
    assert!(said.err.contains("confirm-base.json is not a regular file"), "{said:?}");
    assert_eq!(place.litter("."), [""; 0]);
}
