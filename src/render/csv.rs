//! For spreadsheets: one line a row, all numbers in full.

use std::io::{self, Write};

use crate::compare::{Row, Summary, Tested, wording};
use crate::stats::Share;

/// A column: its name in the header, and a row's cell; an absent value is an empty cell.
type Column = (&'static str, fn(&Row) -> String);

const COLUMNS: &[Column] = &[
    ("case", |row| text(&row.cell.case)),
    ("metric", |row| text(row.cell.metric.as_str())),
    ("unit", |row| text(&row.cell.unit)),
    ("better", |row| row.cell.better.word().to_owned()),
    ("verdict", |row| row.verdict().word().to_owned()),
    ("confirmed", |row| row.is_confirmed().to_string()),
    ("unconfirmed", |row| row.is_unconfirmed().to_string()),
    ("base_n", |row| count(row.sides.base)),
    ("base_mean", |row| number(row.sides.base.map(|side| side.mean))),
    ("base_geometric_mean", |row| number(row.sides.base.and_then(|side| side.geometric_mean))),
    ("base_sd", |row| number(row.sides.base.and_then(|side| side.sd))),
    ("head_n", |row| count(row.sides.head)),
    ("head_mean", |row| number(row.sides.head.map(|side| side.mean))),
    ("head_geometric_mean", |row| number(row.sides.head.and_then(|side| side.geometric_mean))),
    ("head_sd", |row| number(row.sides.head.and_then(|side| side.sd))),
    ("change", |row| share(row.change())),
    ("interval_low", |row| share(row.interval().map(|[low, _]| low))),
    ("interval_high", |row| share(row.interval().map(|[_, high]| high))),
    ("p", |row| of_test(row, |test| Some(test.p))),
    ("p_adjusted", |row| of_test(row, |test| Some(test.p_adjusted))),
    ("df", |row| of_test(row, |test| test.df)),
    ("p_pooled", |row| of_test(row, |test| test.pooled.p)),
    ("df_pooled", |row| of_test(row, |test| Some(test.pooled.df))),
    ("noise_threshold", |row| share(Some(row.cell.noise_threshold))),
    ("minimum_detectable_effect", |row| share(row.minimum_detectable_effect())),
    ("reason", |row| text(&wording::reason(row))),
];

/// Writes the rows with a header.
pub fn write(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    line(out, COLUMNS.iter().map(|(name, _)| (*name).to_owned()))?;
    rows.iter().try_for_each(|row| line(out, COLUMNS.iter().map(|(_, cell)| cell(row))))
}

/// The same, each row with the name of its side before it.
pub fn write_sides<'a>(rows: impl Iterator<Item = (&'a str, &'a Row)>, out: &mut dyn Write) -> io::Result<()> {
    let named = |first: String, others| std::iter::once(first).chain(others);
    line(out, named("side".to_owned(), COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>()))?;
    for (side, row) in rows {
        line(out, named(text(side), COLUMNS.iter().map(|(_, cell)| cell(row)).collect()))?;
    }
    Ok(())
}

fn line(out: &mut dyn Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    writeln!(out, "{}", cells.collect::<Vec<_>>().join(","))
}

fn number(value: Option<f64>) -> String {
    value.map(in_full).unwrap_or_default()
}

/// As many digits as tell it from every other number; with an exponent where zeros would fill the cell.
fn in_full(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-5..1e16).contains(&size) { format!("{value:e}") } else { value.to_string() }
}

fn share(value: Option<Share>) -> String {
    number(value.map(Share::get))
}

fn count(side: Option<Summary>) -> String {
    side.map(|side| side.n.to_string()).unwrap_or_default()
}

fn of_test(row: &Row, value: fn(&Tested) -> Option<f64>) -> String {
    number(row.finding.tested().and_then(value))
}

/// A text cell: quoted where RFC 4180 asks for it, and never taken for a formula by a spreadsheet.
pub(super) fn text(text: &str) -> String {
    let text = crate::escape::line(text);
    let guard = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    if text.contains([',', '"']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::{in_full, text};

    #[test]
    fn numbers_have_no_rows_of_zeros() {
        let cells = [0.0, -0.25, 1.5e300, -7.5e-322, 1e-4, 123_456.789].map(in_full);
        assert_eq!(cells, ["0", "-0.25", "1.5e300", "-7.5e-322", "0.0001", "123456.789"]);
    }

    #[test]
    fn text_is_quoted_and_no_formula() {
        let cells = ["plain", "a,b", "say \"x\"", "=cmd|'/c calc'!A1", "-2+3", "@sum(1,2)", "a\nb"].map(text);
        let expected =
            ["plain", "\"a,b\"", "\"say \"\"x\"\"\"", "'=cmd|'/c calc'!A1", "'-2+3", "\"'@sum(1,2)\"", "a b"];
        assert_eq!(cells, expected);
    }
}
