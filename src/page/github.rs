//! Writes a page as GitHub's Markdown, within the limits of the place.

use super::{Align, Block, Cell, Icon, Line, Page, Span, Table};
use crate::escape;

/// How much a place shows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub bytes: usize,
    /// Rows of a table that everybody sees; the others are in a fold below.
    pub rows: usize,
    /// In one fold.
    pub folded_rows: usize,
    /// Where rows beyond those are.
    pub rest: &'static str,
}

/// GitHub refuses comments of more than 65,536 characters; a check run's text has the same limit.
pub const COMMENT: Limits = Limits { bytes: 58_000, rows: 10, folded_rows: 150, rest: "in the full report" };
/// A document of no place in particular: it fits a comment.
pub const DOCUMENT: Limits = Limits { rest: "with `--format csv`", ..COMMENT };
/// GitHub shows at most 1 MiB of summaries for a step.
pub const SUMMARY: Limits = Limits { bytes: 960_000, folded_rows: 5_000, ..COMMENT };

/// The page, under `limits.bytes` bytes whatever its body holds.
pub fn write(page: &Page, limits: Limits) -> String {
    let mut top = format!("### {}\n\n", inline(&page.headline));
    top.extend(page.top.iter().map(|block| whole(block, limits)));
    let end: String = page.end.iter().map(|block| whole(block, limits)).collect();
    let room = limits.bytes.saturating_sub(top.len() + end.len());
    let mut body = Body { text: top, room, limits };
    page.body.iter().for_each(|block| body.push(block));
    let text = body.text + &end;
    format!("{}\n", text.trim_end())
}

/// The answer alone, as plain text: a check run's title.
pub fn title(page: &Page) -> String {
    text(&page.headline)
}

/// Grows within a limit.
struct Body {
    text: String,
    room: usize,
    limits: Limits,
}

impl Body {
    /// A table or fold as far as it fits; anything else whole or not at all.
    fn push(&mut self, block: &Block) {
        match block {
            Block::Table(table) => self.push_table(table),
            Block::Fold { title, blocks } => self.push_text(fold(title, blocks, self.limits, self.room)),
            block => self.push_text(Some(whole(block, self.limits))),
        }
    }

    /// What everybody sees, and the others in a fold of the same form.
    fn push_table(&mut self, table: &Table) {
        let (shown, others) = split(table, self.limits.rows);
        self.push_text(fitting(["", ""], &shown, self.limits, self.room));
        if let Some(others) = others {
            let title = Line::from("The other ").and(crate::number::count(others.total));
            self.push_text(fold(&title, &[Block::Table(others)], self.limits, self.room));
        }
    }

    fn push_text(&mut self, text: Option<String>) {
        if let Some(text) = text.filter(|text| text.len() <= self.room) {
            self.room -= text.len();
            self.text.push_str(&text);
        }
    }
}

/// The first rows, and the others as a table of their own, if there are any.
fn split(table: &Table, first: usize) -> (Table, Option<Table>) {
    let part = |rows: &[Vec<Cell>], total| Table { rows: rows.to_vec(), total, ..table.clone() };
    if table.rows.len() <= first {
        return (table.clone(), None);
    }
    let (shown, others) = table.rows.split_at(first);
    (part(shown, first), Some(part(others, table.total - first)))
}

/// The block, whatever room there is.
fn whole(block: &Block, limits: Limits) -> String {
    match block {
        Block::Paragraph(line) => format!("{}\n\n", inline(line)),
        Block::Quote(line) => format!("> {}\n\n", inline(line)),
        Block::Warnings(lines) => {
            lines.iter().map(|line| format!("> {} {}\n\n", symbol(Icon::Warning), inline(line))).collect()
        }
        Block::List(lines) => lines.iter().map(|line| format!("- {}\n", inline(line))).collect::<String>() + "\n",
        Block::Table(table) => fitting(["", ""], table, limits, usize::MAX).unwrap_or_default(),
        Block::Fold { title, blocks } => fold(title, blocks, limits, usize::MAX).unwrap_or_default(),
        Block::Commands(text) => format!("```sh\n{text}```\n\n"),
        Block::Next(line) => format!("**Next:** {}\n\n", inline(line)),
        // No small print: over more than one line it overlaps.
        Block::Facts(lines) => format!("{}\n\n", inline(&Line::joined(lines.iter().cloned(), " · "))),
    }
}

