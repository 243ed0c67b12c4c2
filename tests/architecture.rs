//! The walls of the house: which room may use which, from the sources' own `use` lines and paths, held against the table
//! in ARCHITECTURE.md. A room is a file or folder directly under `src/`.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const MOST_LINES: usize = 450;

#[test]
fn rooms_use_what_the_table_says_and_nothing_else() {
    let table = table();
    let arrows = room_arrows();
    let mut wrong = Vec::new();
    for (room, uses) in &arrows {
        let Some((_, declared)) = table.iter().find(|(name, _)| name == room) else {
            wrong.push(format!("`{room}` isn't in the table"));
            continue;
        };
        wrong.extend(
            uses.difference(declared).map(|other| format!("`{room}` uses `{other}`, which the table doesn't allow")),
        );
        wrong.extend(
            declared.difference(uses).map(|other| format!("the table lets `{room}` use `{other}`, but it doesn't")),
        );
    }
    wrong.extend(
        table
            .iter()
            .filter(|(room, _)| !arrows.contains_key(room))
            .map(|(room, _)| format!("there is no room `{room}`")),
    );
    assert!(wrong.is_empty(), "ARCHITECTURE.md and src/ disagree:\n{}", wrong.join("\n"));
}

/// A row only names rooms of rows below it, so there can be no circle.
#[test]
fn every_arrow_of_the_table_points_down() {
    let table = table();
    let mut above = BTreeSet::new();
    for (room, uses) in &table {
        above.insert(room.clone());
        let up: Vec<_> = uses.intersection(&above).collect();
        assert!(up.is_empty(), "`{room}` uses {up:?}, which stands above it");
    }
    assert!(table.len() > 10, "the table was not found");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let files = sources();
    let arrows = file_arrows(&files);
    let circle = find_circle(&arrows);
    assert!(circle.is_none(), "a circle: {:?}", circle.unwrap());
}

