//! Reads results files: strict about meaning, lenient about unknown fields, and afraid of nothing it may find.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::{
    DeviceState, Distribution, Failure, FailureKind, Measurement, Outcome, Results, Roofline, Run, SCHEMA, Session,
};
use crate::case::Implementation;
use crate::error::{Error, Result};
use crate::metric::MetricName;

/// Larger files aren't read: a file of the largest suites is a tenth of this.
const MAX_BYTES: u64 = 1 << 30;

/// Reads and checks the results file at `path`.
pub fn read(path: &Path) -> Result<Results> {
    let text = read_bytes(path)?;
    parse(&path.display().to_string(), text)
}

/// The file's content, of bounded size.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| Error::usage(format!("can't read {}: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::usage(format!("{} is larger than 1 GiB: not a file to compare", path.display())));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    Ok(bytes)
}

/// Parses and checks results; `name` stands for the file in errors.
pub fn parse(name: &str, text: Vec<u8>) -> Result<Results> {
    let results: Results = match from_json(name, text, "a results file") {
        Ok(results) => results,
        Err(Failed { error, text }) => return Err(newer_schema(name, &text).unwrap_or(error)),
    };
    check_schema(name, results.schema)?;
    check(&results).map_err(|problem| Error::usage(format!("{name}: {problem}")))?;
    Ok(results)
}

/// A parse that failed, with the text that it failed on.
pub(crate) struct Failed {
    pub error: Error,
    pub text: Vec<u8>,
}

