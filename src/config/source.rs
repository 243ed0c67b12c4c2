//! A configuration file's text, and where in it a setting is.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::error::Error;

/// No configuration is longer: the starter file has 10 kB.
pub const MOST_BYTES: u64 = 4 << 20;

/// A parsed file.
pub struct Source<'a> {
    /// As a person would name it; in messages.
    pub name: String,
    text: &'a str,
    table: Spanned<DeTable<'a>>,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Counted from 1; `None` for the command line.
    pub line: Option<usize>,
    pub reason: String,
}

impl<'a> Source<'a> {
    /// Parses TOML; all syntax errors at once.
    pub fn parse(name: String, text: &'a str) -> Result<Self, Error> {
        if text.len() as u64 > MOST_BYTES {
            let most = MOST_BYTES >> 20;
            return Err(Error::usage(format!("{name} has more than {most} MiB, as no configuration has")));
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        let source = Self { name, text, table };
        let problems = errors.iter().map(|error| {
            let line = error.span().map(|span| source.line(span.start));
            Problem { line, reason: format!("not valid TOML: {}", error.message()) }
        });
        let problems: Vec<_> = problems.collect();
        if problems.is_empty() { Ok(source) } else { Err(source.error(problems)) }
    }

    /// Nobody wrote it with a model of their own in mind.
    pub fn is_built_in(&self) -> bool {
        self.name == super::BUILT_IN_NAME
    }

    pub fn root(&self) -> &Spanned<DeTable<'a>> {
        &self.table
    }

    /// The file without some settings, which are in its order.
    pub fn without(&self, settings: &[Vec<String>]) -> Spanned<DeTable<'a>> {
        let mut table = self.table.clone();
        // The last first, so that what is left of a list keeps its place.
        for path in settings.iter().rev() {
            remove(table.get_mut(), path);
        }
        table
    }

    pub fn line(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset.min(self.text.len())].iter().filter(|&&byte| byte == b'\n').count() + 1
    }

    /// The line of the setting that `path` leads to (keys, and indices of arrays), if the file has it.
    pub fn find(&self, path: &[&str]) -> Option<usize> {
        self.offset(path).map(|offset| self.line(offset))
    }

    /// Where in the text the setting is.
    pub fn offset(&self, path: &[&str]) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        let (key, mut value) = self.table.get_ref().get_key_value(*first)?;
        let mut start = key.span().start;
        for step in rest {
            match value.get_ref() {
                DeValue::Table(table) => {
                    let (key, next) = table.get_key_value(*step)?;
                    (start, value) = (key.span().start, next);
                }
                DeValue::Array(items) => {
                    value = items.get(step.parse::<usize>().ok()?)?;
                    start = value.span().start;
                }
                _ => return None,
            }
        }
        Some(start)
    }

    /// All problems as one error, in the order of the file.
    pub fn error(&self, problems: Vec<Problem>) -> Error {
        self.problems(problems).error()
    }

    /// Where each is and what, in the order of the file.
    pub fn problems(&self, mut problems: Vec<Problem>) -> Problems {
        problems.sort();
        problems.dedup();
        let place = |problem: Problem| match problem.line {
            Some(line) => format!("{}:{line}: {}", self.name, problem.reason),
            None => problem.reason,
        };
        Problems(problems.into_iter().map(place).collect())
    }
}

/// A file that is something else has a problem in each line.
const MOST_SHOWN: usize = 30;

/// What is wrong with a file, a sentence each.
#[derive(Debug, Clone, PartialEq)]
pub struct Problems(Vec<String>);

impl Problems {
    pub fn error(&self) -> Error {
        match &self.0[..] {
            [problem] => Error::usage(problem),
            problems => {
                let summary = format!("{} problems in the configuration:", problems.len());
                let mut shown = problems[..problems.len().min(MOST_SHOWN)].to_vec();
                if let Some(more @ 1..) = problems.len().checked_sub(MOST_SHOWN) {
                    shown.push(format!("and {more} more"));
                }
                Error::usage(summary).with_details(shown)
            }
        }
    }
}

/// Takes out what `path` leads to.
fn remove(table: &mut DeTable, path: &[String]) {
    let Some((key, rest)) = path.split_first() else { return };
    match (table.get_mut(key.as_str()).map(Spanned::get_mut), rest) {
        (Some(DeValue::Table(inner)), [_, ..]) => remove(inner, rest),
        (Some(DeValue::Array(items)), [index, inner @ ..]) => {
            let index = index.parse().unwrap_or(usize::MAX);
            match items.get_mut(index).map(Spanned::get_mut) {
                Some(DeValue::Table(item)) if !inner.is_empty() => remove(item, inner),
                Some(item) if key == MODELS => *item = DeValue::String("".into()),
                _ => *items = without_item(items, index),
            }
            if items.is_empty() {
                table.remove(key.as_str());
            }
        }
        _ => drop(table.remove(key.as_str())),
    }
}

fn without_item<'a>(items: &DeArray<'a>, index: usize) -> DeArray<'a> {
    let mut kept = DeArray::new();
    items.iter().enumerate().filter(|(place, _)| *place != index).for_each(|(_, item)| kept.push(item.clone()));
    kept
}

/// Its items are known by their places: one that is taken out becomes a model without a name.
const MODELS: &str = "models";

/// The file that `--config` names, else the nearest `bench-diff.toml` from the working directory upwards.
pub fn locate(named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(path) => Some(path.to_owned()),
        None => {
            let here = std::env::current_dir().ok()?;
            let found =
                here.ancestors().map(|directory| directory.join(super::FILE_NAME)).find(|path| path.is_file())?;
            // Shorter in messages.
            Some(if found.parent() == Some(&here) { super::FILE_NAME.into() } else { found })
        }
    }
}
