//! Foreign text stays text: a comment is rendered as GitHub renders it, and what GitHub would make of the text that is
//! left is looked for outside of code.

use std::sync::LazyLock;

use bench_diff::render::pull_request::{Surroundings, comment, summary};
use bench_diff::report::{Acceptance, Answer, Report};
use comrak::nodes::NodeValue;

use crate::comment::named;

/// What becomes something on GitHub, each with what it must not leave in the rendered text.
const LIVE: [&str; 32] = [
    "1234567",
    "deadbeefcafe",
    "0123456789abcdef0123456789abcdef01234567",
    "DEADBEEFDEADBEEF",
    "acme/candle@0123456789abcdef0123456789abcdef01234567",
    "1234567...89abcdef",
    "acme/candle#1",
    "#1",
    "GH-1",
    "gh-12",
    "JIRA-123",
    "GHSA-jfh8-c2jp-5v3q",
    "CVE-2024-12345",
    ":tada:",
    ":+1:",
    ":1234:",
    "https://evil.example/x",
    "http://evil.example",
    "ftp://evil.example",
    "HTTPS://EVIL.example",
    "www.evil.example",
    "WWW.evil.example",
    "mailto:a@evil.example",
    "xmpp:a@evil.example",
    "a.b+c@evil.example",
    "@octocat",
    "@acme/team",
    "$x^2$",
    "$`x`$",
    "[^1]",
    "- [ ] task",
    "[!NOTE]",
];

#[test]
fn foreign_text_stays_text_wherever_it_stands() {
    for live in LIVE {
        for text in [
            live.to_owned(),
            format!("a {live} b"),
            format!("({live})"),
            format!("x:{live},"),
            format!("\n\n> {live}\n"),
        ] {
            check(&text);
        }
    }
}

/// Pieces of everything, put together by chance.
#[test]
fn no_combination_becomes_something() {
    let pieces = [
        "@", "#", ":", "/", "//", "www", ".", "-", "_", "*", "`", "~", "|", "\\", "<", ">", "&", "$", "[", "]", "(",
        ")", "!", "^", "+", " ", "\n", "\u{200b}", "\u{202e}", "a", "h", "GH", "1", "f00", "e", "https", "octocat",
        "tada", "com", "br",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..400 {
        let count = 1 + next() % 14;
        let text: String = (0..count).map(|_| pieces[(next() % pieces.len() as u64) as usize]).collect();
        check(&text);
    }
}

/// Comments and summaries of a comparison, a first run and a failure that carry `text` wherever they can.
fn pages(text: &str) -> Vec<String> {
    let accepted = Acceptance { by: text.into(), reason: text.into(), url: format!("https://x.test/{text}") };
    let surroundings = Surroundings { run_url: None, commit: Some(text.into()), accepted: Some(accepted) };
    let report = named(text);
    let (self_check, release) = (report.comparison().cloned(), report.release().cloned());
    let first_run = Answer::FirstRun { self_check, release };
    let pages = [report.answer.clone(), first_run, Answer::Failed { why: text.to_owned() }].map(|answer| {
        let report = Report { answer, ..report.clone() };
        [comment(&report, &surroundings), summary(&report, &surroundings)]
    });
    pages.concat()
}

fn check(text: &str) {
    static PLAIN: LazyLock<Vec<usize>> = LazyLock::new(|| pages("x").iter().map(|page| breaks(page)).collect());
    let pages = pages(text);
    for page in &pages {
        check_text(&rendered(page), text);
    }
    assert_eq!(
        pages.iter().map(|page| breaks(page)).collect::<Vec<_>>(),
        *PLAIN,
        "lines are broken by us alone: {text:?}"
    );
}

fn breaks(markdown: &str) -> usize {
    markdown.matches("<br>").count()
}

/// The text outside of code, with a word for everything that only markup makes.
fn rendered(markdown: &str) -> String {
    let mut options = comrak::Options::default();
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.extension.footnotes = true;
    options.extension.alerts = true;
    options.extension.math_dollars = true;
    options.extension.math_code = true;
    let arena = comrak::Arena::new();
    let root = comrak::parse_document(&arena, markdown, &options);
    let mut text = String::new();
    for node in root.descendants() {
        match &node.data.borrow().value {
            NodeValue::Text(piece) => text.push_str(piece),
            NodeValue::HtmlBlock(html) => text.push_str(&without_tags(&html.literal)),
            NodeValue::HtmlInline(html) => text.push_str(&without_tags(html)),
            // The one to the comment that accepts.
            NodeValue::Link(link) if link.url.starts_with("https://x.test/") => text.push(' '),
            NodeValue::Link(_) => text.push_str("LINK"),
            NodeValue::Image(_) => text.push_str("IMAGE"),
            NodeValue::TaskItem(_) => text.push_str("TASK"),
            NodeValue::FootnoteReference(_) | NodeValue::FootnoteDefinition(_) => text.push_str("FOOTNOTE"),
            NodeValue::Alert(_) => text.push_str("ALERT"),
            NodeValue::Math(_) => text.push_str("MATH"),
            NodeValue::Strikethrough | NodeValue::Emph => text.push_str("MARKUP"),
            _ => text.push(' '),
        }
    }
    text
}

/// What is left of our own elements; the text of a stranger's would show.
fn without_tags(html: &str) -> String {
    let mut html = html.replace("<br>", " ");
    for tag in ["details", "summary"] {
        html = html.replace(&format!("<{tag}>"), " ").replace(&format!("</{tag}>"), " ");
    }
    assert!(!html.contains('<'), "{html}");
    html.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#39;", "'")
        .replace("&quot;", "\"")
        .replace("&#36;", "$")
        .replace("&amp;", "&")
}

/// GitHub's filters, rather too eager.
fn check_text(text: &str, from: &str) {
    for made in ["LINK", "IMAGE", "TASK", "FOOTNOTE", "ALERT", "MATH", "MARKUP"] {
        assert!(!text.contains(made), "{made} from {from:?}: {text}");
    }
    let chars: Vec<char> = text.chars().collect();
    let word = |c: char| c.is_ascii_alphanumeric();
    let lower = text.to_lowercase();
    for live in ["://", "www.", "mailto:", "xmpp:"] {
        let next = |at: usize| lower[at + live.len()..].chars().next().is_some_and(word);
        let found = lower.match_indices(live).any(|(at, _)| next(at));
        assert!(!found, "{live} from {from:?}: {text}");
    }
    for (at, c) in chars.iter().enumerate() {
        let next = chars.get(at + 1).copied().unwrap_or(' ');
        assert!(!(matches!(c, '@' | '#') && word(next)), "{c}{next} from {from:?}: {text}");
        let hex = chars[at..].iter().take_while(|c| c.is_ascii_hexdigit()).count();
        assert!(hex < 7, "a commit from {from:?}: {text}");
        if *c == ':' {
            let name = chars[at + 1..].iter().take_while(|c| word(**c) || "_+-".contains(**c)).count();
            assert!(name == 0 || chars.get(at + 1 + name) != Some(&':'), "an emoji from {from:?}: {text}");
        }
        if *c == '-' && at > 1 && chars[at - 1].is_ascii_uppercase() {
            assert!(!next.is_ascii_digit(), "a reference from {from:?}: {text}");
        }
    }
}