/// A fold; a table at its end gives way when room is short. `None` when even the shortest is too long.
fn fold(title: &Line, blocks: &[Block], limits: Limits, room: usize) -> Option<String> {
    let start = format!("<details><summary>{}</summary>\n\n", html(title));
    const END: &str = "</details>\n\n";
    let all = |blocks: &[Block]| blocks.iter().map(|block| whole(block, limits)).collect::<String>();
    match blocks {
        [before @ .., Block::Table(table)] => fitting([&(start + &all(before)), END], table, limits, room),
        blocks => Some(start + &all(blocks) + END),
    }
}

/// Between `start` and `end`, as many rows as fit, and how many there are beyond them.
fn fitting([start, end]: [&str; 2], table: &Table, limits: Limits, room: usize) -> Option<String> {
    let mut count = table.rows.len().min(limits.folded_rows);
    while count > 0 {
        let rest = match table.total - count {
            0 => String::new(),
            rest => format!("*{rest} more {}.*\n\n", limits.rest),
        };
        let text = format!("{start}{}\n{rest}{end}", rows(table, count));
        if text.len() <= room {
            return Some(text);
        }
        count /= 2;
    }
    None
}

/// The first `count` rows, padded so that the source can be read as well.
fn rows(table: &Table, count: usize) -> String {
    let heading = |lines: &[Line]| broken(lines.iter().map(in_table));
    let mut drawn = comfy_table::Table::new();
    drawn
        .load_style(comfy_table::presets::ASCII_MARKDOWN)
        .set_content_arrangement(comfy_table::ContentArrangement::Disabled)
        .force_no_tty()
        .set_header(table.columns.iter().map(|column| heading(&column.lines)))
        .add_rows(table.rows.iter().take(count).map(|row| row.iter().map(cell).collect::<Vec<_>>()));
    let rights: Vec<bool> = table.columns.iter().map(|column| column.align == Align::Right).collect();
    for (column, _) in drawn.column_iter_mut().zip(&rights).filter(|(_, right)| **right) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    let mut lines: Vec<String> = drawn.lines().collect();
    lines[1] = align(&lines[1], &rights);
    lines.join("\n") + "\n"
}

/// comfy-table pads, but GitHub aligns by colons in the second line.
fn align(separator: &str, rights: &[bool]) -> String {
    let columns = separator.trim_matches('|').split('|').zip(rights);
    let aligned = columns.map(|(dashes, right)| if *right { format!("{}:", &dashes[1..]) } else { dashes.to_owned() });
    format!("|{}|", aligned.collect::<Vec<_>>().join("|"))
}

fn cell(cell: &Cell) -> String {
    if cell.lines.is_empty() {
        return "–".to_owned();
    }
    let icon = cell.mark.map_or_else(String::new, |(icon, _)| format!("{}{NO_BREAK}", symbol(icon)));
    icon + &broken(cell.lines.iter().map(in_table))
}

fn broken(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("<br>")
}

