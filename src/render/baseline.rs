//! The table of `bench-diff baseline list`.

use comfy_table::{LineStyle, Table, TableStyle, presets};

use crate::baseline::Entry;
use crate::escape;

const STYLE: TableStyle = presets::UTF8_NO_BORDERS.row_separator(LineStyle::none());

/// One line for each baseline.
pub fn list(entries: &[Entry]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(["baseline", "sessions", "occasions", "cases", "newest", "of"]);
    for entry in entries {
        table.add_row([
            escape::line(&entry.name()),
            entry.sessions.to_string(),
            entry.occasions.to_string(),
            entry.cases.to_string(),
            escape::short_line(&entry.measured, 20),
            escape::short_line(&entry.program, 80),
        ]);
    }
    table.trim_fmt() + "\n"
}
