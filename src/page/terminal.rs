//! Writes a page for a terminal, or a pipe.

use std::env;
use std::io::IsTerminal;

use anstream::{AutoStream, ColorChoice};
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, Width};
use textwrap::core::display_width;

use super::{Align, Block, Cell, Line, Page, Span, Table, Tone};

/// More rows of a table are only counted: nobody reads them here, and laying them out takes long.
const MOST_ROWS: usize = 200;
/// So are more lines of a list.
const MOST_LINES: usize = 50;
/// Columns for tables where nobody knows how many there are.
const DEFAULT_WIDTH: u16 = 100;
/// Stands for a space at which no line is broken.
const KEPT_SPACE: &str = "\u{a0}";

/// What the output can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// In columns. Where it isn't known, as in a pipe, sentences stay in one line each: they can be searched for.
    pub width: Option<u16>,
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
        Self { width, color }
    }

    /// Of a table.
    fn columns(self) -> u16 {
        self.width.unwrap_or(DEFAULT_WIDTH)
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
    let mut out = if page.headline.is_empty() { String::new() } else { paragraph(&page.headline, screen) };
    let mut last: Option<&Block> = None;
    for block in page.top.iter().chain(&page.body).chain(&page.end) {
        if matches!((last, block), (Some(Block::Table(_) | Block::List(_)), Block::Paragraph(_))) {
            out.push('\n');
        }
        write_block(block, screen, &mut out);
        last = Some(block);
    }
    out
}

fn write_block(block: &Block, screen: Screen, out: &mut String) {
    match block {
        Block::Paragraph(line) | Block::Quote(line) => out.push_str(&paragraph(line, screen)),
        Block::Warnings(lines) => section("Warnings", lines, screen, out),
        Block::List(lines) => list(lines, screen, out),
        Block::Table(table) => write_table(table, screen, out),
        Block::Fold { title, blocks } => {
            out.push_str(&format!("\n{}", paragraph(&title.clone().and(":"), screen)));
            blocks.iter().for_each(|block| write_block(block, screen, out));
        }
        Block::Commands(text) => text.lines().for_each(|line| out.push_str(&format!("  {line}\n"))),
        Block::Next(line) => section("Next", std::slice::from_ref(line), screen, out),
        Block::Facts(lines) => {
            let facts = Line::joined(lines.iter().cloned(), "\u{a0}· ");
            out.push_str(&format!("\n{}", paragraph(&facts, screen)));
        }
    }
}

fn section(heading: &'static str, lines: &[Line], screen: Screen, out: &mut String) {
    if !lines.is_empty() {
        out.push_str(&format!("\n{heading}:\n"));
        list(lines, screen, out);
    }
}

fn list(lines: &[Line], screen: Screen, out: &mut String) {
    lines.iter().take(MOST_LINES).for_each(|line| out.push_str(&wrapped(line, screen, ["  ", "    "])));
    out.push_str(&rest(lines.len(), MOST_LINES, "lines"));
}

fn rest(count: usize, shown: usize, what: &str) -> String {
    match count.saturating_sub(shown) {
        0 => String::new(),
        more => format!("... and {more} more {what}: `--format json` shows all\n"),
    }
}

fn paragraph(line: &Line, screen: Screen) -> String {
    wrapped(line, screen, [""; 2])
}

/// As many words in each line as fit behind the indents of the first line and the others. A word that is longer than a
/// line stays whole.
fn wrapped(line: &Line, screen: Screen, [first, others]: [&str; 2]) -> String {
    let width = screen.width.map_or(usize::MAX, usize::from);
    let kept = |text: String| if display_width(&text) + others.len() <= width { keep(text) } else { text };
    let options = textwrap::Options::new(width)
        .initial_indent(first)
        .subsequent_indent(others)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::fill(&words(line, kept), options).replace(KEPT_SPACE, " ") + "\n"
}

fn write_table(table: &Table, screen: Screen, out: &mut String) {
    if table.rows.is_empty() {
        return;
    }
    let bands = bands(table, screen.columns());
    if is_crowded(table, &bands, screen.columns()) {
        let rows = table.rows.iter().take(MOST_ROWS);
        rows.for_each(|row| out.push_str(&format!("\n{}\n", draw_row(table, row, screen))));
    } else {
        bands.iter().for_each(|columns| out.push_str(&format!("\n{}\n", draw(table, columns, screen))));
    }
    out.push_str(&rest(table.total, MOST_ROWS, "rows"));
}

