//! Writes a page for a terminal, or a pipe.

use std::env;
use std::io::IsTerminal;

use anstream::{AutoStream, ColorChoice};
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, Width};

use super::{Align, Block, Cell, Line, Page, Span, Table, Tone};

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
    /// Of standard output. `COLUMNS` wins over what the terminal says; a width of 0 is unknown.
    #[expect(clippy::disallowed_methods, reason = "what a terminal shows is no setting of ours")]
    pub fn detect() -> Self {
        let known = |width: &u16| *width > 0;
        let columns = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(known);
        let color = AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
        let width = columns.or_else(|| comfy_table::Table::new().width().filter(known));
        Self { width: width.unwrap_or(DEFAULT_WIDTH), color }
    }
}

/// Does a person read standard output?
pub fn is_stdout() -> bool {
    std::io::stdout().is_terminal()
}

/// The page as text for whatever standard output is.
pub fn for_stdout(page: &Page) -> String {
    write(page, Screen::detect())
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
        Block::Paragraph(line) | Block::Quote(line) => out.push_str(&format!("{}\n", plain(line))),
        Block::Warnings(lines) => section("Warnings", lines, out),
        Block::List(lines) => list(lines, out),
        Block::Table(table) => write_table(table, screen, out),
        Block::Fold { title, blocks } => {
            out.push_str(&format!("\n{}:\n", plain(title)));
            blocks.iter().for_each(|block| write_block(block, screen, out));
        }
        Block::Commands(text) => text.lines().for_each(|line| out.push_str(&format!("  {line}\n"))),
        Block::Next(line) => section("Next", std::slice::from_ref(line), out),
        Block::Facts(lines) => out.push_str(&format!("\n{}\n", plain(&Line::joined(lines.iter().cloned(), " · ")))),
    }
}

fn section(heading: &'static str, lines: &[Line], out: &mut String) {
    if !lines.is_empty() {
        out.push_str(&format!("\n{heading}:\n"));
        list(lines, out);
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
    let bands = bands(table, screen.width);
    if is_crowded(table, &bands, screen.width) {
        table
            .rows
            .iter()
            .take(MOST_ROWS)
            .for_each(|row| out.push_str(&format!("\n{}\n", draw_row(table, row, screen))));
    } else {
        bands.iter().for_each(|columns| out.push_str(&format!("\n{}\n", draw(table, columns, screen))));
    }
    out.push_str(&rest(table.total, MOST_ROWS, "rows"));
}

/// Which columns stand beside each other: all, or as many as the screen is wide, with the first in front again.
fn bands(table: &Table, width: u16) -> Vec<Vec<usize>> {
    let count = table.columns.len();
    if !table.wide || count < 2 {
        return vec![(0..count).collect()];
    }
    let widths: Vec<usize> = (0..count).map(|column| width_of(table, column)).collect();
    let room = usize::from(width).saturating_sub(widths[0].min(usize::from(width) / 2));
    let mut bands: Vec<Vec<usize>> = Vec::new();
    let mut left = 0;
    for (column, width) in widths.iter().enumerate().skip(1) {
        match bands.last_mut() {
            Some(band) if *width <= left => band.push(column),
            _ => {
                bands.push(vec![0, column]);
                left = room;
            }
        }
        left = left.saturating_sub(*width);
    }
    bands
}

/// Is there no room for two columns beside the first, or not even for one?
fn is_crowded(table: &Table, bands: &[Vec<usize>], width: u16) -> bool {
    let alone = |band: &Vec<usize>| band.len() == 2;
    match bands {
        [band] => table.wide && alone(band) && width_of(table, 0) + width_of(table, 1) > usize::from(width),
        bands => bands.first().is_some_and(alone),
    }
}

/// With a space on each side.
fn width_of(table: &Table, column: usize) -> usize {
    let cells = table.rows.iter().take(MOST_ROWS).map(|row| text_of(&row[column]));
    let heading = lines_of(&table.columns[column].lines);
    let lines = cells.chain([heading]).flat_map(|text| text.lines().map(|line| line.chars().count()).max());
    lines.max().unwrap_or(0) + 2
}

fn draw(table: &Table, columns: &[usize], screen: Screen) -> String {
    let mut drawn = empty(screen);
    drawn.set_header(columns.iter().map(|column| bold(&lines_of(&table.columns[*column].lines))));
    for row in table.rows.iter().take(MOST_ROWS) {
        drawn.add_row(columns.iter().map(|column| colored(&row[*column])));
    }
    for (column, drawn) in columns.iter().zip(drawn.column_iter_mut()) {
        if table.columns[*column].align == Align::Right {
            drawn.set_cell_alignment(CellAlignment::Right);
        }
    }
    keep_words(&mut drawn, screen);
    drawn.trim_fmt()
}

/// Lines end between words: where not even these fit, in the terminal's own way.
fn keep_words(drawn: &mut comfy_table::Table, screen: Screen) {
    let longest = |column: &comfy_table::Column| -> u16 {
        let cells =
            drawn.header().into_iter().chain(drawn.row_iter()).filter_map(|row| row.cell_iter().nth(column.index));
        let letters = |word: &str| word.chars().count();
        let letters = cells.filter_map(|cell| cell.content().split_whitespace().map(letters).max());
        letters.max().unwrap_or(0).try_into().unwrap_or(u16::MAX)
    };
    // With a space on each side.
    let widths: Vec<u16> = drawn.column_iter().map(|column| longest(column).saturating_add(2)).collect();
    if widths.iter().map(|width| u32::from(*width)).sum::<u32>() > u32::from(screen.width) {
        drawn.set_content_arrangement(ContentArrangement::Disabled);
        return;
    }
    for (column, width) in drawn.column_iter_mut().zip(widths) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
    }
}

