//! What a person or a pull request names may be a pipe, a device or gigabytes: it is refused soon, in one sentence.

use super::*;

/// What `plan` says of the configuration `name` in `directory`, by the flag and by the variable.
fn refused(directory: &Path, name: &str) -> String {
    let (exit, out, by_flag) = run(directory, &["plan", "--config", name]);
    assert_eq!((exit, out.as_str()), (2, ""), "{by_flag}");
    let mut plan = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    let output = plan.arg("plan").current_dir(directory).env("BENCH_DIFF_CONFIG", name).output().unwrap();
    let by_variable = String::from_utf8(output.stderr).unwrap();
    assert_eq!(by_flag, by_variable);
    by_flag
}

#[test]
fn only_regular_files_of_sensible_sizes_are_configurations() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    std::fs::create_dir(path("folder")).unwrap();
    std::fs::File::create(path("large.toml")).unwrap().set_len(5 << 30).unwrap();
    std::os::unix::fs::symlink("/dev/zero", path("link.toml")).unwrap();
    let said = ["/dev/zero", "link.toml", "pipe", "folder", "large.toml"].map(|name| refused(directory.path(), name));
    assert_eq!(
        said.concat(),
        "error: can't read the configuration /dev/zero: it is no regular file\n\
         error: can't read the configuration link.toml: it is no regular file\n\
         error: can't read the configuration pipe: it is no regular file\n\
         error: can't read the configuration folder: it is a directory\n\
         error: can't read the configuration large.toml: it has more than 4 MiB, as no such file has\n"
    );
}

/// A configuration names it, and a pull request may have made it.
#[test]
fn a_prompt_is_read_of_a_regular_file_only() {
    let directory = tempfile::tempdir().unwrap();
    assert!(Command::new("mkfifo").arg(directory.path().join("ids.json")).status().unwrap().success());
    std::fs::write(directory.path().join("bench-diff.toml"), suite("prompt-ids = \"ids.json\"")).unwrap();
    let (exit, _, err) = run(directory.path(), &["plan", "--device-memory", "80"]);
    assert!(exit == 2 && err.contains("can't read the token ids of ids.json: it is no regular file"), "{err}");
    let words = "generate Qwen/Qwen2.5-0.5B --weights generated --generated-length 1 --prompt-ids @ids.json";
    let (exit, _, err) = run(directory.path(), &words.split(' ').collect::<Vec<_>>());
    assert!(exit == 2 && err.contains("can't read ids.json: it is no regular file"), "{err}");
}