/// What a library does for one room, no other room knows of: replacing it, or adding what is like it, touches one room.
#[test]
fn libraries_stay_in_their_rooms() {
    let sources = sources();
    let mut wrong = Vec::new();
    for (library, rooms) in LIBRARIES {
        let users: BTreeSet<&str> = sources
            .iter()
            .filter(|source| names(&source.text, library))
            .map(|source| source.module.split("::").next().unwrap_or_default())
            .collect();
        assert!(!users.is_empty(), "nobody uses `{library}`");
        wrong
            .extend(users.iter().filter(|user| !rooms.contains(user)).map(|user| format!("`{user}` uses `{library}`")));
    }
    let numbers = sources.iter().filter(|source| source.module.starts_with("stats"));
    let io = numbers.filter(|source| ["std::fs", "std::io", "std::env"].iter().any(|path| source.text.contains(path)));
    wrong.extend(io.map(|source| format!("`{}` does more than compute", source.module)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Libraries, and the rooms that know of them.
const LIBRARIES: &[(&str, &[&str])] = &[
    // The crate's face shows the command line, for its documentation to be held to it.
    ("clap", &["", "cli", "commands", "config", "flags"]),
    ("csv", &["formats"]),
    ("candle_core", &["engine"]),
    ("candle_nn", &["engine"]),
    ("candle_transformers", &["engine"]),
    ("reqwest", &["engine", "https", "hub"]),
    ("rustls", &["https"]),
    ("rusqlite", &["formats"]),
    ("nvml_wrapper", &["device"]),
    ("octocrab", &["github"]),
    ("saphyr_parser", &["doctor"]),
    ("object", &["kernel_code"]),
    ("ruzstd", &["kernel_code"]),
    ("lz4_flex", &["kernel_code"]),
    ("http", &["github"]),
    // Whatever is laid out for a reader is a page.
    ("comfy_table", &["page"]),
    ("textwrap", &["page"]),
    ("statrs", &["stats"]),
];

/// Does the text have a path that begins with this library's name?
fn names(text: &str, library: &str) -> bool {
    text.match_indices(&format!("{library}::"))
        .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}

#[test]
fn files_are_short() {
    let long: Vec<String> = ["src", "tracer", "kernels", "build", "tests", "benches", "examples"]
        .iter()
        .flat_map(|folder| files_under(Path::new(folder), &["rs", "cu", "cuh", "py", "h"]))
        .filter_map(|path| {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            (lines > MOST_LINES).then(|| format!("{}: {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "more than {MOST_LINES} lines:\n{}", long.join("\n"));
}

/// `mod.rs` is its folder's name, and a command's file is its command's.
#[test]
fn file_names_tell_files_apart() {
    let mut by_name: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in files_under(Path::new("src"), &["rs"]) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name != "mod.rs" && !path.starts_with("src/commands") {
            by_name.entry(name).or_default().push(path);
        }
    }
    by_name.retain(|_, paths| paths.len() > 1);
    assert!(by_name.is_empty(), "several files of one name: {by_name:#?}");
}

/// Every path that ARCHITECTURE.md names is there.
#[test]
fn the_document_names_what_exists() {
    let text = fs::read_to_string("ARCHITECTURE.md").unwrap();
    let named = text.split('`').skip(1).step_by(2).filter(|word| is_path(word));
    let gone: Vec<&str> = named.filter(|path| !Path::new(path).exists()).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names what isn't there: {gone:?}");
}

fn is_path(word: &str) -> bool {
    let root = word.split('/').next().unwrap_or_default();
    word.contains('/') && !word.contains([' ', '*', '<', ':']) && Path::new(root).exists()
}

/// The rows of the table under "Which room uses which", from the top down: a room and what it uses.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let text = fs::read_to_string("ARCHITECTURE.md").unwrap();
    let section = text.split("## Which room uses which").nth(1).expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let mut cells = line.trim_matches('|').split('|');
        let room = words(cells.next().unwrap()).pop_first().unwrap();
        (room, words(cells.next().unwrap_or_default()))
    })
    .collect()
}

/// A source file: its module path (`compare::verdict`) and its text without tests and comments.
struct Source {
    module: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let files = files_under(Path::new("src"), &["rs"]);
    files
        .iter()
        .filter(|path| !path.ends_with("main.rs"))
        .map(|path| Source { module: module(path), text: code(path) })
        .collect()
}

/// `src/compare/mod.rs` is `compare`; `src/lib.rs` is the empty path.
fn module(path: &Path) -> String {
    let path = path.strip_prefix("src").unwrap().with_extension("");
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let parts = parts.iter().map(String::as_str).filter(|part| !matches!(*part, "mod" | "lib"));
    parts.collect::<Vec<_>>().join("::")
}

/// The file without comments, and without what follows its tests: these come last.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Which room uses which.
fn room_arrows() -> BTreeMap<String, BTreeSet<String>> {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources().iter().filter(|source| !source.module.is_empty()) {
        let room = source.module.split("::").next().unwrap().to_owned();
        let uses = paths(&source.text).into_iter().filter_map(|path| path.strip_prefix("crate::").map(str::to_owned));
        let rooms = uses.filter_map(|path| path.split("::").next().map(str::to_owned));
        let others: Vec<String> = rooms.filter(|other| *other != room && is_room(other)).collect();
        arrows.entry(room).or_default().extend(others);
    }
    arrows
}

fn is_room(name: &str) -> bool {
    Path::new("src").join(name).is_dir() || Path::new("src").join(format!("{name}.rs")).is_file()
}

/// Which file uses which, by the files' `use` lines. What a `mod.rs` hands on (`pub use`) is no use of its own.
fn file_arrows(files: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeSet<&str> = files.iter().map(|file| file.module.as_str()).collect();
    let mut arrows = BTreeMap::new();
    for file in files {
        let used = use_lines(&file.text);
        let named = paths_in_code(&file.text);
        let resolved = |path: &String| resolve(path, &file.module, &modules);
        // A word of the folder's own that is named in passing makes no circle with what the folder hands on.
        let beside = named.iter().filter_map(resolved).filter(|to| !file.module.starts_with(&format!("{to}::")));
        let targets = used.iter().filter_map(resolved).chain(beside);
        let targets: BTreeSet<String> = targets.filter(|target| *target != file.module && !target.is_empty()).collect();
        arrows.insert(file.module.clone(), targets);
    }
    arrows
}

/// The paths of the private `use` lines, braces expanded.
fn use_lines(text: &str) -> Vec<String> {
    let statements = text.split(';').map(|statement| statement.trim_start());
    let uses =
        statements.filter_map(|statement| statement.rsplit_once('\n').map_or(Some(statement), |_| Some(statement)));
    uses.filter_map(|statement| {
        let start = statement.find("use ").filter(|&at| at == 0 || statement[..at].ends_with('\n'))?;
        Some(statement[start + 4..].to_owned())
    })
    .flat_map(|tree| expand(&tree.split_whitespace().collect::<String>()))
    .collect()
}

/// The paths within the code itself: `super::facts::short_commit(...)` is an arrow as well as a `use` line is.
fn paths_in_code(text: &str) -> Vec<String> {
    let within = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|c: char| !within(c)))
        .filter(|path| path.starts_with("super::") || path.starts_with("crate::"))
        .map(str::to_owned)
        .collect()
}

/// Every `crate::` path in the text, braces expanded.
fn paths(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let tree: String = text[at..].split(';').next().unwrap_or_default().split_whitespace().collect();
        found.extend(expand(&tree));
    }
    found
}

