//! One word for one thing: those of docs/glossary.md.

use crate::help::every_command;
use crate::markdown::{Page, pages};
use bench_diff::metric::{Better, Metric};

/// What a newcomer stumbles over, and what to write instead. A space stands for one in the text or for the end of a line.
const INSTEAD: [(&str, &str); 27] = [
    ("a side", "per side"),
    ("worth a word", "worth reporting"),
    ("would tell", "would settle it"),
    ("can tell", "can detect"),
    ("told apart", "distinguished"),
    ("be told from", "be distinguished from"),
    ("carry on", "continue"),
    ("carries on", "continues"),
    ("carried on", "resumed"),
    ("as many as it likes", "all"),
    ("a case and metric", "per case and metric"),
    ("tell the pull request", "comment on the pull request"),
    ("tells the pull request", "comments on the pull request"),
    ("tells a pull request", "tells you whether a pull request"),
    ("how sure to be", "statistics"),
    ("say more", "more output"),
    ("say nothing while", "no progress while"),
    ("at any depth", "up to 3 levels deep"),
    ("belongs into", "belongs in"),
    ("belong into", "belong in"),
    ("the seed's", "Qwen's"),
    ("acquitted", "cleared"),
    ("all as they should be", "OK"),
    ("in vain", "without a result"),
    ("not a name to copy", "replace OWNER with"),
    ("decode of limit", "roofline share"),
    ("at hand", "this machine's"),
];

/// Names of things that have another one.
const NAMES: [(&str, &str); 4] = [
    ("margin", "noise threshold"),
    ("noise floor", "noise threshold"),
    ("effect size", "change"),
    ("smallest detectable", "minimum detectable effect"),
];

/// Where another name is the right one: an alias of the flag.
const NAMED_SO: [&str; 1] = ["--margin"];

#[test]
fn every_metric_is_in_the_glossary_with_its_unit_and_direction() {
    let glossary = Page::read("docs/glossary.md");
    let rows = glossary.table_under("## Metrics");
    for metric in Metric::ALL.iter().map(|metric| metric.definition()) {
        let row = rows.iter().find(|row| row[0] == format!("`{}`", metric.name));
        let row = row.unwrap_or_else(|| panic!("{} isn't in docs/glossary.md", metric.name));
        let better = if metric.better == Better::Higher { "higher" } else { "lower" };
        assert_eq!((row[1].as_str(), row[2].as_str()), (metric.unit, better), "{}", metric.name);
    }
}

/// Without the output that a page shows: it has snapshots of its own.
fn without_output(text: &str) -> String {
    let (mut kept, mut lines) = (String::new(), text.split_inclusive('\n').peekable());
    while let Some(line) = lines.next() {
        if !line.starts_with("<!-- output of: ") && !line.starts_with("<!-- comment of: ") {
            kept.push_str(line);
        } else if lines.next_if(|next| next.starts_with("```")).is_some() {
            lines.by_ref().find(|line| line.starts_with("```"));
        } else {
            while lines.next_if(|next| next.starts_with('>')).is_some() {}
        }
    }
    kept
}

/// The paragraphs, each on one line.
fn paragraphs(text: &str) -> Vec<String> {
    let plain = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    without_output(text).split("\n\n").map(plain).collect()
}

/// Is `word` in `text`, and not only as a part of other words?
fn holds(text: &str, word: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(start, _)| {
        !is_letter(text[..start].chars().next_back()) && !is_letter(text[start + word.len()..].chars().next())
    })
}

#[test]
fn documentation_and_help_say_what_the_glossary_says() {
    let help = every_command().into_iter().map(|(name, mut command)| (name, command.render_long_help().to_string()));
    let pages = pages().into_iter().map(|page| (page.path.display().to_string(), page.text));
    let starter = ["src/config/starter.toml", "action.yml", ".github/actions/publish/action.yml", "bench-diff.toml"];
    let starter = starter.map(|path| (path.to_owned(), Page::read(path).text));
    let mut wrong = Vec::new();
    for (place, text) in help.chain(pages).chain(starter).filter(|(place, _)| place != "CHANGELOG.md") {
        for paragraph in paragraphs(&text) {
            let without_names = NAMED_SO.iter().fold(paragraph.clone(), |text, name| text.replace(name, ""));
            let found = INSTEAD.iter().filter(|(word, _)| holds(&paragraph, word));
            for (word, better) in found.chain(NAMES.iter().filter(|(word, _)| holds(&without_names, word))) {
                let start: String = paragraph.chars().take(60).collect();
                wrong.push(format!("{place}: \"{word}\", say \"{better}\": {start}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn words_are_found_as_words() {
    assert!(holds("runs a side, at least", "a side") && !holds("aside", "a side") && !holds("a sidecar", "a side"));
    let shown = "Runs a\nside\n\n<!-- output of: x -->\n```text\n4 a side\n\n5 a side\n```\n<!-- comment of: x -->\n> 6 a side\n\nEnd";
    assert_eq!(paragraphs(shown), ["runs a side", "end"]);
}
