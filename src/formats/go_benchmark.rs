//! The text of `go test -bench`: several lines of one name, as with `-count`, are samples.

use std::collections::HashMap;

use super::cells::{Cells, Measure};
use super::direction;
use super::foreign_file::ForeignFile;
use super::{Format, Repeats};
use crate::error::Result;
use crate::metric::Better;

pub(super) const FORMAT: Format = Format {
    name: "go",
    tool: "Go's benchmarks",
    repeats: Repeats::WithinProgram,
    looks: |look| {
        !look.head.starts_with(['{', '['])
            && look.head.lines().any(|line| is_result(line) || line.starts_with("goos: "))
    },
    read,
};

/// What Go itself measures, and what it is called here.
const KNOWN: [(&str, Measure); 4] = [
    ("ns/op", Measure::lower("time", "ns")),
    ("B/op", Measure::lower("memory", "B")),
    ("allocs/op", Measure::lower("allocations", "allocs/op")),
    ("MB/s", Measure::higher("throughput", "MB/s")),
];

/// `BenchmarkName-8   1000   123 ns/op`, perhaps with more values.
fn is_result(line: &str) -> bool {
    let mut words = line.split_whitespace();
    is_name(words.next().unwrap_or_default()) && words.next().is_some_and(|count| count.parse::<u64>().is_ok())
}

fn is_name(word: &str) -> bool {
    word.strip_prefix("Benchmark").is_some_and(|name| !name.starts_with(|c: char| c.is_lowercase()))
}

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    let text = file.text();
    file.warn_of_open_end(&text, cells);
    let mut reader = Reader::default();
    for (index, line) in text.lines().enumerate() {
        reader.line(line, cells).map_err(|problem| file.error(&format!("line {} {problem}", index + 1)))?;
    }
    if reader.failed {
        cells.warn(format!("{} says that its benchmarks failed: results may be missing", file.name));
    }
    Ok(())
}

/// What lines say of those after them.
#[derive(Default)]
struct Reader<'a> {
    package: Option<&'a str>,
    /// Directions of units, from `Unit` lines.
    better: HashMap<&'a str, Better>,
    failed: bool,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: &'a str, cells: &mut Cells) -> Result<(), String> {
        if let Some(package) = line.strip_prefix("pkg: ") {
            self.package = Some(package.trim());
        } else if let Some(unit) = line.strip_prefix("Unit ") {
            self.unit(unit);
        } else if line.starts_with("FAIL") || line.starts_with("--- FAIL") || line.starts_with("panic: ") {
            self.failed = true;
        } else if is_result(line) {
            return self.result(line, cells);
        }
        Ok(())
    }

    /// `Unit tok/s better=higher`
    fn unit(&mut self, line: &'a str) {
        let mut words = line.split_whitespace();
        let Some(unit) = words.next() else { return };
        for word in words {
            match word {
                "better=higher" => self.better.insert(unit, Better::Higher),
                "better=lower" => self.better.insert(unit, Better::Lower),
                _ => None,
            };
        }
    }

    fn result(&self, line: &str, cells: &mut Cells) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, values) = (words[0], &words[2..]);
        if values.is_empty() || values.len() % 2 == 1 {
            return Err("is no whole result: the file looks cut off".to_owned());
        }
        let case = self.package.map_or_else(|| name.to_owned(), |package| format!("{package}.{name}"));
        for pair in values.chunks_exact(2) {
            let value = pair[0].parse().map_err(|_| format!("has `{}` where a number belongs", pair[0]))?;
            match self.measure(pair[1]) {
                Some(measure) => cells.average(&case, measure, Some(value)),
                None => cells.leave_out(pair[1]),
            }
        }
        Ok(())
    }

    fn measure<'b>(&self, unit: &'b str) -> Option<Measure<'b>> {
        if let Some((_, known)) = KNOWN.iter().find(|(name, _)| *name == unit) {
            return Some(*known);
        }
        let better = self.better.get(unit).copied().or_else(|| by_ending(unit)).or_else(|| direction::of_unit(unit))?;
        Some(Measure { name: unit, unit, better })
    }
}

/// Go's own rule for units that end in a name of what they count.
fn by_ending(unit: &str) -> Option<Better> {
    ["-ns", "-bytes", "-sec"].iter().any(|ending| unit.ends_with(ending)).then_some(Better::Lower)
}