/// Which columns stand beside each other: all, or as many as the screen is wide, with the first in front again.
fn bands(table: &Table, width: u16) -> Vec<Vec<usize>> {
    let count = table.columns.len();
    let widths: Vec<usize> = (0..count).map(|column| least_width(table, column)).collect();
    let Some((first, others)) = widths.split_first() else { return Vec::new() };
    let room = usize::from(width).saturating_sub(*first);
    let mut bands: Vec<Vec<usize>> = vec![vec![0]];
    let mut left = room;
    for (column, width) in (1..).zip(others) {
        match bands.last_mut() {
            Some(band) if *width <= left || band.len() == 1 => band.push(column),
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
        [band] => table.wide && alone(band) && least_width(table, 0) + least_width(table, 1) > usize::from(width),
        bands => bands.first().is_some_and(alone),
    }
}

/// What a column needs, with a space on each side: room for its longest word, or line.
fn least_width(table: &Table, column: usize) -> usize {
    let cells = table.rows.iter().take(MOST_ROWS).map(|row| text_of(&row[column]));
    let heading = lines_of(&table.columns[column].lines);
    let ends = |c: char| c == '\n' || (c == ' ' && !table.wide);
    let widest = |text: String| text.split(ends).map(display_width).max();
    cells.chain([heading]).filter_map(widest).max().unwrap_or(0) + 2
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
    drawn.trim_fmt().replace(KEPT_SPACE, " ")
}

/// Lines end between words: where not even these fit, in the terminal's own way.
fn keep_words(drawn: &mut comfy_table::Table, screen: Screen) {
    let longest = |column: &comfy_table::Column| -> u16 {
        let cells =
            drawn.header().into_iter().chain(drawn.row_iter()).filter_map(|row| row.cell_iter().nth(column.index));
        // A kept space is a part of its word, as it is for who draws the table.
        let words = |content: String| content.split([' ', '\n']).map(display_width).max();
        let letters = cells.filter_map(|cell| words(cell.content()));
        letters.max().unwrap_or(0).try_into().unwrap_or(u16::MAX)
    };
    // With a space on each side.
    let widths: Vec<u16> = drawn.column_iter().map(|column| longest(column).saturating_add(2)).collect();
    if widths.iter().map(|width| u32::from(*width)).sum::<u32>() > u32::from(screen.columns()) {
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
    // A name and what is said of it; or all that the cell has.
    let (name, said) = match (row[0].mark, &row[0].lines[..]) {
        (None, [name, said @ ..]) => (lines_of(std::slice::from_ref(name)), said),
        _ => (text_of(&row[0]), &[][..]),
    };
    heading.set_content_arrangement(ContentArrangement::Disabled).add_row([bold(&name)]);
    let said: String = said.iter().map(|line| wrapped(line, screen, ["   ", "   "])).collect();
    let mut drawn = empty(screen);
    for (column, cell) in table.columns.iter().zip(row).skip(1).filter(|(_, cell)| !cell.lines.is_empty()) {
        let name = lines_of(&column.lines).replace('\n', " ");
        // Numbers end where the others do; sentences begin there.
        let side = if column.align == Align::Right { CellAlignment::Right } else { CellAlignment::Left };
        drawn.add_row([comfy_table::Cell::new(format!("  {name}")), colored(cell).set_alignment(side)]);
    }
    keep_words(&mut drawn, screen);
    format!("{}\n{said}{}", heading.trim_fmt(), drawn.trim_fmt()).trim_end().replace(KEPT_SPACE, " ")
}

/// A table without rows.
fn empty(screen: Screen) -> comfy_table::Table {
    let mut drawn = comfy_table::Table::new();
    drawn.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(screen.columns());
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
    lines.iter().map(|line| words(line, keep)).collect::<Vec<_>>().join("\n")
}

/// In one piece.
fn keep(text: String) -> String {
    text.replace(' ', KEPT_SPACE)
}

/// The words alone; those that stay together are `kept` so.
fn words(line: &Line, kept: impl Fn(String) -> String + Copy) -> String {
    let mut text = String::new();
    for span in &line.0 {
        match span {
            Span::Words(own) => text.push_str(own),
            Span::Figure(figure) => text.push_str(&kept(figure.to_string())),
            Span::Icon(_) => {}
            Span::Foreign(foreign) => text.push_str(foreign.cut()),
            Span::Code(name) => text.push_str(&kept(name.cut().to_owned())),
            Span::Strong(line) => text.push_str(&words(line, kept)),
            Span::Unbroken(line) => text.push_str(&kept(words(line, kept))),
            Span::Command(line) => text.push_str(&kept(format!("`{}`", words(line, kept)))),
            Span::Link(title, url) => text.push_str(&format!("{title} ({})", url.as_str())),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Column, code, command, line};
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
            let text = write(&page, Screen { width: Some(width), color: false });
            assert_eq!(text.matches("Case").count(), bands, "{width}: {text}");
        }
        let text = write(&page, Screen { width: Some(25), color: false });
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
            let text = write(&page, Screen { width: Some(width), color: false });
            assert_eq!(text.matches(NAME).count(), 2, "{width}: {text}");
            assert_eq!(text.matches("otherwise,").count(), 2, "{width}: {text}");
        }
    }

    /// Two names that stand for a case are one word: where other columns want the room, there are fewer of these.
    #[test]
    fn joined_names_stay_whole() {
        use super::super::{name, strong, unbroken};
        let case = |id: &&str| line![strong(name(id, 80)), unbroken(" · "), name("transformers-server", 80)];
        let why = |_: &&str| Line::from("1234.5 ± 0.12345 and more words that want room");
        for (width, wide) in (30..120).flat_map(|width| [(width, true), (width, false)]) {
            let columns = vec![
                Column::left("Case", case),
                Column::right("first", |_: &&str| "1000.5 ± 23"),
                Column::left("", why),
            ];
            let table = Table { wide, ..Table::of(columns, &["1", "6144"]) };
            let text = write(
                &Page { body: vec![Block::Table(table)], ..Page::default() },
                Screen { width: Some(width), color: false },
            );
            for whole in ["1 · transformers-server", "6144 · transformers-server"] {
                assert!(text.contains(whole), "{width}: {text}");
            }
        }
    }

    /// Below a heading as well: ragged on the left, nobody reads them.
    #[test]
    fn sentences_begin_below_each_other() {
        let columns = vec![
            Column::left("", |_: &&str| Line::from("NOTE")),
            Column::left("Checked", |_: &&str| Line::from("machine")),
            Column::left("Found", |_: &&str| Line::from("a sentence that is longer than a line is, with")),
            Column::right("Count", |_: &&str| Line::from("7")),
        ];
        let page = Page { body: vec![Block::Table(Table::of(columns, &["one"]))], ..Page::default() };
        let text = write(&page, Screen { width: Some(28), color: false });
        let sentence: Vec<&str> = text.lines().skip(2).take_while(|line| !line.is_empty()).collect();
        let begins = |line: &str| line.len() - line[14..].trim_start().len();
        assert!(sentence.len() > 3 && sentence.iter().all(|line| begins(line) == begins(sentence[0])), "{text}");
        assert!(text.trim_end().ends_with(" 7"), "{text}");
    }

    /// Sentences are broken between words; what is to be typed, and what would be two facts, isn't torn apart.
    #[test]
    fn sentences_fit_the_screen() {
        let sentence = line!["to be sure, measure again with ", command("--runs 12 --quiet"), ", or add sessions"];
        let page = Page {
            headline: "A headline that is longer than the screen is wide".into(),
            body: vec![Block::Warnings(vec![sentence.clone()])],
            end: vec![Block::Next(sentence), Block::Facts(vec!["one fact".into(); 5])],
            ..Page::default()
        };
        let text = |width| write(&page, Screen { width, color: false });
        insta::assert_snapshot!(text(Some(34)));
        assert!(text(None).contains("\n  to be sure, measure again with `--runs 12 --quiet`, or add sessions\n"));
        for width in 1..80 {
            let narrow = text(Some(width));
            assert_eq!(
                narrow.split_whitespace().collect::<Vec<_>>(),
                text(None).split_whitespace().collect::<Vec<_>>()
            );
            let long = |line: &&str| line.chars().count() > width.into() && line.trim().contains(' ');
            assert!(width < 25 || !narrow.lines().any(|line| long(&line)), "{width}: {narrow}");
        }
    }
}
