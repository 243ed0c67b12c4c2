//! Markdown in, a page as GitHub shows it out: for the picture in README.md, which `.ci/picture` takes.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for us")]

use std::io::Read;

/// What of GitHub's looks a comment needs.
const STYLE: &str = "
body { margin: 0; padding: 16px; width: 828px; background: #fff; color: #1f2328;
       font: 14px/1.5 'Liberation Sans', 'Noto Color Emoji', sans-serif; overflow-wrap: break-word }
h3 { font-size: 17.5px; line-height: 1.25; margin: 0 0 16px }
p, blockquote, details { margin: 0 0 16px }
table { border-collapse: collapse; margin-bottom: 16px; font-variant: tabular-nums }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px }
tr:nth-child(2n) { background: #f6f8fa }
code { background: #818b981f; border-radius: 6px; padding: .2em .4em; font: 85% 'Liberation Mono', monospace }
blockquote { color: #59636e; border-left: .25em solid #d1d9e0; padding: 0 1em }
blockquote p, p:last-child { margin: 0 }
a { color: #0969da }";

/// Says how high it is, so that the picture can be.
const HEIGHT: &str =
    "document.documentElement.dataset.height = Math.ceil(document.body.getBoundingClientRect().height)";

fn main() {
    let mut markdown = String::new();
    std::io::stdin().read_to_string(&mut markdown).unwrap();
    let mut options = comrak::Options::default();
    options.extension.table = true;
    options.extension.autolink = true;
    // Our own comment, whose folds are HTML.
    options.render.r#unsafe = true;
    let comment = comrak::markdown_to_html(&markdown, &options);
    println!(
        "<!doctype html><meta charset=utf-8><style>{STYLE}</style><body>{comment}</body><script>{HEIGHT}</script>"
    );
}
