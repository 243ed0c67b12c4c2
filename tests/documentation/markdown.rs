//! The pages of the documentation, taken apart.

use std::collections::BTreeSet;
use std::path::PathBuf;

use comrak::nodes::NodeValue;

pub struct Page {
    pub path: PathBuf,
    pub text: String,
}

/// What a page holds, each with its line.
#[derive(Default)]
pub struct Parts {
    pub blocks: Vec<(usize, String)>,
    pub spans: Vec<(usize, String)>,
    pub links: Vec<(usize, String)>,
    /// What a link to a part of the page can end with, as GitHub makes it of headings.
    pub anchors: BTreeSet<String>,
}

impl Page {
    pub fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    pub fn parts(&self) -> Parts {
        let mut options = comrak::Options::default();
        options.extension.table = true;
        let arena = comrak::Arena::new();
        let root = comrak::parse_document(&arena, &self.text, &options);
        let (mut parts, mut anchors) = (Parts::default(), comrak::Anchorizer::new());
        for node in root.descendants() {
            let data = node.data.borrow();
            let line = data.sourcepos.start.line;
            match &data.value {
                NodeValue::CodeBlock(block) => parts.blocks.push((line, block.literal.clone())),
                NodeValue::Code(code) => parts.spans.push((line, code.literal.clone())),
                // What a picture or the HTML around one shows is as dead where it isn't there.
                NodeValue::Link(link) | NodeValue::Image(link) => parts.links.push((line, link.url.clone())),
                NodeValue::Heading(_) => _ = parts.anchors.insert(anchors.anchorize(&node.collect_text())),
                _ => {}
            }
        }
        parts
    }

    /// The cells of the tables under a heading, without the lines that head them.
    pub fn table_under(&self, heading: &str) -> Vec<Vec<String>> {
        let text = self.text.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("{heading} is there"));
        let section = text.split("\n## ").next().unwrap_or_default();
        let rows = section.lines().filter(|line| line.starts_with('|') && !line.starts_with("|--"));
        rows.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
    }
}

/// Every page that a person is sent to.
pub fn pages() -> Vec<Page> {
    let root = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(PathBuf::from);
    root.into_iter().chain(super::files("docs", ".md")).map(Page::read).collect()
}
