//! For spreadsheets: one line a row, all numbers in full.

use std::io::{self, Write};

use crate::compare::Row;
use crate::metric::Better;

const COLUMNS: [&str; 24] = [
    "case",
    "metric",
    "unit",
    "better",
    "verdict",
    "confirmed",
    "unconfirmed",
    "base_n",
    "base_mean",
    "base_sd",
    "head_n",
    "head_mean",
    "head_sd",
    "change",
    "interval_low",
    "interval_high",
    "p",
    "p_adjusted",
    "df",
    "p_pooled",
    "df_pooled",
    "margin",
    "detectable",
    "reason",
];

/// Writes the rows with a header; an absent value is an empty cell.
pub fn write(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    line(out, COLUMNS.map(str::to_owned))?;
    for row in rows {
        line(out, cells(row))?;
    }
    Ok(())
}

fn cells(row: &Row) -> [String; 24] {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let count = |n: Option<usize>| n.map(|n| n.to_string()).unwrap_or_default();
    let better = match row.better {
        Better::Higher => "higher",
        Better::Lower => "lower",
    };
    [
        text(&row.case),
        text(&row.metric),
        text(&row.unit),
        better.to_owned(),
        row.verdict.word().to_owned(),
        row.confirmed.to_string(),
        row.unconfirmed.to_string(),
        count(row.base.map(|side| side.n)),
        number(row.base.map(|side| side.mean)),
        number(row.base.and_then(|side| side.sd)),
        count(row.head.map(|side| side.n)),
        number(row.head.map(|side| side.mean)),
        number(row.head.and_then(|side| side.sd)),
        number(row.change),
        number(row.interval.map(|[low, _]| low)),
        number(row.interval.map(|[_, high]| high)),
        number(row.p),
        number(row.p_adjusted),
        number(row.df),
        number(row.p_pooled),
        number(row.df_pooled),
        number(Some(row.margin)),
        number(row.detectable),
        text(&row.reason),
    ]
}

fn line<const N: usize>(out: &mut dyn Write, cells: [String; N]) -> io::Result<()> {
    writeln!(out, "{}", cells.join(","))
}

/// A text cell: quoted where RFC 4180 asks for it, and never taken for a formula by a spreadsheet.
fn text(text: &str) -> String {
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
    use super::text;

    #[test]
    fn text_is_quoted_and_no_formula() {
        let cells = ["plain", "a,b", "say \"x\"", "=cmd|'/c calc'!A1", "-2+3", "@sum(1,2)", "a\nb"].map(text);
        let expected =
            ["plain", "\"a,b\"", "\"say \"\"x\"\"\"", "'=cmd|'/c calc'!A1", "'-2+3", "\"'@sum(1,2)\"", "a b"];
        assert_eq!(cells, expected);
    }
}
