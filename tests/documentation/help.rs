//! The help of every command, as somebody reads it. A new command comes by itself.

use std::collections::BTreeSet;

use clap::Command;

const WIDTH: usize = 100;

/// Every command that is shown, by its words: `bench-diff`, `bench-diff baseline`, `bench-diff baseline update`, ...
pub fn every_command() -> Vec<(String, Command)> {
    fn walk(name: String, command: &Command, found: &mut Vec<(String, Command)>) {
        found.push((name.clone(), command.clone()));
        for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
            walk(format!("{name} {}", below.get_name()), below, found);
        }
    }
    let mut root = bench_diff::command_line().term_width(WIDTH);
    root.build();
    let mut found = Vec::new();
    walk("bench-diff".to_owned(), &root, &mut found);
    found
}

#[test]
fn every_command_has_its_help() {
    let mut shown = BTreeSet::new();
    for (name, mut command) in every_command() {
        let name = format!("help_{}", name.replace([' ', '-'], "_"));
        insta::assert_snapshot!(name.clone(), command.render_long_help().to_string());
        shown.insert(format!("documentation__help__{name}.snap"));
    }
    let kept = crate::files("tests/documentation/snapshots", ".snap").into_iter();
    let kept = kept.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    let gone: Vec<String> = kept.filter(|name| name.contains("__help_") && !shown.contains(name)).collect();
    assert!(gone.is_empty(), "help of commands that are gone: {gone:?}");
}

#[test]
fn help_of_help_is_help() {
    let printed = |words: &[&str]| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = bench_diff::run(words.iter().map(Into::into), &mut out, &mut err);
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    let help = printed(&["bench-diff", "help"]);
    assert!(help.0 == std::process::ExitCode::SUCCESS && help.1.contains("Usage: "), "{help:?}");
    assert_eq!(printed(&["bench-diff", "help", "--help"]), help);
    assert_eq!(printed(&["bench-diff", "help", "-h"]), help);
}

#[test]
fn every_argument_and_value_says_what_it_is() {
    let mut silent = Vec::new();
    for (name, command) in every_command() {
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            if argument.get_help().is_none() {
                silent.push(format!("{name}: {argument}"));
            }
            let mut values = argument.get_possible_values();
            values.retain(|value| !value.is_hide_set());
            // Names of types speak for themselves, but a list says something of all or of none.
            let silent_values = values.iter().filter(|value| value.get_help().is_none()).count();
            if silent_values != 0 && silent_values != values.len() {
                silent.push(format!("{name}: {argument}: some of its values"));
            }
        }
    }
    assert!(silent.is_empty(), "nothing is said of {silent:#?}");
}

#[test]
fn every_command_shows_examples_that_fit_on_a_line() {
    for (name, command) in every_command() {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(after.starts_with("Examples:\n  "), "{name} begins with examples: {after}");
        let long: Vec<&str> = after.lines().filter(|line| line.chars().count() > WIDTH).collect();
        assert!(long.is_empty(), "{name}: longer than {WIDTH} letters: {long:#?}");
    }
}
