//! What is secret is neither printed nor written, whoever said it.
//!
//! The program's writers and files are behind a [`Redacting`] writer, and what a server answers passes
//! [`Secrets::redact`] before anything else sees it: a text that is cut or escaped later can't hold half a token.

mod addresses;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

pub use addresses::without_logins;

/// What stands in place of a secret.
const HIDDEN: &str = "***";
/// A shorter value guards nothing, and to cut it out would garble everything else.
const SHORTEST: usize = 6;
/// Of a number in HTML. More would have to be held back, and nothing that shows HTML needs them.
const MAX_ZEROS: usize = 100;
/// A variable with such a word in its name holds a secret; one whose name ends with `_KEY` as well.
const WORDS: [&str; 8] = ["TOKEN", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PAT", "CREDENTIAL", "CREDENTIALS"];

/// The values that must not be shown.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Known>);

#[derive(Clone, Default)]
struct Known {
    patterns: Vec<Pattern>,
    /// Those that can begin with a byte: a private key has hundreds of patterns, and few begin alike.
    by_start: BTreeMap<u8, Vec<usize>>,
}

impl Known {
    fn add(&mut self, pattern: Pattern) {
        let starts = pattern.first().into_iter().flatten().filter_map(|spelling| spelling.first());
        for start in starts.copied().collect::<BTreeSet<u8>>() {
            self.by_start.entry(start).or_default().push(self.patterns.len());
        }
        self.patterns.push(pattern);
    }

    /// What `by_start` says, without searching.
    fn table(&self) -> [&[usize]; 256] {
        std::array::from_fn(|byte| self.by_start.get(&(byte as u8)).map_or(&[][..], Vec::as_slice))
    }
}

/// A secret, or its base64 or hexadecimal form: for each byte the ways to write it.
type Pattern = Vec<Vec<Vec<u8>>>;

impl Secrets {
    /// Those of this process's environment, by the names of the variables.
    #[expect(clippy::disallowed_methods, reason = "what is secret here has to be known")]
    pub fn of_environment() -> Self {
        Self::among(std::env::vars_os())
    }

    /// Those that are cut out of what programs read: files, and data on standard output. A plain word or number stays: it
    /// guards nothing, and data is full of words and numbers.
    #[expect(clippy::disallowed_methods, reason = "what is secret here has to be known")]
    pub fn for_data() -> Self {
        Self::among(std::env::vars_os().filter(|(_, value)| !is_plain(&value.to_string_lossy())))
    }

    fn among(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let secret = variables.filter(|(name, _)| is_secret(&name.to_string_lossy()));
        Self::default().with(secret.map(|(_, value)| value.to_string_lossy().into_owned()))
    }

    /// These values as well. One of many lines, such as a private key, may be shown in part: each line counts.
    #[must_use]
    pub fn with(self, values: impl IntoIterator<Item = String>) -> Self {
        let mut known = Arc::unwrap_or_clone(self.0);
        for value in values {
            let lines = value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST);
            lines.flat_map(forms).for_each(|form| known.add(form.into_iter().map(spellings).collect()));
        }
        Self(Arc::new(known))
    }

    /// Is there nothing to hide?
    pub fn is_empty(&self) -> bool {
        self.0.patterns.is_empty()
    }

    /// `text` without the secrets.
    pub fn redact(&self, text: &str) -> String {
        let (shown, _) = self.split(text.as_bytes(), End::Final);
        // Only whole spellings were cut out of valid text; what is left of it is valid, too.
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// All texts and names in `value`.
    pub fn redact_json(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.redact(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_json(item)),
            Value::Object(fields) => {
                let redacted = std::mem::take(fields).into_iter().map(|(name, mut field)| {
                    self.redact_json(&mut field);
                    (self.redact(&name), field)
                });
                *fields = redacted.collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A writer that passes everything on to `inner` but the secrets.
    pub fn writer<W: Write>(&self, inner: W) -> Redacting<W> {
        Redacting { inner, secrets: self.clone(), held: Vec::new() }
    }

    /// What can be shown of `text`, and its end, where a secret may have begun.
    fn split<'a>(&self, text: &'a [u8], end: End) -> (Vec<u8>, &'a [u8]) {
        let mut shown = Vec::with_capacity(text.len());
        let (mut at, table) = (0, self.0.table());
        loop {
            let harmless = text[at..].iter().take_while(|byte| table[usize::from(**byte)].is_empty()).count();
            shown.extend_from_slice(&text[at..at + harmless]);
            at += harmless;
            if at == text.len() {
                return (shown, &[]);
            }
            match self.at(table[usize::from(text[at])], &text[at..], end) {
                Match::Whole(length) => {
                    shown.extend(HIDDEN.bytes());
                    at += length;
                }
                Match::Begun => return (shown, &text[at..]),
                Match::No => {
                    shown.push(text[at]);
                    at += 1;
                }
            }
        }
    }

    /// Is one of these patterns at the start of `text`? The longest counts.
    fn at(&self, candidates: &[usize], text: &[u8], end: End) -> Match {
        let matches = candidates.iter().map(|&index| matches(&self.0.patterns[index], text, end));
        matches.max().unwrap_or(Match::No)
    }
}

/// May the text go on?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Final,
}

/// From the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    No,
    /// So many bytes of the text.
    Whole(usize),
    /// The text ends before it can be told.
    Begun,
}