/// The first column as a heading, the others as lines below it.
fn draw_row(table: &Table, row: &[Cell], screen: Screen) -> String {
    let mut heading = empty(screen);
    heading.set_content_arrangement(ContentArrangement::Disabled).add_row([bold(&text_of(&row[0]))]);
    let mut drawn = empty(screen);
    for (column, cell) in table.columns.iter().zip(row).skip(1).filter(|(_, cell)| !cell.lines.is_empty()) {
        let name = lines_of(&column.lines).replace('\n', " ");
        drawn.add_row([comfy_table::Cell::new(format!("  {name}")), colored(cell)]);
    }
    if let Some(values) = drawn.column_mut(1) {
        values.set_cell_alignment(CellAlignment::Right);
    }
    keep_words(&mut drawn, screen);
    format!("{}\n{}", heading.trim_fmt(), drawn.trim_fmt()).trim_end().to_owned()
}

/// A table without rows.
fn empty(screen: Screen) -> comfy_table::Table {
    let mut drawn = comfy_table::Table::new();
    drawn.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(screen.width);
    if screen.color {
        drawn.enforce_styling();
    } else {
        drawn.force_no_tty();
    }
    drawn
}

fn bold(text: &str) -> comfy_table::Cell {
    comfy_table::Cell::new(text).add_attribute(Attribute::Bold)
}

fn colored(cell: &Cell) -> comfy_table::Cell {
    let drawn = comfy_table::Cell::new(text_of(cell));
    match cell.mark.map_or(Tone::Plain, |(icon, _)| icon.tone()) {
        Tone::Bad => drawn.fg(Color::Red),
        Tone::Good => drawn.fg(Color::Green),
        Tone::Open => drawn.fg(Color::Yellow),
        Tone::Odd => drawn.fg(Color::Magenta),
        Tone::Plain => drawn,
    }
}

/// Its word comes last: icons are a matter of colour here.
fn text_of(cell: &Cell) -> String {
    let word = cell.mark.map_or("", |(_, word)| word);
    let separator = if word.is_empty() || cell.lines.is_empty() { "" } else { "\n" };
    format!("{}{separator}{word}", lines_of(&cell.lines))
}

fn lines_of(lines: &[Line]) -> String {
    lines.iter().map(plain).collect::<Vec<_>>().join("\n")
}

/// The words alone.
fn plain(line: &Line) -> String {
    let mut text = String::new();
    for span in &line.0 {
        match span {
            Span::Words(words) => text.push_str(words),
            Span::Figure(figure) => text.push_str(figure.as_str()),
            Span::Icon(_) => {}
            Span::Foreign(words) => text.push_str(&words.cut()),
            Span::Code(words) => text.push_str(&words.cut()),
            Span::Strong(line) | Span::Unbroken(line) => text.push_str(&plain(line)),
            Span::Command(line) => text.push_str(&format!("`{}`", plain(line))),
            Span::Link(words, url) => text.push_str(&format!("{words} ({})", url.as_str())),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Column, code};
    use super::*;

    /// Columns that don't fit go on below, with the first one again; nothing is cut.
    #[test]
    fn a_wide_table_goes_on_below() {
        let column = |name: &'static str| Column::right(name, |_: &&str| "1000 → 2000");
        let columns =
            vec![Column::left("Case", |id: &&str| code(id, 80)), column("first"), column("second"), column("third")];
        let table = Table { wide: true, ..Table::of(columns, &["one", "two"]) };
        let page = Page { body: vec![Block::Table(table)], ..Page::default() };
        for (width, bands) in [(80, 1), (40, 2)] {
            let text = write(&page, Screen { width, color: false });
            assert_eq!(text.matches("Case").count(), bands, "{width}: {text}");
        }
        let text = write(&page, Screen { width: 25, color: false });
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert!(lines[0] == "one" && lines[4] == "two" && lines.len() == 8, "a case is a heading: {text}");
        assert!(lines[2].starts_with("second") && lines[2].ends_with("1000 → 2000"), "{text}");
    }

    /// Whatever the width.
    #[test]
    fn names_stay_whole() {
        const NAME: &str = "a/name/without/any/space-in-it";
        let why = |_: &&str| Line::from("some words that say why this is so and not otherwise, at length");
        let table = |wide| {
            let columns = vec![Column::left("Case", |id: &&str| code(id, 80)), Column::left("Why", why)];
            Table { wide, ..Table::of(columns, &[NAME, NAME]) }
        };
        for (width, wide) in [10, 40, 60, 100].into_iter().flat_map(|width| [(width, true), (width, false)]) {
            let page = Page { body: vec![Block::Table(table(wide))], ..Page::default() };
            let text = write(&page, Screen { width, color: false });
            assert_eq!(text.matches(NAME).count(), 2, "{width}: {text}");
            assert_eq!(text.matches("otherwise,").count(), 2, "{width}: {text}");
        }
    }
}
