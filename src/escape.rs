//! Text from result files, branches and events is data: shown as it is written, never obeyed.
//!
//! Every renderer passes foreign text through exactly one of these, at the place where it enters the output.

mod runner_log;

use std::fmt::Write;

pub use runner_log::{Printed, RunnerLog};

/// One visible line: line breaks become spaces, control, bidirectional and invisible characters become `\u{..}`.
///
/// Enough for a terminal or a log.
pub fn line(text: &str) -> String {
    let spaced = text.replace(['\n', '\r', '\t'], " ");
    visible(&spaced, is_hidden)
}

/// With numbers for the characters that are `hidden`.
fn visible(text: &str, hidden: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) {
            // Writing to a String can't fail.
            let _ = write!(out, "\\u{{{:x}}}", c as u32);
        } else {
            out.push(c);
        }
    }
    out
}

/// As [`line()`], cut to `max` characters with an ellipsis.
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

/// A name, cut in the middle to `max` characters: names of one kind often begin and end alike. White space other than a
/// space can be told from one.
pub fn short_name(text: &str, max: usize) -> String {
    // Cut first, as above: an end of either side that is too long by itself.
    let (head, tail) = (text.chars().take(max + 1), text.chars().rev().take(max + 1));
    let short = text.chars().nth(max).is_none();
    let [head, tail] =
        [head.collect(), tail.collect::<Vec<_>>().into_iter().rev().collect()].map(|end: String| name(&end));
    if short && head.chars().count() <= max {
        return head;
    }
    let last = max.saturating_sub(1) / 2;
    let first = max.saturating_sub(1 + last);
    let tail_length = tail.chars().count();
    head.chars().take(first).chain(['…']).chain(tail.chars().skip(tail_length.saturating_sub(last))).collect()
}

/// One visible line in which every kind of white space looks different.
fn name(text: &str) -> String {
    visible(text, |c| is_hidden(c) || (c.is_whitespace() && c != ' '))
}

/// Literal text in GitHub's Markdown, also in a table cell: no markup, no link, no mention, no reference, no emoji.
pub fn markdown(text: &str) -> String {
    literal(text, |c, out| match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        // A formula is looked for before and after Markdown: neither sees this as its start.
        '$' => out.extend([WORD_BREAK_TEXT, "&#36;", WORD_BREAK_TEXT]),
        c if c.is_ascii_punctuation()
            && !matches!(c, '@' | '.' | ',' | ';' | ':' | '%' | '/' | '\'' | '"' | '?' | '=' | '(' | ')') =>
        {
            out.push('\\');
            out.push(c);
        }
        c => out.push(c),
    })
}

/// One line with a break in every word that GitHub would make something of. It looks for links, mentions, references,
/// commits and emoji in the text that is left when Markdown and HTML are gone: no escape helps there.
fn literal(text: &str, escape: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    // What comes before, the nearest first; and how many hexadecimal digits that is.
    let (mut before, mut hex) = ([' '; 2], 0);
    for c in line(text).chars() {
        hex = if c.is_ascii_hexdigit() { hex + 1 } else { 0 };
        if hex == SHORTEST_COMMIT || starts_something(before, c) {
            out.push(WORD_BREAK);
            hex = hex.min(1);
        }
        escape(c, &mut out);
        before = [c, before[0]];
    }
    if matches!(before[0], '@' | '#') {
        out.push(WORD_BREAK);
    }
    out
}

/// Would GitHub make something of `c` after these characters?
fn starts_something(before: [char; 2], c: char) -> bool {
    match (before, c) {
        // Mentions and addresses of people; references.
        (['@' | '#', _], _) => true,
        // `https://`, `mailto:`, `:emoji:`
        ([':', _], c) => c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '+' | '-'),
        (['w' | 'W', _], '.') => true,
        // `GH-1`, `JIRA-1`, `GHSA-jfh8-...`
        (['-', letter], c) => letter.is_ascii_uppercase() || (letter.is_ascii_lowercase() && c.is_ascii_digit()),
        _ => false,
    }
}

/// GitHub links hexadecimal names of commits from so many digits on.
const SHORTEST_COMMIT: usize = 7;

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

