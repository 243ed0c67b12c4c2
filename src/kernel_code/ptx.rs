//! PTX: the text of kernels that a driver compiles for the GPU that it finds.

use std::collections::{BTreeMap, BTreeSet};

use super::reached::{Piece, Pieces};
use super::{Fingerprint, Form, KernelCode};
use crate::trace::shown_name;

/// How a module begins.
pub const MAGIC: &[u8] = b".version ";

/// The last bytes of a text may be the first ones of what comes next: a container begins with a letter.
const IN_ANOTHER: usize = 3;

/// How what a module has begins. What a program holds behind its text may begin with a dot as well.
const BEGINNINGS: [&str; 11] = [
    ".visible", ".entry", ".func", ".extern", ".weak", ".common", ".global", ".const", ".shared", ".section", ".alias",
];

/// What begins where the bytes do.
#[derive(Debug)]
pub struct Module {
    pub kernels: Vec<KernelCode>,
    /// Nothing else begins before.
    pub bytes: usize,
    /// It ends in the middle of something.
    pub is_cut: bool,
}

/// The kernels of a module, whose text may have anything before it and behind it.
pub fn kernels(bytes: &[u8]) -> Module {
    let start = memchr::memmem::find(bytes, MAGIC).unwrap_or(0);
    let end = start + length(&bytes[start..]);
    let text = without_comments(&String::from_utf8_lossy(&bytes[start..end]));
    let (kernels, is_cut) = kernels_of(&text);
    Module { kernels, is_cut, bytes: end.saturating_sub(IN_ANOTHER).max(start + MAGIC.len()) }
}

/// Up to where the next begins, or to what is no text. In this order: nothing is looked at for each of many modules.
fn length(bytes: &[u8]) -> usize {
    let next = bytes.get(1..).and_then(|rest| memchr::memmem::find(rest, MAGIC));
    let bytes = &bytes[..next.map_or(bytes.len(), |next| next + 1)];
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    bytes.iter().position(|byte| !is_text(byte)).unwrap_or(bytes.len())
}

/// And whether there is more, of which the end is missing.
fn kernels_of(text: &str) -> (Vec<KernelCode>, bool) {
    let (target, parts, rest) = parts(text);
    let by_name = parts.iter().enumerate().map(|(at, part)| (part.name, at)).collect();
    let mut pieces = Pieces::of(parts.iter().map(|part| part.piece(&by_name)).collect());
    let kernels = parts.iter().enumerate().filter(|(_, part)| part.is_kernel);
    let kernels = kernels.map(|(at, part)| part.kernel(target, &pieces.reached_from(at))).collect();
    (kernels, BEGINNINGS.iter().any(|word| rest.starts_with(word)))
}

/// What the module is for, what it has, and what is left: text that is none of it, or something without an end.
fn parts(text: &str) -> (&str, Vec<Part<'_>>, &str) {
    let (mut target, mut parts, mut rest) = ("", Vec::new(), text.trim_start());
    while rest.starts_with('.') {
        let Some(end) = end_of_part(rest) else { break };
        match rest[..end].strip_prefix(".target") {
            Some(named) => target = named.split(',').next().unwrap_or_default().trim(),
            None => parts.extend(Part::of(&rest[..end])),
        }
        rest = rest[end..].trim_start();
    }
    (target, parts, rest)
}

/// What ends with its line, with a semicolon, or with a body.
fn end_of_part(text: &str) -> Option<usize> {
    const LINES: [&str; 5] = [".version", ".target", ".address_size", ".file", ".loc"];
    if LINES.iter().any(|word| text.starts_with(word)) {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let has_body = text.starts_with(".section") || head_of_function(text).is_some();
    let (mut depth, mut quoted) = (0_usize, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' => depth += 1,
            '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 && has_body {
                    return Some(at + 1);
                }
            }
            ';' if depth == 0 => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// What stands before parameters, of what is a function or kernel.
fn head_of_function(text: &str) -> Option<(&str, &str)> {
    let head = &text[..text.find(['{', ';', '=', '[']).unwrap_or(text.len())];
    [".entry", ".func"].iter().find_map(|word| head.split_once(word))
}

/// A function, kernel or variable.
#[derive(Debug)]
struct Part<'a> {
    name: &'a str,
    is_kernel: bool,
    text: &'a str,
}

impl<'a> Part<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let name = match head_of_function(text) {
            Some((_, head)) => name_of_function(head),
            None => words(&text[..text.find(['[', '=', ';']).unwrap_or(text.len())]).last(),
        };
        let is_kernel = text[..text.find(['(', '{', ';'])?].contains(".entry");
        Some(Self { name: name?, is_kernel, text })
    }

    /// Where in the source its lines come from is no code.
    fn piece(&self, by_name: &BTreeMap<&str, usize>) -> Piece {
        let lines = self.text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(".loc"));
        let (mut hash, mut refers_to) = (Fingerprint::default(), BTreeSet::new());
        for line in lines {
            // In containers there are fewer spaces.
            hash.add(line.split_whitespace().collect::<Vec<_>>().join(" ").as_bytes());
            refers_to.extend(words(line).filter_map(|word| by_name.get(word)));
        }
        Piece { hash: hash.hex(), refers_to }
    }

    fn kernel(&self, target: &str, hashes: &[&str]) -> KernelCode {
        let mut hash = Fingerprint::default();
        hashes.iter().for_each(|of_piece| hash.add(of_piece.as_bytes()));
        KernelCode {
            name: shown_name(self.name),
            target: target.to_owned(),
            form: Form::Ptx,
            symbol: self.name.to_owned(),
            hash: hash.hex(),
            code_bytes: self.text.len() as u64,
            resources: None,
        }
    }
}

/// A function may say what it returns before its name.
fn name_of_function(head: &str) -> Option<&str> {
    let head = head.trim_start();
    let head = if head.starts_with('(') { head.split_once(')')?.1 } else { head };
    words(head).next()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '$' | '%')).filter(|word| !word.is_empty())
}

/// Compilers write what they did into comments.
fn without_comments(text: &str) -> String {
    let (mut kept, mut rest, mut quoted) = (String::with_capacity(text.len()), text, false);
    while let Some(at) = rest.find(['/', '"', '\n']) {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        let (comment, end) = match from.get(..2) {
            Some("//") if !quoted => (true, from.find('\n').unwrap_or(from.len())),
            Some("/*") if !quoted => (true, from.find("*/").map_or(from.len(), |end| end + 2)),
            _ => (false, 1),
        };
        // A quote that nobody closes ends with its line.
        quoted = match &from[..1] {
            "\"" => !quoted,
            "\n" => false,
            _ => quoted,
        };
        if !comment {
            kept.push_str(&from[..end]);
        }
        rest = &from[end..];
    }
    kept + rest
}
