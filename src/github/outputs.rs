//! What a step hands to its runner: outputs, the step summary, and annotations.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::files;
use crate::redact::Secrets;

/// GitHub shows at most this much of a step's summary, in bytes.
pub const MAX_SUMMARY: usize = 1 << 20;
/// GitHub shows at most this many annotations of a level for a step.
pub const MAX_ANNOTATIONS: usize = 10;

/// The files that the runner reads when the step ends. Outside of a runner there are none, and nothing is written.
#[derive(Debug, Clone, Default)]
pub struct Files {
    outputs: Option<PathBuf>,
    summary: Option<PathBuf>,
}

impl Files {
    /// `variable` is the environment.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name: &str| variable(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { outputs: path("GITHUB_OUTPUT"), summary: path("GITHUB_STEP_SUMMARY") }
    }

    /// Sets an output of the step. The value may have many lines and any content.
    pub fn set(&self, name: &str, value: &str) -> io::Result<()> {
        let Some(path) = &self.outputs else { return Ok(()) };
        append(path, &output(name, value))
    }

    /// Appends to the step's summary; what is too long for GitHub ends with a line that says so.
    pub fn summarize(&self, markdown: &str) -> io::Result<()> {
        let Some(path) = &self.summary else { return Ok(()) };
        let used = std::fs::metadata(path).map_or(0, |file| file.len() as usize);
        append(path, &shorten(markdown, MAX_SUMMARY.saturating_sub(used)))
    }
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    Secrets::of_environment().writer(files::append(path)?).write_all(text.as_bytes())
}

/// One output in the runner's multi-line form. The delimiter is one that the value doesn't contain.
fn output(name: &str, value: &str) -> String {
    let mut delimiter = String::from("bench-diff-end");
    while value.contains(&delimiter) {
        delimiter.push('-');
    }
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

/// At most `limit` bytes, cut between lines.
fn shorten(markdown: &str, limit: usize) -> String {
    const CUT: &str = "\n\n*Cut here: GitHub shows no more. The whole report is in the results.*\n";
    let whole = format!("{}\n", markdown.trim_end());
    if whole.len() <= limit {
        return whole;
    }
    let mut end = limit.saturating_sub(CUT.len()).min(whole.len());
    while !whole.is_char_boundary(end) {
        end -= 1;
    }
    match whole[..end].rfind('\n') {
        Some(line) => format!("{}{CUT}", &whole[..line]),
        None => String::new(),
    }
}

/// How an annotation looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something to look at.
    Warning,
    /// Something to know.
    Notice,
}

/// A message on the run's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// How it looks.
    pub level: Level,
    /// One line, in bold.
    pub title: String,
    /// What else there is to say.
    pub message: String,
}

/// The annotations as workflow commands. Beyond GitHub's limit the last one says how many there are more.
pub fn commands(annotations: &[Annotation]) -> String {
    let mut text = String::new();
    for level in [Level::Error, Level::Warning, Level::Notice] {
        let of_level: Vec<_> = annotations.iter().filter(|annotation| annotation.level == level).collect();
        let shown = if of_level.len() > MAX_ANNOTATIONS { MAX_ANNOTATIONS - 1 } else { of_level.len() };
        for annotation in &of_level[..shown] {
            text.push_str(&command(level, &annotation.title, &annotation.message));
        }
        if shown < of_level.len() {
            let more = format!("{} more like these are in the step summary", of_level.len() - shown);
            text.push_str(&command(level, "and more", &more));
        }
    }
    text
}

fn command(level: Level, title: &str, message: &str) -> String {
    let word = match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Notice => "notice",
    };
    format!("::{word} title={}::{}\n", escape_property(title), escape_data(message))
}

/// As the runner un-escapes it. Other control characters have no meaning here and are dropped.
fn escape_data(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '%' => escaped.push_str("%25"),
            '\r' => escaped.push_str("%0D"),
            '\n' => escaped.push_str("%0A"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_cant_end_early() {
        let value = "a\nbench-diff-end\nverdict<<x\nfine";
        let written = output("report", value);
        assert_eq!(written, format!("report<<bench-diff-end-\n{value}\nbench-diff-end-\n"));
    }

    #[test]
    fn annotations_carry_no_commands() {
        let annotation = Annotation {
            level: Level::Error,
            title: "m::set-output name=a,b::c".into(),
            message: "100%\n::add-mask::x\r\u{1b}[31m".into(),
        };
        assert_eq!(
            commands(&[annotation]),
            "::error title=m%3A%3Aset-output name=a%2Cb%3A%3Ac::100%25%0A::add-mask::x%0D[31m\n"
        );
    }

    #[test]
    fn the_tenth_annotation_counts_the_rest() {
        let one = Annotation { level: Level::Error, title: "t".into(), message: "m".into() };
        let ten = commands(&vec![one.clone(); MAX_ANNOTATIONS]);
        assert!(ten.lines().count() == MAX_ANNOTATIONS && !ten.contains("more like these"), "{ten}");
        let text = commands(&vec![one; 25]);
        assert_eq!(text.lines().count(), MAX_ANNOTATIONS);
        assert!(text.ends_with("::error title=and more::16 more like these are in the step summary\n"));
    }

    #[test]
    fn a_long_summary_is_cut_between_lines() {
        let text = shorten(&"äöü line\n".repeat(100), 300);
        assert!(text.len() <= 300);
        assert!(text.contains("line\n\n*Cut here"));
        // What just fits is whole, and what has no lines to cut between is left out.
        assert_eq!(
            (shorten("four", 5), shorten("four", 4), shorten(&"x".repeat(500), 300)),
            ("four\n".into(), String::new(), String::new())
        );
    }
}