/// Text or an attribute's value in HTML, also inside of Markdown.
pub fn html(text: &str) -> String {
    literal(text, |c, out| match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        '$' => out.extend([WORD_BREAK_TEXT, "&#36;", WORD_BREAK_TEXT]),
        c => out.push(c),
    })
}

/// One word of a command for a shell, which makes nothing else of it; `None` for what a reader could mistake, or what a
/// fence of Markdown or a shell of another kind could: only printable ASCII is shown, and no quote within quotes.
pub fn shell(word: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:@+".contains(c);
    let quotable = |c: char| (' '..='~').contains(&c) && !"'`!\\".contains(c);
    match word {
        "" => None,
        _ if word.len() > 300 => None,
        _ if word.chars().all(plain) => Some(word.to_owned()),
        _ if word.chars().all(quotable) => Some(format!("'{word}'")),
        _ => None,
    }
}

/// A link's address as a server gave it, if it can be nothing else.
pub fn address(text: &str) -> Option<&str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#@%&=+,".contains(c);
    let web = text.starts_with("https://") || text.starts_with("http://");
    (web && text.len() <= 500 && text.chars().all(allowed)).then_some(text)
}

/// Zero-width space: invisible, and ends a word.
const WORD_BREAK: char = '\u{200b}';
const WORD_BREAK_TEXT: &str = "\u{200b}";

/// Characters that move the cursor, change the direction of text, or can't be seen.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}'
            | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_a_shell_stays_one_word_or_is_left_out() {
        assert_eq!(shell("../my-model").as_deref(), Some("../my-model"));
        assert_eq!(shell("a b; $(c)").as_deref(), Some("'a b; $(c)'"));
        assert_eq!(shell("HEAD~1").as_deref(), Some("'HEAD~1'"));
        for hostile in ["", "it's", "a`b`", "a\nb", "a\u{202e}b", "!!", "\\", "\u{1b}[2J", "é"] {
            assert_eq!(shell(hostile), None, "{hostile:?}");
        }
    }

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
    fn names_that_differ_look_different() {
        assert_eq!(short_name("abcdef", 6), "abcdef");
        assert_eq!(short_name("abcdefghij", 6), "abc…ij");
        let long = |end: &str| short_name(&format!("{}{end}", "x".repeat(100)), 80);
        assert_ne!(long("/1"), long("/2"));
        assert_eq!(long("/1").chars().count(), 80);
        assert_eq!(short_name(&"\x1b".repeat(10), 4).chars().count(), 4);
        let spaces = ["a b", "a\tb", "a\nb", "a\u{a0}b", "a\u{2003}b"].map(|name| short_name(name, 80));
        assert_eq!(spaces, ["a b", "a\\u{9}b", "a\\u{a}b", "a\\u{a0}b", "a\\u{2003}b"]);
    }

    #[test]
    fn markdown_stays_text() {
        let hostile = "@octocat #1 GH-1 [x](https://evil.example) <img src=x> **b** `c` | www.evil.example $x$ ~~y~~ \
                       :tada: 1234567 acme/candle@deadbeefdeadbeef mailto:a@b.example ftp://evil.example JIRA-12 [^1]";
        let forbidden = [
            "@o", "#1", "GH-1", "https://", "www.", "<img", " **", " `", " |", " $", " ~", " [", ":t", "1234567",
            "deadbee", "@d", "mailto:a", "@b", "ftp://", "JIRA-1",
        ];
        for safe in [markdown(hostile), html(hostile)] {
            let markup = |text: &&str| safe == html(hostile) && matches!(*text, " **" | " `" | " |" | " ~" | " [");
            for forbidden in forbidden.iter().filter(|text| !markup(text)) {
                assert!(!safe.contains(forbidden), "{forbidden:?} in {safe:?}");
            }
        }
        assert_eq!(markdown("3 more runs (2%), v1.2: a re-run, 123456"), "3 more runs (2%), v1.2: a re\\-run, 123456");
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
        assert_eq!(address("https://github.test/a/b#c-1"), Some("https://github.test/a/b#c-1"));
        for bad in ["javascript:alert(1)", "https://x) [y](z", "https://x y", "https://x\"", "/a"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