/// Parses JSON as foreign tools write it: a number that JSON or f64 can't hold (`NaN`, `Infinity`, 1e999) is read as
/// null, so that it can be reported in its place instead of failing the file.
pub(crate) fn from_json<T: de::DeserializeOwned>(
    name: &str,
    text: Vec<u8>,
    what: &str,
) -> std::result::Result<T, Failed> {
    let first = match serde_json::from_slice(&text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let error = match null_for_bad_numbers(&text).map(|repaired| serde_json::from_slice(&repaired)) {
        Some(Ok(value)) => return Ok(value),
        Some(Err(error)) => error,
        None => first,
    };
    let message = match error.classify() {
        serde_json::error::Category::Eof if text.trim_ascii().is_empty() => format!("{name} is empty"),
        serde_json::error::Category::Eof => {
            format!("{name} ends in the middle (line {}): it looks cut off", error.line())
        }
        _ => format!("{name} is not {what}: {error}"),
    };
    Err(Failed { error: Error::usage(message), text })
}

/// The text with `null` in place of numbers that have no finite f64; `None` if there are none.
fn null_for_bad_numbers(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut repaired = false;
    while at < text.len() {
        let end = at + token_length(&text[at..]);
        let token = &text[at..end];
        if is_bad_number(token) {
            out.extend_from_slice(b"null");
            repaired = true;
        } else {
            out.extend_from_slice(token);
        }
        at = end;
    }
    repaired.then_some(out)
}

/// The length of the string, word, number or single byte that `text` (not empty) begins with.
fn token_length(text: &[u8]) -> usize {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    match text[0] {
        b'"' => {
            let mut at = 1;
            while at < text.len() && text[at] != b'"' {
                at += if text[at] == b'\\' { 2 } else { 1 };
            }
            (at + 1).min(text.len())
        }
        byte if is_word(byte) => text.iter().position(|&byte| !is_word(byte)).unwrap_or(text.len()),
        _ => 1,
    }
}

fn is_bad_number(token: &[u8]) -> bool {
    match token {
        b"NaN" | b"Infinity" | b"-Infinity" => true,
        [b'-' | b'0'..=b'9', ..] => {
            std::str::from_utf8(token).ok().and_then(|token| token.parse().ok()).is_some_and(f64::is_infinite)
        }
        _ => false,
    }
}

/// The error to give if the text says that it follows a newer schema.
fn newer_schema(name: &str, text: &[u8]) -> Option<Error> {
    #[derive(Deserialize)]
    struct OnlySchema {
        schema: u32,
    }
    let found: OnlySchema = serde_json::from_slice(text).ok()?;
    check_schema(name, found.schema).err()
}

fn check_schema(name: &str, schema: u32) -> Result<()> {
    match schema {
        SCHEMA => Ok(()),
        newer if newer > SCHEMA => Err(Error::usage(format!(
            "{name} has schema {newer}, but this bench-diff reads only schema {SCHEMA}: update bench-diff"
        ))),
        _ => Err(Error::usage(format!("{name} has schema {schema}, which never existed: is it a results file?"))),
    }
}

/// What the types can't say. The problem, in one sentence.
fn check(results: &Results) -> std::result::Result<(), String> {
    let mut cases = HashSet::new();
    for case in &results.cases {
        if !cases.insert(case.id.as_str()) {
            return Err(format!("the case `{}` is planned twice", case.id));
        }
    }
    let mut sessions = HashSet::new();
    for Session { id, runs, .. } in &results.sessions {
        if !sessions.insert(id) {
            return Err(format!("the session `{id}` occurs twice"));
        }
        let mut seen = HashSet::new();
        for run in runs {
            if !cases.contains(run.case.as_str()) {
                return Err(format!("session `{id}` ran `{}`, which isn't planned", run.case));
            }
            if !seen.insert((run.case.as_str(), run.round)) {
                return Err(format!("session `{id}` holds run {} of `{}` twice", run.round, run.case));
            }
        }
    }
    Ok(())
}

/// A run's fields side by side. What serde derives for a flattened enum copies every value first, which is slow for
/// large files and loses the line of an error.
#[derive(Deserialize)]
struct FlatRun {
    case: String,
    round: u32,
    started: String,
    status: Status,
    #[serde(default, deserialize_with = "metrics")]
    metrics: Option<BTreeMap<MetricName, f64>>,
    #[serde(default)]
    itl: Option<Distribution>,
    #[serde(default)]
    token_hash: Option<String>,
    #[serde(default)]
    implementation: Option<Implementation>,
    #[serde(default)]
    device: Option<DeviceState>,
    #[serde(default)]
    roofline: Option<Roofline>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    kind: Option<FailureKind>,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Failed,
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let FlatRun {
            case,
            round,
            started,
            status,
            metrics,
            itl,
            token_hash,
            implementation,
            device,
            roofline,
            warnings,
            kind,
            reason,
        } = FlatRun::deserialize(deserializer)?;
        let missing = de::Error::missing_field;
        let outcome = match status {
            Status::Ok => {
                let metrics = metrics.ok_or_else(|| missing("metrics"))?;
                Outcome::Ok(Measurement { metrics, itl, token_hash, implementation, device, roofline, warnings })
            }
            Status::Failed => Outcome::Failed(Failure {
                kind: kind.ok_or_else(|| missing("kind"))?,
                reason: reason.ok_or_else(|| missing("reason"))?,
            }),
        };
        Ok(Self { case, round, started, outcome })
    }
}

/// Metrics by name, each once. A null is a value that wasn't a number: kept as NaN, so that it is reported.
fn metrics<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<BTreeMap<MetricName, f64>>, D::Error> {
    struct Metrics;
    impl<'de> Visitor<'de> for Metrics {
        type Value = BTreeMap<MetricName, f64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of metrics and their values")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
            let mut metrics = BTreeMap::new();
            while let Some(name) = map.next_key::<MetricName>()? {
                if metrics.contains_key(&name) {
                    map.next_value::<IgnoredAny>()?;
                    return Err(de::Error::custom(format_args!("the metric `{name}` occurs twice in a run")));
                }
                metrics.insert(name, map.next_value::<Option<f64>>()?.unwrap_or(f64::NAN));
            }
            Ok(metrics)
        }
    }
    deserializer.deserialize_map(Metrics).map(Some)
}
