//! Writes a page for a terminal, or a pipe.

use std::env;
use std::io::IsTerminal;

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement};

use super::{Align, Block, Line, Page, Span, Table, Tone};
use crate::render::escape;

/// More rows of a table are only counted: nobody reads them here, and laying them out takes long.
const MOST_ROWS: usize = 200;
/// So are more lines of a list.
const MOST_LINES: usize = 50;
/// Columns when it isn't a terminal, or one that doesn't know its width.
const DEFAULT_WIDTH: u16 = 100;

/// What the output can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    pub width: u16,
    pub color: bool,
}

impl Screen {
    /// Of standard output. `COLUMNS` and `NO_COLOR` win over what the terminal says; a width of 0 is unknown.
    pub fn detect() -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let known = |width: &u16| *width > 0;
        let columns = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(known);
        let color = std::io::stdout().is_terminal()
            && !is_set("NO_COLOR")
            && env::var_os("TERM").is_none_or(|term| term != "dumb");
        let width = columns.or_else(|| comfy_table::Table::new().width().filter(known));
        Self { width: width.unwrap_or(DEFAULT_WIDTH), color }
    }
}

/// The page as text.
pub fn write(page: &Page, screen: Screen) -> String {
    let mut out = format!("{}\n", plain(&page.headline));
    for block in page.top.iter().chain(&page.body).chain(&page.end) {
        write_block(block, screen, &mut out);
    }
    out
}

fn write_block(block: &Block, screen: Screen, out: &mut String) {
    match block {
        Block::Paragraph(line) => out.push_str(&format!("{}\n", plain(line))),
        Block::Facts(lines) if lines.is_empty() => {}
        Block::Facts(lines) => out.push_str(&format!("{}\n", plain(&Line::joined(lines.iter().cloned(), " · ")))),
        Block::Warning(line) => out.push_str(&format!("warning: {}\n", plain(line))),
        Block::List(lines) => list(lines, out),
        Block::Table(table) => write_table(table, screen, out),
        Block::Fold { title, blocks } => {
            out.push_str(&format!("\n{}:\n", plain(title)));
            blocks.iter().for_each(|block| write_block(block, screen, out));
        }
        Block::Commands(text) => text.lines().for_each(|line| out.push_str(&format!("  {line}\n"))),
    }
}

fn list(lines: &[Line], out: &mut String) {
    for line in lines.iter().take(MOST_LINES) {
        out.push_str(&format!("  {}\n", plain(line)));
    }
    out.push_str(&rest(lines.len(), MOST_LINES, "lines"));
}

fn rest(count: usize, shown: usize, what: &str) -> String {
    match count.saturating_sub(shown) {
        0 => String::new(),
        more => format!("... and {more} more {what}: `--format json` or `csv` shows all\n"),
    }
}

fn write_table(table: &Table, screen: Screen, out: &mut String) {
    if table.rows.is_empty() {
        return;
    }
    let mut drawn = comfy_table::Table::new();
    drawn.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(screen.width);
    if screen.color {
        drawn.enforce_styling();
    } else {
        drawn.force_no_tty();
    }
    let heading = |line: &Line| Cell::new(plain(line)).add_attribute(Attribute::Bold);
    drawn.set_header(table.columns.iter().map(|column| heading(&column.heading)));
    for row in table.rows.iter().take(MOST_ROWS) {
        drawn.add_row(row.iter().map(cell));
    }
    for (column, drawn) in table.columns.iter().zip(drawn.column_iter_mut()) {
        if column.align == Align::Right {
            drawn.set_cell_alignment(CellAlignment::Right);
        }
    }
    out.push_str(&format!("\n{}\n", drawn.trim_fmt()));
    out.push_str(&rest(table.total, MOST_ROWS, "rows"));
}

fn cell(line: &Line) -> Cell {
    let cell = Cell::new(plain(line));
    match line.tone() {
        Tone::Bad => cell.fg(Color::Red),
        Tone::Good => cell.fg(Color::Green),
        Tone::Open => cell.fg(Color::Yellow),
        Tone::Odd => cell.fg(Color::Magenta),
        Tone::Plain => cell,
    }
}

/// The words alone: icons are a matter of colour here.
fn plain(line: &Line) -> String {
    let mut text = String::new();
    for span in &line.spans {
        match span {
            Span::Text(words) => text.push_str(words),
            Span::Figure(figure) => text.push_str(figure.as_str()),
            Span::Icon(_) => {}
            Span::Foreign(words, most) | Span::Code(words, most) => text.push_str(&escape::short_line(words, *most)),
            Span::Strong(line) => text.push_str(&plain(line)),
            Span::Link(words, url) => text.push_str(&format!("{words} ({})", url.as_str())),
            Span::Break => text.push('\n'),
        }
    }
    text.trim_start().to_owned()
}
