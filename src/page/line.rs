//! A line of text: our words, figures, and text of others.

use crate::escape;
use crate::number::Figure;

/// Text without a line break.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line(pub(super) Vec<Span>);

/// A part of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Span {
    /// Our own words.
    Words(&'static str),
    Figure(Figure),
    Icon(Icon),
    /// Text of others, shown as it is written.
    Foreign(Foreign),
    /// Names and commits of others, set apart.
    Code(Foreign),
    Strong(Line),
    /// No line is broken at its spaces.
    Unbroken(Line),
    /// To type: our words and figures.
    Command(Line),
    Link(&'static str, Url),
}

/// Text of others: only a writer gets at it, through an escape of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign(String);

impl Foreign {
    /// One visible line, cut at its end.
    fn sentence(text: &str, most: usize) -> Self {
        Self(escape::short_line(text, most))
    }

    /// One visible line, cut in its middle.
    fn name(text: &str, most: usize) -> Self {
        Self(escape::short_name(text, most))
    }

    /// What the place makes of its characters is still to be escaped.
    pub(super) fn cut(&self) -> &str {
        &self.0
    }
}

/// An address that can stand in a link: nothing in it could end the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// `None` for what isn't such an address.
    pub fn checked(address: &str) -> Option<Self> {
        escape::address(address).map(|address| Self(address.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an entry is about, at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    Regressed,
    Improved,
    Unconfirmed,
    AtThreshold,
    Inconclusive,
    Unchanged,
    NotComparable,
    Failed,
    Missing,
    FellBack,
    OutputChanged,
    New,
    FirstRun,
    Accepted,
    Warning,
    Release,
    SelfCheck,
    Environment,
    Samples,
    Published,
    Commands,
}

/// Whether that is good news: a colour where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Open,
    Odd,
    Plain,
}

impl Icon {
    pub fn tone(self) -> Tone {
        match self {
            Self::Regressed | Self::Failed | Self::Missing => Tone::Bad,
            Self::Improved | Self::Accepted => Tone::Good,
            Self::Unconfirmed
            | Self::AtThreshold
            | Self::Inconclusive
            | Self::Warning
            | Self::OutputChanged
            | Self::FellBack => Tone::Open,
            Self::NotComparable => Tone::Odd,
            _ => Tone::Plain,
        }
    }
}

impl Line {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// With what follows.
    #[must_use]
    pub fn and(mut self, more: impl Into<Line>) -> Self {
        self.0.extend(more.into().0);
        self
    }

    /// Lines one after the other, with `between` between them.
    pub fn joined(lines: impl IntoIterator<Item = Line>, between: &'static str) -> Self {
        let parts = lines.into_iter().enumerate();
        parts.fold(Self::default(), |joined, (index, line)| joined.and(if index > 0 { between } else { "" }).and(line))
    }

    /// `a, b and c`
    pub fn listed(lines: impl IntoIterator<Item = Line>) -> Self {
        let mut lines: Vec<Line> = lines.into_iter().collect();
        match lines.pop() {
            Some(last) if lines.is_empty() => last,
            Some(last) => Self::joined(lines, ", ").and(" and ").and(last),
            None => Self::default(),
        }
    }
}

/// `text` of others, cut to `most` characters.
pub fn foreign(text: &str, most: usize) -> Line {
    Line(vec![Span::Foreign(Foreign::sentence(text, most))])
}

/// A name of others within a sentence or a heading, cut to `most` characters.
pub fn name(text: &str, most: usize) -> Line {
    Line(vec![Span::Foreign(Foreign::name(text, most))])
}

/// A name of others that is set apart, cut to `most` characters.
pub fn code(text: &str, most: usize) -> Line {
    Line(vec![Span::Code(Foreign::name(text, most))])
}

pub fn strong(line: impl Into<Line>) -> Line {
    Line(vec![Span::Strong(line.into())])
}

pub fn unbroken(line: impl Into<Line>) -> Line {
    Line(vec![Span::Unbroken(line.into())])
}

pub fn command(line: impl Into<Line>) -> Line {
    Line(vec![Span::Command(line.into())])
}

pub fn link(words: &'static str, url: Url) -> Line {
    Line(vec![Span::Link(words, url)])
}

/// Only words that are in this program: text that came from elsewhere is no `&'static str`.
impl From<&'static str> for Line {
    fn from(words: &'static str) -> Self {
        if words.is_empty() { Self::default() } else { Self(vec![Span::Words(words)]) }
    }
}

impl From<Figure> for Line {
    fn from(figure: Figure) -> Self {
        Self(vec![Span::Figure(figure)])
    }
}

impl From<Icon> for Line {
    fn from(icon: Icon) -> Self {
        Self(vec![Span::Icon(icon)])
    }
}

/// A line of parts, one after the other: `line!["in ", count(3u8), " cases"]`.
macro_rules! line {
    ($($part:expr),+ $(,)?) => { $crate::page::Line::default()$(.and($part))+ };
}

pub(crate) use line;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_can_not_leave_its_link() {
        assert!(Url::checked("https://github.com/a/b/actions/runs/1?x=1#c").is_some());
        for hostile in ["javascript:alert(1)", "https://a b", "https://a)[x](https://b", "https://a\n", "https://<a>"] {
            assert_eq!(Url::checked(hostile), None, "{hostile}");
        }
    }

    #[test]
    fn lists_read_as_lists() {
        let listed = |words: &[&'static str]| Line::listed(words.iter().copied().map(Line::from));
        assert_eq!(listed(&["a"]), Line::from("a"));
        assert_eq!(listed(&["a", "b", "c"]), line!["a", ", ", "b", " and ", "c"]);
    }
}