/// `a::{b, c::{d}}` is `a::b`, `a::c::d`; what isn't part of a path ends it.
fn expand(tree: &str) -> Vec<String> {
    let Some(open) = tree.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) else {
        return vec![tree.to_owned()];
    };
    let prefix = &tree[..open];
    if !tree[open..].starts_with('{') || !prefix.ends_with("::") {
        return vec![prefix.to_owned()];
    }
    let mut depth = 0;
    let mut start = open + 1;
    let mut found = Vec::new();
    for (at, c) in tree.char_indices().skip(open) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            found.extend(expand(&tree[start..at]).into_iter().map(|rest| format!("{prefix}{rest}")));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    found
}

/// The file that a path of `module` leads into: the longest part of it that is one.
fn resolve(path: &str, module: &str, modules: &BTreeSet<&str>) -> Option<String> {
    let mut here: Vec<&str> = module.split("::").collect();
    let mut rest: Vec<&str> = path.split("::").collect();
    match *rest.first()? {
        "crate" => here.clear(),
        "self" => {}
        "super" => {
            while rest.first() == Some(&"super") {
                here.pop();
                rest.remove(0);
            }
            rest.insert(0, "super");
        }
        // A sibling declared in this file, or another crate.
        _ if modules.contains(format!("{module}::{}", rest[0]).as_str()) => rest.insert(0, "self"),
        _ => return None,
    }
    here.extend(&rest[1..]);
    (0..=here.len()).rev().map(|length| here[..length].join("::")).find(|module| modules.contains(module.as_str()))
}

fn find_circle(arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(
        at: &str,
        arrows: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|seen| seen == at) {
            return Some(way[start..].to_vec());
        }
        if !done.insert(at.to_owned()) {
            return None;
        }
        way.push(at.to_owned());
        let found = arrows.get(at)?.iter().find_map(|next| visit(next, arrows, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    arrows.keys().find_map(|start| visit(start, arrows, &mut Vec::new(), &mut done))
}

/// All files of these kinds, sorted.
fn files_under(folder: &Path, kinds: &[&str]) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let kept = paths.into_iter().flat_map(|path| match path.is_dir() {
        true => files_under(&path, kinds),
        false => vec![path],
    });
    kept.filter(|path| path.extension().is_some_and(|kind| kinds.iter().any(|wanted| kind == *wanted))).collect()
}