fn matches(pattern: &[Vec<Vec<u8>>], text: &[u8], end: End) -> Match {
    let mut at = 0;
    for (index, spellings) in pattern.iter().enumerate() {
        let rest = &text[at..];
        let mut found =
            spellings.iter().map(|spelling| spelled(spelling, rest, end)).filter(|found| *found != Match::No);
        match (found.next(), found.next()) {
            (None, _) => return Match::No,
            (Some(Match::Whole(length)), None) => at += length,
            _ => return every_way(&pattern[index..], text, at, end),
        }
    }
    Match::Whole(at)
}

/// From where there are several ways to read it: of `\\\\`, one may be an escaped backslash, or the first of two.
fn every_way(pattern: &[Vec<Vec<u8>>], text: &[u8], from: usize, end: End) -> Match {
    let (mut ends, mut begun) = (BTreeSet::from([from]), false);
    for spellings in pattern {
        let mut next = BTreeSet::new();
        for at in ends {
            for spelling in spellings {
                match spelled(spelling, &text[at..], end) {
                    Match::Whole(length) => drop(next.insert(at + length)),
                    Match::Begun => begun = true,
                    Match::No => {}
                }
            }
        }
        ends = next;
    }
    match ends.last() {
        _ if begun => Match::Begun,
        Some(&end) => Match::Whole(end),
        None => Match::No,
    }
}

/// A number of HTML may begin with zeros.
fn spelled(spelling: &[u8], text: &[u8], end: End) -> Match {
    let prefix = [&b"&#x"[..], b"&#"].into_iter().find(|prefix| spelling.starts_with(prefix));
    let Some(prefix) = prefix else { return literal(spelling, text, end) };
    match literal(prefix, text, end) {
        Match::Whole(start) => {
            let zeros = text[start..].iter().take(MAX_ZEROS).take_while(|byte| **byte == b'0').count();
            match literal(&spelling[start..], &text[start + zeros..], end) {
                Match::Whole(length) => Match::Whole(start + zeros + length),
                unfinished => unfinished,
            }
        }
        unfinished => unfinished,
    }
}

fn literal(spelling: &[u8], text: &[u8], end: End) -> Match {
    if text.first().is_some_and(|first| *first != spelling[0]) {
        return Match::No;
    }
    // Hexadecimal digits and names of characters are written in either case.
    let equal = |a: &[u8], b: &[u8]| if spelling.len() == 1 { a == b } else { a.eq_ignore_ascii_case(b) };
    match text.len() {
        length if length >= spelling.len() && equal(spelling, &text[..spelling.len()]) => Match::Whole(spelling.len()),
        length if length < spelling.len() && end == End::Open && equal(&spelling[..length], text) => Match::Begun,
        _ => Match::No,
    }
}

/// The value itself, in base64 wherever it lies in a longer text, and in hexadecimal.
fn forms(value: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![value.as_bytes().to_vec()];
    for before in 0..3 {
        let text = [&vec![0; before], value.as_bytes()].concat();
        // Characters that other bytes take part in are left out on both sides.
        let (start, end) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
        forms.extend([STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)].map(|b| b[start..end].into()));
    }
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    forms.extend([hex.to_uppercase().into(), hex.into()]);
    forms.dedup();
    forms
}

/// How `byte` may be written: itself, escaped for an address, JSON, HTML or Markdown, or after the invisible break that
/// keeps words from becoming links.
fn spellings(byte: u8) -> Vec<Vec<u8>> {
    let character = byte as char;
    let mut spellings = vec![vec![byte]];
    if !byte.is_ascii() {
        spellings.push(format!("%{byte:02x}").into());
        return spellings;
    }
    let mut escaped = vec![
        format!("%{byte:02x}"),
        format!("\\u{byte:04x}"),
        format!("\\x{byte:02x}"),
        format!("&#{byte};"),
        format!("&#x{byte:x};"),
        format!("\\{character}"),
        format!("\u{200b}{character}"),
        format!("\u{200b}\\{character}"),
    ];
    let named = match byte {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'"' => "&quot;",
        b'\'' => "&apos;",
        _ => "",
    };
    escaped.extend((!named.is_empty()).then(|| named.to_owned()));
    spellings.extend(escaped.into_iter().map(String::into_bytes));
    spellings
}

fn is_secret(variable: &str) -> bool {
    let name = variable.to_ascii_uppercase();
    name.ends_with("_KEY") || name.split(['_', '-']).any(|word| WORDS.contains(&word))
}

