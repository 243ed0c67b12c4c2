//! Writes a page as GitHub's Markdown, within the limits of the place.

use super::{Align, Block, Icon, Line, Page, Span, Table};
use crate::render::escape;

/// How much a place shows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub bytes: usize,
    /// In a table that everybody sees.
    pub rows: usize,
    /// In one fold.
    pub folded_rows: usize,
}

/// GitHub refuses comments of more than 65,536 characters; a check run's text has the same limit.
pub const COMMENT: Limits = Limits { bytes: 58_000, rows: 40, folded_rows: 150 };
/// GitHub shows at most 1 MiB of summaries for a step.
pub const SUMMARY: Limits = Limits { bytes: 960_000, rows: 20_000, folded_rows: 20_000 };

/// The page, under `limits.bytes` bytes whatever it holds, as long as its top and end are.
pub fn write(page: &Page, limits: Limits) -> String {
    let mut top = format!("### {}\n\n", inline(&page.headline));
    top.extend(page.top.iter().map(|block| whole(block, limits)));
    let end: String = page.end.iter().map(|block| whole(block, limits)).collect();
    let room = limits.bytes.saturating_sub(top.len() + end.len());
    let mut body = Body { text: top, room, limits };
    page.body.iter().for_each(|block| body.push(block));
    body.text + &end
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
        let text = match block {
            Block::Table(table) => fitting("", "", table, self.limits.rows, self.room),
            Block::Fold { title, blocks } => fold(title, blocks, self.limits, self.room),
            block => Some(whole(block, self.limits)),
        };
        if let Some(text) = text.filter(|text| text.len() <= self.room) {
            self.room -= text.len();
            self.text.push_str(&text);
        }
    }
}

/// The block, whatever room there is.
fn whole(block: &Block, limits: Limits) -> String {
    match block {
        Block::Paragraph(line) => format!("{}\n\n", inline(line)),
        Block::Facts(lines) => match lines.is_empty() {
            true => String::new(),
            false => format!("<sub>{}</sub>\n\n", inline(&Line::joined(lines.iter().cloned(), " · "))),
        },
        Block::Warning(line) => format!("> ⚠️ {}\n\n", inline(line)),
        Block::List(lines) => lines.iter().map(|line| format!("- {}\n", inline(line))).collect::<String>() + "\n",
        Block::Table(table) => fitting("", "", table, limits.rows, usize::MAX).unwrap_or_default(),
        Block::Fold { title, blocks } => fold(title, blocks, limits, usize::MAX).unwrap_or_default(),
        Block::Commands(text) => format!("```sh\n{text}```\n\n"),
    }
}

/// A fold; its only table gives way when room is short. `None` when even the shortest is too long.
fn fold(title: &Line, blocks: &[Block], limits: Limits, room: usize) -> Option<String> {
    let start = format!("<details><summary>{}</summary>\n\n", html(title));
    const END: &str = "</details>\n\n";
    match blocks {
        [Block::Table(table)] => fitting(&start, END, table, limits.folded_rows, room),
        blocks => {
            let inside: String = blocks.iter().map(|block| whole(block, limits)).collect();
            Some(start + &inside + END)
        }
    }
}

