//! One word for one thing: those of docs/glossary.md.

use crate::help::every_command;
use crate::markdown::{Page, pages};
use bench_diff::metric::{Better, Metric};

/// What a newcomer stumbles over, and what to write instead.
const INSTEAD: [(&str, &str); 0] = [];

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

#[test]
fn documentation_and_help_say_what_the_glossary_says() {
    let help = every_command().into_iter().map(|(name, mut command)| (name, command.render_long_help().to_string()));
    let pages = pages().into_iter().map(|page| (page.path.display().to_string(), page.text));
    let mut wrong = Vec::new();
    for (place, text) in help.chain(pages).filter(|(place, _)| place != "CHANGELOG.md") {
        for (number, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            for (word, better) in INSTEAD.iter().filter(|(word, _)| line.contains(word)) {
                wrong.push(format!("{place}:{}: \"{word}\": say \"{better}\"", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