/// How a place spells what may hold markup.
struct Spelling {
    foreign: fn(&str) -> String,
    code: fn(&str) -> String,
    strong: [&'static str; 2],
    link: fn(&str, &str) -> String,
}

const INLINE: Spelling = Spelling {
    foreign: escape::markdown,
    code: escape::code,
    strong: ["**", "**"],
    link: |words, url| format!("[{words}]({url})"),
};

/// A pipe ends a cell even inside code.
const IN_TABLE: Spelling = Spelling { code: escape::code_cell, ..INLINE };

/// A fold's summary is HTML.
const HTML: Spelling = Spelling {
    foreign: escape::html,
    code: |text| format!("<code>{}</code>", escape::html(text)),
    strong: ["<b>", "</b>"],
    link: |words, url| format!("<a href=\"{}\">{words}</a>", escape::html(url)),
};

fn inline(line: &Line) -> String {
    spell(line, &INLINE)
}

fn in_table(line: &Line) -> String {
    spell(line, &IN_TABLE)
}

fn html(line: &Line) -> String {
    spell(line, &HTML)
}

fn spell(line: &Line, spelling: &Spelling) -> String {
    let spans = line.0.iter().map(|span| match span {
        Span::Words(words) => (*words).to_owned(),
        Span::Figure(figure) => typeset(figure.as_str()),
        Span::Icon(icon) => format!("{} ", symbol(*icon)),
        Span::Foreign(text) => (spelling.foreign)(text.cut()),
        Span::Code(text) => (spelling.code)(text.cut()),
        Span::Strong(line) => format!("{}{}{}", spelling.strong[0], spell(line, spelling), spelling.strong[1]),
        Span::Unbroken(line) => spell(line, spelling).replace(' ', NO_BREAK),
        Span::Command(line) => (spelling.code)(&text(line).replace('−', "-")),
        Span::Link(words, url) => (spelling.link)(words, url.as_str()),
    });
    spans.collect()
}

/// Plain text: nothing makes anything of it.
fn text(line: &Line) -> String {
    let spans = line.0.iter().map(|span| match span {
        Span::Words(words) | Span::Link(words, _) => (*words).to_owned(),
        Span::Figure(figure) => typeset(figure.as_str()),
        Span::Icon(icon) => format!("{} ", symbol(*icon)),
        Span::Foreign(foreign) | Span::Code(foreign) => foreign.cut().to_owned(),
        Span::Strong(line) | Span::Unbroken(line) | Span::Command(line) => text(line),
    });
    spans.collect()
}

/// With a real minus sign.
fn typeset(figure: &str) -> String {
    match figure.strip_prefix('-') {
        Some(rest) => format!("−{rest}"),
        None => figure.to_owned(),
    }
}

/// A space at which a browser breaks no line.
const NO_BREAK: &str = "\u{a0}";

fn symbol(icon: Icon) -> &'static str {
    match icon {
        Icon::Regressed => "🔴",
        Icon::Improved => "🟢",
        Icon::Unconfirmed => "🟠",
        Icon::AtThreshold => "🔶",
        Icon::Inconclusive => "🟡",
        Icon::Unchanged => "⚪",
        Icon::NotComparable => "🚫",
        Icon::Failed => "❌",
        Icon::Missing => "❓",
        Icon::FellBack => "↩️",
        Icon::OutputChanged | Icon::Warning => "⚠️",
        Icon::New => "🆕",
        Icon::FirstRun => "🔵",
        Icon::Accepted => "✅",
        Icon::Release => "📈",
        Icon::SelfCheck => "🔬",
        Icon::Environment => "🖥️",
        Icon::Samples => "🔢",
        Icon::Published => "📖",
        Icon::Commands => "🔁",
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Column, code, foreign, strong};
    use super::*;

    fn page(rows: usize) -> Page {
        let names: Vec<String> = (0..rows).map(|index| format!("case | {index}")).collect();
        let table = || {
            let case = Column::left("Case", |name: &String| code(name, 80));
            Table::of(vec![case, Column::right("Change", |_| strong("1"))], &names)
        };
        Page {
            headline: Line::from(Icon::Unchanged).and("No change of ").and(foreign("<b>@you</b>", 40)),
            body: vec![
                Block::Table(table()),
                Block::Fold { title: foreign("a<b", 9), blocks: vec![Block::Table(table())] },
            ],
            end: vec![Block::Paragraph(Line::from("The end."))],
            ..Page::default()
        }
    }

    #[test]
    fn foreign_text_is_escaped_wherever_it_stands() {
        let text = write(&page(1), COMMENT);
        assert!(!text.contains("<b>") && !text.contains("@you") && text.contains("a&lt;b"), "{text}");
        assert!(text.contains("`case \\| 0`"), "{text}");
        assert_eq!(title(&page(1)), "⚪ No change of <b>@you</b>");
    }

    #[test]
    fn what_does_not_fit_is_counted_and_the_end_stays() {
        let text = write(&page(10_000), Limits { bytes: 3000, folded_rows: 1000, ..COMMENT });
        assert!(text.len() <= 3000, "{}", text.len());
        assert!(text.contains("The other 9990") && text.contains("more in the full report"), "{text}");
        assert!(text.ends_with("The end.\n"), "{text}");
    }
}
