//! The tables of settings and inputs are those that there are, with the defaults that hold.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::markdown::Page;

/// Names in backticks in a cell.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_table_of_settings_is_the_schema() {
    let schema: Value = serde_json::from_str(&std::fs::read_to_string("schemas/config.json").unwrap()).unwrap();
    let settings: BTreeSet<String> =
        schema["properties"].as_object().unwrap().keys().filter(|key| *key != "suites").cloned().collect();
    let page = Page::read("docs/configuration.md");
    let documented: BTreeSet<String> = page.table_under("## Settings").iter().flat_map(|row| names(&row[0])).collect();
    assert_eq!(documented, settings);
}

/// A setting that is commented out shows its default, and is one.
#[test]
fn the_starter_shows_every_setting() {
    let starter = std::fs::read_to_string("src/config/starter.toml").unwrap();
    let page = Page::read("docs/configuration.md");
    for row in page.table_under("## Settings") {
        for name in names(&row[0]).iter().filter(|name| !["revision", "quantization"].contains(&name.as_str())) {
            let shown = |line: &str| {
                let line = line.trim_start_matches(['#', ' ']);
                line.starts_with(&format!("{name} =")) || line.starts_with(&format!("[{name}]"))
            };
            assert!(starter.lines().any(shown), "`bench-diff init` doesn't show {name}");
        }
    }
}

/// The inputs of an Action with their defaults, read line by line.
fn inputs(path: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split("\ninputs:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let (mut found, mut input) = (BTreeMap::new(), String::new());
    for line in section.lines() {
        if let Some(default) = line.strip_prefix("    default: ") {
            found.insert(input.clone(), default.trim_matches('\'').to_owned());
        } else if let Some(name) = line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) {
            input = name.trim_end_matches(':').to_owned();
        }
    }
    found
}

/// The tables of docs/action.md: of one Action, of the other, of both.
#[test]
fn the_tables_of_inputs_are_the_actions() {
    let page = Page::read("docs/action.md");
    let mut documented = [BTreeMap::new(), BTreeMap::new()];
    let mut which: &[usize] = &[];
    for row in page.table_under("## Inputs") {
        which = match row[0].as_str() {
            "input of the measuring Action" => &[0],
            "input of the publishing Action" => &[1],
            "input of both" => &[0, 1],
            _ => {
                let defaults = names(&row[1]);
                for (index, name) in names(&row[0]).into_iter().enumerate() {
                    which.iter().for_each(|which| {
                        documented[*which].insert(name.clone(), defaults.get(index).cloned());
                    });
                }
                continue;
            }
        };
    }
    for (documented, path) in documented.iter().zip(["action.yml", ".github/actions/publish/action.yml"]) {
        let real = inputs(path);
        let names = |names: Vec<&String>| names.into_iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(names(documented.keys().collect()), names(real.keys().collect()), "{path}");
        for (name, default) in documented {
            // An empty default is one that bench-diff fills in; the table says with what.
            let real = &real[name];
            let agrees = real.is_empty() || real.starts_with("${{") || default.as_ref() == Some(real);
            assert!(agrees, "{path}: {name} is `{real}` by default, not {default:?}");
        }
    }
}

/// The README's table of exit codes is the help's.
#[test]
fn exit_codes_are_those_of_the_help() {
    let help = bench_diff::command_line().get_after_help().unwrap().to_string();
    let section = help.split("Exit codes:\n").nth(1).unwrap();
    // What a code means may go on in a line below.
    let codes = section.lines().filter(|line| !line.starts_with("     "));
    let codes = codes.map(|line| line.trim().split_once(' ').unwrap().0.to_owned());
    let page = Page::read("README.md");
    let documented: BTreeSet<String> =
        page.table_under("## Compare two files").iter().map(|row| row[0].clone()).collect();
    let codes: BTreeSet<String> = codes.collect();
    assert!(codes.len() > 3 && codes.is_subset(&documented), "{codes:?} {documented:?}");
}

#[test]
fn the_readme_asks_for_the_rust_that_the_package_asks_for() {
    let manifest = std::fs::read_to_string("Cargo.toml").unwrap();
    let version = manifest.split("\nrust-version = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let wanted = format!("Rust {version} or newer");
    assert!(Page::read("README.md").text.contains(&wanted), "README.md doesn't say `{wanted}`");
}
