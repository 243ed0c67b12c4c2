//! What a file is that isn't what was asked for: files that everybody knows by their first bytes, or by a tool's words.
//!
//! An answer goes on from the file's name: "old.json" + " is gzip-compressed".

/// As far as this many bytes at the start tell.
pub const HEAD: usize = 4096;

/// What a file is, going on from its name, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    pub what: String,
    pub hint: &'static str,
}

const UNPACK: &str = "unpack it first";
const ENCODE: &str = "save it as UTF-8";
const LOOK: &str = "look at where it was downloaded from";

/// How a file begins, what it is and what to do.
const MAGIC: &[(&[u8], &str, &str)] = &[
    (
        b"version https://git-lfs.github.com/spec/",
        "is a pointer of Git LFS, not the file itself",
        "get it with `git lfs pull`",
    ),
    (b"\x1f\x8b", "is gzip-compressed", UNPACK),
    (b"\x28\xb5\x2f\xfd", "is zstd-compressed", UNPACK),
    (b"\xfd7zXZ", "is xz-compressed", UNPACK),
    (b"BZh", "is bzip2-compressed", UNPACK),
    (b"PK\x03\x04", "is a zip archive", UNPACK),
    (b"\xff\xfe", "is UTF-16 text", ENCODE),
    (b"\xfe\xff", "is UTF-16 text", ENCODE),
    (b"{\0", "is UTF-16 text", ENCODE),
    (b"[\0", "is UTF-16 text", ENCODE),
    (b"GGUF", "is a GGUF file", "give it as the model, under a name that ends with .gguf"),
    (
        b"SQLite format 3\0",
        "is an SQLite database, as EvalScope's `benchmark_data.db`, which only `bench-diff compare` reads",
        "compare it with another one of its kind",
    ),
    (b"<!DOCTYPE html", "is a web page, not the file", LOOK),
    (b"<html", "is a web page, not the file", LOOK),
];

/// Keys that our own results begin with.
const OURS: [&str; 2] = ["\"suite\"", "\"cases\""];

/// The schema of our own traces, without its version.
const TRACE: &str = "\"bench-diff trace ";

/// Keys that only the files of one tool have.
const TOOLS: &[(&str, &str)] = &[
    ("\"samples_ts\"", "llama-bench"),
    ("\"n_prompt\"", "llama-bench"),
    ("\"command\"", "hyperfine"),
    ("\"machine_info\"", "pytest-benchmark"),
    ("\"request_throughput\"", "vLLM's or SGLang's serving benchmark"),
    ("\"avg_latency\"", "vLLM's latency benchmark"),
    ("\"tokens_per_second\"", "vLLM's throughput benchmark"),
    ("\"mean\":{\"confidence_interval\"", "criterion"),
    ("window.BENCHMARK_DATA", "github-action-benchmark"),
];

/// What the file with this content is, and what to do, if anybody can tell.
pub fn recognize(content: &[u8]) -> Option<Foreign> {
    let text = content.trim_ascii_start();
    if let Some((_, what, hint)) = MAGIC.iter().find(|(magic, ..)| text.starts_with(magic)) {
        return Some(Foreign { what: (*what).to_owned(), hint });
    }
    if has_conflict(content) {
        return Some(Foreign { what: "has an unresolved merge conflict".to_owned(), hint: "resolve it first" });
    }
    let head = String::from_utf8_lossy(&text[..text.len().min(HEAD)]);
    if head.starts_with('{') && head.contains(TRACE) {
        return Some(Foreign { what: "is a trace".to_owned(), hint: "compare traces with `bench-diff trace --diff`" });
    }
    // Ours have fields of the same names further in.
    if OURS.iter().all(|key| head.contains(key)) {
        return None;
    }
    let (_, tool) = TOOLS.iter().find(|(key, _)| head.contains(key))?;
    let what = format!("is of {tool}, whose files only `bench-diff compare` reads");
    Some(Foreign { what, hint: "compare it with another one of its kind" })
}

/// Git writes these at the start of lines.
fn has_conflict(content: &[u8]) -> bool {
    const OURS: &[u8] = b"<<<<<<< ";
    content.split(|&byte| byte == b'\n').any(|line| line.starts_with(OURS))
}

#[cfg(test)]
mod tests {
    use super::recognize;

    #[test]
    fn our_own_files_are_nobody_elses() {
        for content in ["", "{\"schema\": 2, \"suite\": \"a\"}", "[{\"case\": \"a\", \"samples\": [1]}]", "no JSON"] {
            assert_eq!(recognize(content.as_bytes()), None, "{content}");
        }
    }

    #[test]
    fn a_conflict_is_seen_wherever_it_is() {
        let content = "{\"schema\": 2,\n<<<<<<< HEAD\n\"suite\": \"a\"\n=======\n";
        assert!(recognize(content.as_bytes()).unwrap().what.contains("conflict"));
    }
}
