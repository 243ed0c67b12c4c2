//! Why a line is no answer, for whoever wrote the program: which field, and what it should be.

use serde_json::Value;

use crate::child::clean;
use crate::engine::protocol::Answer;

/// Of longer lines, or deeper ones, nobody looks for the field.
const MOST_BYTES: usize = 64 << 10;
const MOST_FIELDS: usize = 100;
/// Characters of a line's own words that are shown.
const SHOWN: usize = 60;
/// A number of these is never 0.
const ABOVE_ZERO: [&str; 4] = ["batch_size", "peak_bytes", "protocol", "tokens"];

/// In a few words: `it lacks `name``.
pub fn why(line: &[u8], error: &serde_json::Error) -> String {
    let Ok(text) = std::str::from_utf8(line) else { return "it isn't UTF-8".to_owned() };
    if text.trim().is_empty() {
        return "it is empty".to_owned();
    }
    match serde_json::from_str::<Value>(text) {
        Err(error) => no_json(text, &error),
        Ok(value) if !value.is_object() => "it is no JSON object".to_owned(),
        Ok(value) => of_object(&value, line.len()).unwrap_or_else(|| without_place(error)),
    }
}

fn no_json(text: &str, error: &serde_json::Error) -> String {
    match text {
        _ if text.starts_with('\u{feff}') => "it begins with a byte order mark".to_owned(),
        _ if text.starts_with('{') && ["NaN", "Infinity"].iter().any(|word| text.contains(word)) => {
            "it is no JSON, which has no NaN and no Infinity".to_owned()
        }
        _ => format!("it is no JSON: {}", without_place(error)),
    }
}

/// `None` where nothing is wrong with its fields, but that one is there twice, say.
fn of_object(value: &Value, bytes: usize) -> Option<String> {
    let said = wrong_with(value)?;
    if let Some(rest) = said.strip_prefix("missing field ") {
        return Some(format!("it lacks {rest}"));
    }
    if said.starts_with("unknown variant") {
        let known = ["hello", "loading", "loaded", "chunk", "generated", "memory", "error"].join("`, `");
        return Some(format!("its `answer` is none of `{known}`"));
    }
    let path = if bytes <= MOST_BYTES { at_fault(value, &said) } else { None };
    Some(match path {
        Some(path) => of_field(&path, &said),
        None => clean(&said, 4 * SHOWN),
    })
}

fn wrong_with(value: &Value) -> Option<String> {
    serde_json::from_value::<Answer>(value.clone()).err().map(|error| error.to_string())
}

/// The field without which something else is wrong, or nothing. The deepest one.
fn at_fault(value: &Value, said: &str) -> Option<Vec<String>> {
    let mut paths = Vec::new();
    collect(value, &[], &mut paths);
    let is_at_fault = |path: &&Vec<String>| wrong_with(&without(value, path)).as_deref() != Some(said);
    paths.iter().take(MOST_FIELDS).find(is_at_fault).cloned()
}

fn collect(value: &Value, above: &[String], paths: &mut Vec<Vec<String>>) {
    // Without `answer`, something else is wrong with any line.
    for (name, inner) in value.as_object().into_iter().flatten().filter(|(name, _)| *name != "answer") {
        let path = [above, std::slice::from_ref(name)].concat();
        collect(inner, &path, paths);
        paths.push(path);
    }
}

fn without(value: &Value, path: &[String]) -> Value {
    let mut value = value.clone();
    if let [above @ .., last] = path {
        let place = above.iter().try_fold(&mut value, |inner, name| inner.get_mut(name));
        place.and_then(Value::as_object_mut).map(|object| object.remove(last));
    }
    value
}

/// From `invalid value: integer `-5`, expected u64`.
fn of_field(path: &[String], said: &str) -> String {
    let shown = clean(&path.join("."), SHOWN);
    let parts = said.strip_prefix("invalid ").and_then(|rest| rest.split_once(": ")).map(|(_, parts)| parts);
    let Some((given, expected)) = parts.and_then(|parts| parts.rsplit_once(", expected ")) else {
        return format!("`{shown}`: {}", clean(said, 4 * SHOWN));
    };
    let is_above_zero = path.last().is_some_and(|last| ABOVE_ZERO.contains(&last.as_str()));
    let wanted = match expected {
        "u32" | "u64" if is_above_zero => "a whole number above 0",
        "u32" => "whole numbers from 0 to 4294967295",
        "u64" => "a whole number, 0 or more",
        "f64" => "a number",
        "a sequence" => "a list",
        other => other,
    };
    format!("`{shown}` must be {wanted}, and not {}", clean(given, SHOWN))
}

/// A line is all there is of it.
fn without_place(error: &serde_json::Error) -> String {
    let said = error.to_string();
    clean(said.split(" at line ").next().unwrap_or_default(), 4 * SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        why(line.as_bytes(), &serde_json::from_str::<Answer>(line).unwrap_err())
    }

    #[test]
    fn the_field_is_named_and_what_it_should_be() {
        for (line, why) in [
            ("", "it is empty"),
            ("[1,2]", "it is no JSON object"),
            ("Loading", "it is no JSON: expected value"),
            (r#"{"tokens":1}"#, "it lacks `answer`"),
            (r#"{"answer":"bye"}"#, "its `answer` is none of `hello`, `loading`"),
            (r#"{"answer":"hello","protocol":1}"#, "it lacks `name`"),
            (
                r#"{"answer":"hello","protocol":"one","name":"a","version":"1"}"#,
                "`protocol` must be a whole number above 0",
            ),
            (
                r#"{"answer":"memory","peak_bytes":-5}"#,
                "`peak_bytes` must be a whole number above 0, and not integer `-5`",
            ),
            (r#"{"answer":"memory","peak_bytes":NaN}"#, "it is no JSON, which has no NaN"),
            (
                r#"{"answer":"memory","peak_bytes":1e30}"#,
                "`peak_bytes` must be a whole number above 0, and not floating",
            ),
            (r#"{"answer":"generated","token_ids":[1,-1]}"#, "`token_ids` must be whole numbers from 0"),
            (
                r#"{"answer":"generated","times":{"clock":"host","chunks":[],"end_to_end_ms":"12"}}"#,
                "`times.end_to_end_ms` must be a number, and not string \"12\"",
            ),
            (r#"{"answer":"chunk","tokens":1,"tokens":2}"#, "duplicate field `tokens`"),
        ] {
            let said = said(line);
            assert!(said.starts_with(why), "{line}: {said}");
        }
    }
}
