//! Calls of bench-diff in what is written for a shell.

/// The arguments of each call of bench-diff, its name first.
pub fn calls(script: &str) -> Vec<Vec<String>> {
    without_substitutions(&script.replace("\\\n", " ")).lines().flat_map(calls_of_line).collect()
}

/// `$(...)` stands for one word.
fn without_substitutions(script: &str) -> String {
    let mut parts = script.split("$(");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "SUBSTITUTED" + part.split_once(')').map_or("", |(_, rest)| rest))
}

fn calls_of_line(line: &str) -> Vec<Vec<String>> {
    let words: Vec<String> = shlex::Shlex::new(&line.replace("; ", " ; ")).collect();
    words.split(|word| ["&&", "||", ";", "|"].contains(&word.as_str())).filter_map(call).collect()
}

/// What comes after `NAME=value` and names of the program, up to where its output goes.
fn call(words: &[String]) -> Option<Vec<String>> {
    let is_assignment = |word: &&String| !word.starts_with('-') && word.contains('=');
    let words = &words[words.iter().take_while(is_assignment).count()..];
    let arguments = match words.first()?.as_str() {
        "cargo" if words.get(1)? == "run" => &words[words.iter().position(|word| word == "--")? + 1..],
        program if program.rsplit('/').next() == Some("bench-diff") => &words[1..],
        _ => return None,
    };
    let arguments = arguments.iter().take_while(|word| !word.starts_with(['>', '<'])).cloned();
    Some(std::iter::once("bench-diff".to_owned()).chain(arguments).collect())
}

#[test]
fn calls_are_found_in_all_that_surrounds_them() {
    let script = "# bench-diff is a comment\nA=1 B=$(gh auth token) bench-diff accept \\\n  --reason 'a b' > out.md # why\n\
                  cargo build && cargo run --release -- ci\necho bench-diff; target/release/bench-diff run\n";
    let found: Vec<String> = calls(script).iter().map(|call| call.join("|")).collect();
    assert_eq!(found, ["bench-diff|accept|--reason|a b", "bench-diff|ci", "bench-diff|run"]);
}