/// A word, a number, a date.
fn is_plain(value: &str) -> bool {
    let is_word = value.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-' | b'.'));
    let is_number = value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b':' | b'T' | b'Z' | b'e'));
    is_word || is_number
}

/// Passes on what is written, but for secrets. A secret may come in pieces: what could be its start is held back until
/// the next piece tells, or the writer is dropped.
pub struct Redacting<W: Write> {
    inner: W,
    secrets: Secrets,
    held: Vec<u8>,
}

impl<W: Write> Redacting<W> {
    /// Nothing more comes: what was held back can be told now.
    pub fn finish(mut self) -> io::Result<()> {
        self.pass_on_rest()
    }

    fn pass_on_rest(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let (shown, _) = self.secrets.split(&held, End::Final);
        self.inner.write_all(&shown)?;
        self.inner.flush()
    }
}

impl<W: Write> Write for Redacting<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.secrets.is_empty() {
            return self.inner.write(text);
        }
        self.held.extend(text);
        let (shown, rest) = self.secrets.split(&self.held, End::Open);
        let rest = rest.to_vec();
        self.held = rest;
        self.inner.write_all(&shown)?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Drop for Redacting<W> {
    fn drop(&mut self) {
        // Nobody is left to hear of an error.
        let _ = self.pass_on_rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "ghs_A1b2/C3+d4=E5";

    fn secrets() -> Secrets {
        Secrets::default().with([TOKEN.to_owned()])
    }

    #[test]
    fn however_it_is_written_it_is_hidden() {
        let json = "\\u0067hs_A1b2\\/C3+d4=E5";
        let percent = "ghs_A1b2%2FC3%2bd4%3DE5";
        let (markdown, html) = ("ghs\\_A1b2/C3\\+d4=E5", "ghs&#95;A1b2&#x2F;C3&#43;d4=E5");
        let zeros = "&#0000103;hs&#X05f;A1b2&#x000002f;C3&#043;d4=E&#00000000000000000000000000000053;";
        for text in [TOKEN, json, percent, markdown, html, zeros, "gh\u{200b}s_A1b2/C3+d4=E5"] {
            assert_eq!(secrets().redact(&format!("<{text}>")), "<***>", "{text}");
        }
        for before in ["", "x", "xy", "x-access-token:"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}{TOKEN} and more"));
            assert!(secrets().redact(&encoded).contains(HIDDEN), "{encoded}");
        }
    }

    /// `%25` is an escaped `%`, or part of the secret itself.
    #[test]
    fn secrets_that_look_escaped_are_hidden() {
        for secret in ["pa\\\\ss\\\\word1", "q%25abcdef", "x&amp;yzabc", "%%25%25x", "dom\\user99"] {
            let secrets = Secrets::default().with([secret.to_owned()]);
            assert_eq!(secrets.redact(&format!("<{secret}>")), "<***>", "{secret}");
            let json = serde_json::to_string(secret).unwrap();
            assert_eq!(secrets.redact(&json), "\"***\"", "{secret} in JSON");
        }
    }

    #[test]
    fn everything_else_stays() {
        for text in ["", "ghs_A1b2/C3+d4=E", "größe ghs_", "%67%68 \\u0067", "GHS_a1B2/c3+D4=e5"] {
            assert_eq!(secrets().redact(text), text);
        }
        assert_eq!(secrets().with(["ghs_A1b2".into()]).redact(TOKEN), "***", "the longest");
        assert_eq!(Secrets::default().with(["abc".into(), " \n".into()]).redact("abc abc"), "abc abc", "too short");
    }

    #[test]
    fn a_secret_in_pieces_is_hidden() {
        for size in 1..TOKEN.len() + 2 {
            let mut out = Vec::new();
            let text = format!("ghs_{TOKEN}, g{}; gh", TOKEN.replace('_', "&#0095;"));
            let mut writer = secrets().writer(&mut out);
            text.as_bytes().chunks(size).for_each(|piece| writer.write_all(piece).unwrap());
            drop(writer);
            assert_eq!(String::from_utf8(out).unwrap(), "ghs_***, g***; gh", "{size}");
        }
    }

    #[test]
    fn names_tell_what_is_secret() {
        for name in ["GITHUB_TOKEN", "GH_PAT", "hf_token", "INPUT_GITHUB-TOKEN", "AWS_SECRET_ACCESS_KEY", "DEPLOY_KEY"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PATH", "GITHUB_REPOSITORY", "HOME", "KEYBOARD"] {
            assert!(!is_secret(name), "{name}");
        }
        let variables = [("HF_TOKEN", "hf_secret"), ("PATH", "/usr/bin")].map(|(a, b)| (a.into(), b.into()));
        assert_eq!(Secrets::among(variables.into_iter()).redact("hf_secret /usr/bin"), "*** /usr/bin");
    }
}
