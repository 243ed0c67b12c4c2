//! The text of `go test -bench`: several lines of one name, as with `-count`, are samples.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::cells::{Cell, Cells, Measure};
use super::direction;
use super::foreign_file::ForeignFile;
use super::writer::{Writer, Written};
use super::{Format, Repeats};
use crate::error::{Error, Result};
use crate::escape;
use crate::metric::{self, Better};
use crate::unit as units;

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
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let read = reader.check_end(line).and_then(|()| reader.line(line.trim_end_matches('\n'), cells));
        read.map_err(|problem| file.error(&format!("line {} {problem}", index + 1)))?;
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
    /// Of all results so far.
    units: HashSet<&'a str>,
    failed: bool,
}

const CUT_OFF: &str = "is no whole result: the file looks cut off";

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

    /// Half a unit is one as well: `MB` of `MB/s`. Where a result's line isn't ended, its unit is one that is known, and not
    /// the start of another.
    fn check_end(&self, line: &str) -> Result<(), String> {
        if line.ends_with('\n') || !is_result(line) {
            return Ok(());
        }
        let last = line.split_whitespace().last().unwrap_or_default();
        let own = KNOWN.iter().map(|(unit, _)| *unit);
        let mut known = own.chain(self.better.keys().copied()).chain(self.units.iter().copied());
        let is_longer = |unit: &str| unit != last && unit.starts_with(last);
        if known.clone().any(|unit| unit == last) && !known.any(is_longer) { Ok(()) } else { Err(CUT_OFF.to_owned()) }
    }

    fn result(&mut self, line: &'a str, cells: &mut Cells) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, values) = (words[0], &words[2..]);
        if values.is_empty() || values.len() % 2 == 1 {
            return Err(CUT_OFF.to_owned());
        }
        let case = self.package.map_or_else(|| name.to_owned(), |package| format!("{package}.{name}"));
        for pair in values.chunks_exact(2) {
            self.units.insert(pair[1]);
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
        let (name, of) = metric_and_unit(unit);
        let better = self.better.get(unit).copied().or_else(|| by_ending(unit)).or_else(|| direction::of_unit(of))?;
        Some(Measure { name, unit: of, better })
    }
}

/// Go writes `p99-ns` for a metric in a unit. Other hyphens are part of a name.
fn metric_and_unit(unit: &str) -> (&str, &str) {
    let is_rate = |of: &str| direction::of_unit(of) == Some(Better::Higher);
    let is_both = |name: &str, of: &str| {
        !name.is_empty() && (units::quantity(of).is_some() || is_rate(of) || metric::find(name).is_some())
    };
    unit.rsplit_once('-').filter(|(name, of)| is_both(name, of)).unwrap_or((unit, unit))
}

/// Go's own rule for units that end in a name of what they count.
fn by_ending(unit: &str) -> Option<Better> {
    ["-ns", "-bytes", "-sec"].iter().any(|ending| unit.ends_with(ending)).then_some(Better::Lower)
}

pub(super) const WRITER: Writer = Writer {
    name: FORMAT.name,
    what: "Go benchmark text, for benchstat: a line for each sample, units with their direction",
    write,
};

fn write(cells: &[Cell]) -> Result<Written> {
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    let (mut text, mut package) = (directions(cells), None);
    for case in cases(cells) {
        let (of, name) = named(case[0].case.as_str());
        if let Some(other) = names.insert(format!("{of:?} {name}"), &case[0].case) {
            let problem = format!("`{other}` and `{}` have one name as Go benchmarks, `{name}`", case[0].case);
            return Err(Error::usage(problem));
        }
        if of != package {
            text += &format!("pkg: {}\n", of.unwrap_or_default());
            package = of;
        }
        text += &lines(&name, &case);
    }
    Ok(Written { text, warnings: Vec::new() })
}

/// `Unit decode_throughput-tok/s better=higher`, where Go doesn't know it.
fn directions(cells: &[Cell]) -> String {
    let told: BTreeMap<String, Better> = cells.iter().map(|cell| (unit_of(cell), cell.better)).collect();
    let untold = told.iter().filter(|(unit, _)| KNOWN.iter().all(|(known, _)| known != unit));
    untold.map(|(unit, better)| format!("Unit {unit} better={}\n", better.word())).collect()
}

/// The cells of each case, in their order.
fn cases(cells: &[Cell]) -> Vec<Vec<&Cell>> {
    let (mut places, mut cases) = (HashMap::new(), Vec::<Vec<&Cell>>::new());
    for cell in cells {
        let place = *places.entry(&cell.case).or_insert(cases.len());
        match cases.get_mut(place) {
            Some(case) => case.push(cell),
            None => cases.push(vec![cell]),
        }
    }
    cases
}

/// A package, and a name as Go's tools take it: `Benchmark`, no small letter after it, and no space.
fn named(case: &str) -> (Option<&str>, String) {
    let (package, case) = match case.split_once(".Benchmark") {
        Some((package, _)) if !package.contains(is_no_part_of_a_word) => (Some(package), &case[package.len() + 1..]),
        _ => (None, case),
    };
    let name = case.replace(is_no_part_of_a_word, "_");
    let start = match name.chars().next() {
        _ if is_name(&name) => "",
        Some(first) if first.is_lowercase() => "Benchmark_",
        _ => "Benchmark",
    };
    (package, format!("{start}{name}"))
}

/// The n-th samples of all metrics stand in the n-th line.
fn lines(name: &str, case: &[&Cell]) -> String {
    let most = case.iter().map(|cell| cell.values.len()).max().unwrap_or(0);
    let line = |sample: usize| {
        let values = case.iter().filter_map(|cell| Some(format!(" {} {}", cell.values.get(sample)?, unit_of(cell))));
        format!("{name} 1{}\n", values.collect::<String>())
    };
    (0..most).map(line).collect()
}

/// Go's own, or the metric with its unit.
fn unit_of(cell: &Cell) -> String {
    let known = KNOWN.iter().find(|(_, it)| it.name == cell.metric && it.unit == cell.unit && it.better == cell.better);
    let unit = cell.unit.replace(is_no_part_of_a_word, "_");
    match known {
        Some((go, _)) => (*go).to_owned(),
        None if cell.metric == cell.unit && metric::find(&cell.metric).is_none() => unit,
        None => format!("{}-{unit}", cell.metric.replace(is_no_part_of_a_word, "_")),
    }
}

/// Words end at a space, and a terminal obeys what can't be seen.
fn is_no_part_of_a_word(c: char) -> bool {
    c.is_whitespace() || escape::is_hidden(c)
}