/// Between `start` and `end`, as many rows as fit, and how many there are beyond them.
fn fitting(start: &str, end: &str, table: &Table, most: usize, room: usize) -> Option<String> {
    if table.rows.is_empty() {
        return None;
    }
    let mut count = table.rows.len().min(most);
    while count > 0 {
        let rest = match table.total - count {
            0 => String::new(),
            rest => format!("*{rest} more in the full report.*\n\n"),
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
    let header: Vec<String> = table.columns.iter().map(|column| cell(&column.heading)).collect();
    let body: Vec<Vec<String>> = table.rows.iter().take(count).map(|row| row.iter().map(cell).collect()).collect();
    let mut drawn = comfy_table::Table::new();
    drawn
        .load_style(comfy_table::presets::ASCII_MARKDOWN)
        .set_content_arrangement(comfy_table::ContentArrangement::Disabled)
        .force_no_tty()
        .set_header(header)
        .add_rows(body);
    let rights = table.columns.iter().map(|column| column.align == Align::Right).collect::<Vec<_>>();
    for (column, right) in drawn.column_iter_mut().zip(&rights) {
        if *right {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
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

fn inline(line: &Line) -> String {
    spans(line, &|text| escape::code(text))
}

/// In a table's cell, a pipe ends the cell even inside code.
fn cell(line: &Line) -> String {
    spans(line, &|text| escape::code_cell(text))
}

fn spans(line: &Line, code: &dyn Fn(&str) -> String) -> String {
    let text = line.spans.iter().map(|span| match span {
        Span::Text(text) => (*text).to_owned(),
        Span::Figure(figure) => figure.as_str().replace('<', "&lt;"),
        Span::Icon(icon) => symbol(*icon).to_owned(),
        Span::Foreign(text, most) => escape::markdown(&escape::short_line(text, *most)),
        Span::Code(text, most) => code(&escape::short_line(text, *most)),
        Span::Strong(line) => format!("**{}**", spans(line, code)),
        Span::Link(text, url) => format!("[{text}]({})", url.as_str()),
        Span::Break => "<br>".to_owned(),
    });
    keep_together(text.collect(), line)
}

/// A summary of a fold is HTML.
fn html(line: &Line) -> String {
    let text = line.spans.iter().map(|span| match span {
        Span::Text(text) => (*text).to_owned(),
        Span::Figure(figure) => figure.as_str().replace('<', "&lt;"),
        Span::Icon(icon) => symbol(*icon).to_owned(),
        Span::Foreign(text, most) => escape::html(&escape::short_line(text, *most)),
        Span::Code(text, most) => format!("<code>{}</code>", escape::html(&escape::short_line(text, *most))),
        Span::Strong(line) => format!("<b>{}</b>", html(line)),
        Span::Link(text, url) => format!("<a href=\"{}\">{text}</a>", escape::html(url.as_str())),
        Span::Break => "<br>".to_owned(),
    });
    keep_together(text.collect(), line)
}

/// With spaces at which a browser breaks no line.
fn keep_together(text: String, line: &Line) -> String {
    if line.unbroken { text.replace(' ', "\u{a0}") } else { text }
}

fn symbol(icon: Icon) -> &'static str {
    match icon {
        Icon::Regressed => "🔴",
        Icon::Improved => "🟢",
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
    }
}

#[cfg(test)]
mod tests {
    use super::super::Column;
    use super::*;

    fn page(rows: usize) -> Page {
        let names: Vec<String> = (0..rows).map(|index| format!("case | {index}")).collect();
        let table = Table::of(vec![Column::left("Case"), Column::right("Change")], &names, |name| {
            vec![Line::code(name, 80), Line::text("1").strong()]
        });
        Page {
            headline: Line::icon(Icon::Unchanged).and(" No change of ").and_foreign("<b>@you</b>", 40),
            body: vec![Block::Fold { title: Line::foreign("a<b", 9), blocks: vec![Block::Table(table)] }],
            end: vec![Block::Paragraph(Line::text("The end."))],
            ..Page::default()
        }
    }

    #[test]
    fn foreign_text_is_escaped_wherever_it_stands() {
        let text = write(&page(1), COMMENT);
        assert!(!text.contains("<b>") && !text.contains("@you") && text.contains("a&lt;b"), "{text}");
        assert!(text.contains("`case \\| 0`"), "{text}");
    }

    #[test]
    fn what_does_not_fit_is_counted_and_the_end_stays() {
        let text = write(&page(10_000), Limits { bytes: 3000, rows: 40, folded_rows: 1000 });
        assert!(text.len() <= 3000, "{}", text.len());
        assert!(text.contains("more in the full report") && text.ends_with("The end.\n\n"), "{text}");
    }
}
