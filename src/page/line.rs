//! A line of text: our words, figures, and text of others.

/// Text without a line break.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    pub spans: Vec<Span>,
    /// No line is broken at its spaces.
    pub unbroken: bool,
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Span {
    /// Our own words.
    Text(&'static str),
    Figure(Figure),
    Icon(Icon),
    /// Text of others, shown as it is written, cut to so many characters.
    Foreign(String, usize),
    /// Names and commits of others, set apart, cut to so many characters.
    Code(String, usize),
    Strong(Line),
    Link(&'static str, Url),
    /// The next line of a cell.
    Break,
}

/// A number with its unit, made by our own formatters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure(String);

impl Figure {
    /// `text` must come from a formatter of ours: a writer shows it as it is.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<usize> for Figure {
    fn from(count: usize) -> Self {
        Self(count.to_string())
    }
}

/// An address that can stand in a link: https, and nothing in it that could end the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// `None` for what isn't such an address.
    pub fn checked(address: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/?#@!$&+,;=%:".contains(c);
        let known = address.starts_with("https://") || address.starts_with("http://");
        (known && address.len() <= 2000 && address.chars().all(plain)).then(|| Self(address.to_owned()))
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
    Inconclusive,
    Unchanged,
    NotComparable,
    Failed,
    Missing,
    FellBack,
    OutputChanged,
    New,
    FirstRun,
    Warning,
    Accepted,
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
            Self::Inconclusive | Self::Warning | Self::OutputChanged | Self::FellBack => Tone::Open,
            Self::NotComparable => Tone::Odd,
            Self::Unchanged | Self::New | Self::FirstRun => Tone::Plain,
        }
    }
}

impl Line {
    pub fn text(text: &'static str) -> Self {
        Self::default().and(text)
    }

    pub fn icon(icon: Icon) -> Self {
        Self::default().with(Span::Icon(icon))
    }

    pub fn figure(figure: Figure) -> Self {
        Self::default().and_figure(figure)
    }

    pub fn foreign(text: &str, most: usize) -> Self {
        Self::default().and_foreign(text, most)
    }

    pub fn code(text: &str, most: usize) -> Self {
        Self::default().and_code(text, most)
    }

    /// Lines one after the other, with `between` between them.
    pub fn joined(lines: impl IntoIterator<Item = Line>, between: &'static str) -> Self {
        let mut joined = Self::default();
        for (index, line) in lines.into_iter().enumerate() {
            if index > 0 {
                joined.spans.push(Span::Text(between));
            }
            joined.spans.extend(line.spans);
        }
        joined
    }

    #[must_use]
    pub fn with(mut self, span: Span) -> Self {
        self.spans.push(span);
        self
    }

    #[must_use]
    pub fn and(self, text: &'static str) -> Self {
        self.with(Span::Text(text))
    }

    #[must_use]
    pub fn and_figure(self, figure: impl Into<Figure>) -> Self {
        self.with(Span::Figure(figure.into()))
    }

    #[must_use]
    pub fn and_foreign(self, text: &str, most: usize) -> Self {
        self.with(Span::Foreign(text.chars().take(most + 1).collect(), most))
    }

    #[must_use]
    pub fn and_code(self, text: &str, most: usize) -> Self {
        self.with(Span::Code(text.chars().take(most + 1).collect(), most))
    }

    #[must_use]
    pub fn and_line(mut self, line: Line) -> Self {
        self.spans.extend(line.spans);
        self
    }

    #[must_use]
    pub fn strong(self) -> Self {
        Self { spans: vec![Span::Strong(Self { unbroken: self.unbroken, ..self })], unbroken: false }
    }

    #[must_use]
    pub fn unbroken(self) -> Self {
        Self { unbroken: true, ..self }
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The tone of its first icon.
    pub fn tone(&self) -> Tone {
        let icon = self.spans.iter().find_map(|span| match span {
            Span::Icon(icon) => Some(*icon),
            _ => None,
        });
        icon.map_or(Tone::Plain, Icon::tone)
    }
}

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
}
