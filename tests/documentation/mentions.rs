//! Commands and flags that a sentence names: in the documentation, in messages, in comments of the sources.

use std::collections::BTreeSet;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::help::every_command;
use crate::markdown::pages;
use crate::shell::calls;

/// Why the program doesn't take a command.
pub struct Wrong(pub String);

/// Parses a whole command as the program does. Words in capitals stand for what a reader puts there.
pub fn parse(args: &[String]) -> Result<(), Wrong> {
    parse_with(args, &[])
}

/// A sentence may leave out what a command needs besides.
fn parse_mention(args: &[String]) -> Result<(), Wrong> {
    let incomplete = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    parse_with(args, &incomplete)
}

fn parse_with(args: &[String], accepted: &[ErrorKind]) -> Result<(), Wrong> {
    let Err(error) = bench_diff::command_line().try_get_matches_from(args) else { return Ok(()) };
    let is_fine_value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if value.is_empty() => !accepted.is_empty(),
        Some(ContextValue::String(value)) => is_placeholder(value),
        _ => false,
    };
    let fine = is_fine_value
        || accepted.contains(&error.kind())
        || matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if fine { Ok(()) } else { Err(Wrong(error.to_string().lines().next().unwrap_or_default().to_owned())) }
}

/// `NAME`, `TAG`; `{path}` in a message.
fn is_placeholder(word: &str) -> bool {
    let capitals = word.chars().all(|c| c.is_ascii_uppercase() || matches!(c, '_' | '-' | '/' | '|'));
    capitals && !word.is_empty() || word.contains('{')
}

/// Text between backticks, on one line or wrapped.
fn spans(text: &str) -> Vec<String> {
    let text: Vec<&str> =
        text.lines().map(|line| line.trim().trim_start_matches("///").trim_end_matches('\\')).collect();
    let spans = text.join("\n").split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    spans.into_iter().map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Every sentence that names a command, with its place.
fn mentions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for page in pages() {
        found.extend(page.parts().spans.into_iter().map(|(line, span)| (page.place(line), span)));
    }
    let sources = ["src", ".github"].into_iter().flat_map(|folder| crate::files(folder, ""));
    for path in sources.chain(["action.yml".into(), "bench-diff.toml".into()]) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        // Comments and messages, each in a paragraph of its own so that a stray backtick doesn't turn all after it around.
        for line in text.split("\n\n").flat_map(spans) {
            found.push((path.display().to_string(), line));
        }
        let hints = text.lines().filter_map(|line| line.split_once(": bench-diff ").map(|(_, hint)| hint));
        found.extend(hints.map(|hint| {
            (path.display().to_string(), format!("bench-diff {}", hint.split(['"', '`']).next().unwrap_or_default()))
        }));
    }
    found.retain(|(_, span)| span.starts_with("bench-diff ") && !is_version_or_name(span));
    found
}

/// `bench-diff 0.1.0 (...)` and the check run `bench-diff SUITE GPU` are no commands.
fn is_version_or_name(span: &str) -> bool {
    span.split(' ').nth(1).is_none_or(|word| !word.starts_with(|c: char| c.is_ascii_lowercase() || c == '-'))
}

#[test]
fn every_command_that_a_sentence_names_is_one() {
    let mentions = mentions();
    assert!(mentions.len() > 60, "only {} were found", mentions.len());
    let wrong = mentions.iter().flat_map(|(place, span)| {
        calls(span).into_iter().filter_map(move |args| {
            let Wrong(why) = parse_mention(&args).err()?;
            Some(format!("{place}: `{span}`: {why}"))
        })
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "the program doesn't know:\n{}", wrong.join("\n"));
}

/// Flags that an adapter adds, by the text of its source.
fn of_adapters() -> BTreeSet<String> {
    let entries = std::fs::read_dir("adapters").unwrap().map(|entry| entry.unwrap().path());
    let scripts = entries.filter(|path| path.extension().is_some_and(|extension| extension == "py"));
    let sources = scripts.map(|path| std::fs::read_to_string(path).unwrap());
    let flags = |source: String| -> Vec<String> {
        source.split("add_argument(\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
    };
    sources.flat_map(flags).collect()
}

/// Flags of other programs that the documentation names.
const OTHERS: [&str; 3] = ["--ephemeral", "--ignored", "--persona"];

#[test]
fn every_flag_that_a_sentence_names_is_one() {
    let commands = every_command();
    let of_adapters = of_adapters();
    assert!(of_adapters.contains("--compile"));
    let ours: BTreeSet<String> = commands
        .iter()
        .flat_map(|(_, command)| command.get_arguments())
        .flat_map(|argument| argument.get_long_and_visible_aliases().unwrap_or_default())
        .map(|name| format!("--{name}"))
        .collect();
    let mut unknown = Vec::new();
    let mut found = 0;
    for page in pages() {
        // What was is named there as it was called then.
        if page.path.ends_with("CHANGELOG.md") {
            continue;
        }
        for (line, span) in page.parts().spans {
            let Some(flag) = span.split([' ', '=']).next().filter(|word| word.starts_with("--")) else { continue };
            found += 1;
            if !ours.contains(flag) && !of_adapters.contains(flag) && !OTHERS.contains(&flag) && flag != "--gpu" {
                unknown.push(format!("{}: `{span}`", page.place(line)));
            }
        }
    }
    assert!(found > 20, "only {found} were found");
    assert!(unknown.is_empty(), "no command has:\n{}", unknown.join("\n"));
}
