//! Output that the documentation shows is what the program prints. A line before it names the command, or the snapshot
//! of a test that made a comment:
//!
//!     <!-- output of: bench-diff compare old.json new.json -->
//!     <!-- comment of: tests/github/snapshots/github__comment__a_regression.snap -->
//!
//! `UPDATE_DOCS=1 cargo test --test documentation` writes the output of today into the pages.

use crate::Place;
use crate::markdown::{Page, pages};
use crate::shell::calls;

#[test]
fn output_that_is_shown_is_what_the_program_prints() {
    let update = std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1");
    let mut outputs = 0;
    for page in pages() {
        let (text, found) = with_real_output(&page);
        outputs += found;
        if update && text != page.text {
            std::fs::write(&page.path, &text).unwrap();
        } else {
            let first = text.lines().zip(page.text.lines()).find(|(real, shown)| real != shown);
            let path = page.path.display();
            assert!(
                text == page.text,
                "{path} shows other output than the program's (UPDATE_DOCS=1 rewrites it): {first:?}"
            );
        }
    }
    assert!(outputs >= 3, "only {outputs} outputs were found");
}

/// The page with what its commands print in place of what it shows, and how many they are.
fn with_real_output(page: &Page) -> (String, usize) {
    let (mut text, mut found, mut lines) = (String::new(), 0, page.text.split_inclusive('\n').peekable());
    while let Some(line) = lines.next() {
        text.push_str(line);
        let Some(printed) = line.trim_end().strip_suffix(" -->").and_then(printed) else { continue };
        found += 1;
        if lines.peek().is_some_and(|next| next.starts_with("```")) {
            text.push_str(lines.next().unwrap());
            text.push_str(&printed);
            lines.by_ref().find(|line| line.starts_with("```")).expect("the block ends");
            text.push_str("```\n");
        } else {
            while lines.next_if(|next| next.starts_with('>')).is_some() {}
            text.extend(printed.lines().map(|line| format!("> {line}").trim_end().to_owned() + "\n"));
        }
    }
    (text, found)
}

/// What a mark stands for; of a comment what is seen before anything is unfolded.
fn printed(mark: &str) -> Option<String> {
    let printed = match (mark.strip_prefix("<!-- output of: "), mark.strip_prefix("<!-- comment of: ")) {
        (Some(command), _) => printed_by(command),
        (_, Some(snapshot)) => in_snapshot(snapshot),
        _ => return None,
    };
    let printed = printed.split("\n<details>").next().unwrap_or_default();
    let lines: Vec<&str> = printed.trim().lines().map(str::trim_end).collect();
    Some(lines.join("\n") + "\n")
}

fn printed_by(command: &str) -> String {
    let args = calls(command).pop().unwrap_or_else(|| panic!("not a command: {command}"));
    let output = Place::new().run(&args[1..]);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn in_snapshot(path: &str) -> String {
    let text = Page::read(path).text;
    text.splitn(3, "---\n").nth(2).expect("a snapshot has a head").to_owned()
}
