//! Every link of the documentation that stays in the repository leads somewhere.

use std::path::PathBuf;

use crate::markdown::{Page, pages};

#[test]
fn every_link_inside_the_repository_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut followed = 0;
    for page in pages() {
        for (line, url) in
            page.parts().links.iter().filter(|(_, url)| !url.contains("://") && !url.starts_with("mailto:"))
        {
            followed += 1;
            if let Err(why) = follow(&page, url) {
                wrong.push(format!("{}: ({url}): {why}", page.place(*line)));
            }
        }
    }
    assert!(followed > 40, "only {followed} were found");
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

fn follow(page: &Page, url: &str) -> Result<(), String> {
    let (path, anchor) = url.split_once('#').unwrap_or((url, ""));
    let target = match path {
        "" => page.path.clone(),
        path => page.path.parent().unwrap_or(&PathBuf::new()).join(path),
    };
    if !target.exists() {
        return Err(format!("there is no {}", target.display()));
    }
    if anchor.is_empty() || Page::read(&target).parts().anchors.contains(anchor) {
        return Ok(());
    }
    Err(format!("{} has no heading of that name", target.display()))
}

/// Pages that messages, help and comments send somebody to.
#[test]
fn every_page_that_the_program_names_is_there() {
    let mut wrong = Vec::new();
    for path in crate::files("src", "") {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (start, _) in text.match_indices("docs/") {
            let name: String =
                text[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || "/-_.".contains(*c)).collect();
            let name = name.trim_end_matches('.');
            if name.ends_with(".md") && !PathBuf::from(name).exists() {
                wrong.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "pages that aren't there: {wrong:#?}");
}
