//! Text from result files, branches and events is data: shown as it is written, never obeyed.
//!
//! Every renderer passes foreign text through exactly one of these, at the place where it enters the output.

use std::fmt::Write;

/// One visible line: line breaks become spaces, control, bidirectional and invisible characters become `\u{..}`.
///
/// Enough for a terminal or a log.
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if is_hidden(c) => {
                // Writing to a String can't fail.
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// As [`line`], cut to `max` characters with an ellipsis.
pub fn short_line(text: &str, max: usize) -> String {
    // Cut first: a hostile name may be megabytes long.
    let head: String = text.chars().take(max + 1).collect();
    let line = line(&head);
    if line.chars().count() <= max {
        return line;
    }
    let mut short: String = line.chars().take(max.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Literal text in GitHub's Markdown, also in a table cell: no markup, no link, no mention, no reference.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    for c in line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Mentions and references are found after Markdown is gone: no backslash helps, only a break in the
            // word does.
            '@' | '#' => {
                out.push_str(if c == '#' { "\\#" } else { "@" });
                out.push(WORD_BREAK);
            }
            // Bare addresses: `https://`, `www.`, and `GH-1`.
            '/' if before == ':' => {
                out.push(WORD_BREAK);
                out.push('/');
            }
            '.' if matches!(before, 'w' | 'W') => {
                out.push(WORD_BREAK);
                out.push('.');
            }
            '-' if matches!(before, 'h' | 'H') => {
                out.push(WORD_BREAK);
                out.push('-');
            }
            c if c.is_ascii_punctuation()
                && !matches!(c, '.' | ',' | ';' | ':' | '%' | '/' | '\'' | '"' | '?' | '=' | '(' | ')') =>
            {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// A code span in GitHub's Markdown, outside tables. Nothing inside it is interpreted.
pub fn code(text: &str) -> String {
    let text = line(text);
    let text = text.trim();
    if text.is_empty() {
        return "` `".to_owned();
    }
    // The fence is longer than any run of backticks inside.
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A code span in a cell of a Markdown table, where a pipe ends the cell even inside code.
pub fn code_cell(text: &str) -> String {
    let mut out = String::new();
    let mut backslashes = 0;
    for c in code(text).chars() {
        if c == '|' {
            // A backslash before it would take the escape away.
            out.extend(std::iter::repeat_n('\\', backslashes + 1));
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        out.push(c);
    }
    out
}

/// Text or an attribute's value in HTML.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    for c in line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // For HTML inside Markdown, where mentions and references are found in the text.
            '@' | '#' => {
                out.push(c);
                out.push(WORD_BREAK);
            }
            '-' if matches!(before, 'h' | 'H') => {
                out.push(WORD_BREAK);
                out.push('-');
            }
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// Zero-width space: invisible, and ends a word.
const WORD_BREAK: char = '\u{200b}';

/// Characters that move the cursor, change the direction of text, or can't be seen.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_not_move_the_cursor_or_hide_text() {
        assert_eq!(line("a\x1b[2Jb\u{202e}c\nd\u{9b}"), "a\\u{1b}[2Jb\\u{202e}c d\\u{9b}");
        assert_eq!(line("Qwen2.5-7B/größe"), "Qwen2.5-7B/größe");
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(short_line("abcdef", 6), "abcdef");
        assert_eq!(short_line("abcdefg", 6), "abcde…");
        assert_eq!(short_line(&"\x1b".repeat(10), 4).chars().count(), 4);
    }

    #[test]
    fn markdown_stays_text() {
        let hostile = "@octocat #1 GH-1 [x](https://evil.example) <img src=x> **b** `c` | www.evil.example $x$ ~~y~~";
        let safe = markdown(hostile);
        for forbidden in ["@o", "#1", "GH-1", "https://", "www.", "<img", " **", " `", " |", " $", " ~", " ["] {
            assert!(!safe.contains(forbidden), "{forbidden:?} in {safe:?}");
        }
        assert_eq!(markdown("3 more runs (2%), v1.2"), "3 more runs (2%), v1.2");
    }

    #[test]
    fn code_spans_hold_their_content() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("``a"), "``` ``a ```");
        assert_eq!(code("\n"), "` `");
        assert_eq!(code_cell("a|b"), "`a\\|b`");
        assert_eq!(code_cell("a\\|b"), "`a\\\\\\|b`");
    }

    #[test]
    fn html_stays_text() {
        assert_eq!(html("<a href=\"x\">'&'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    }
}
