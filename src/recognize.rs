//! What a file is that isn't what was asked for: files that everybody knows by their first bytes, or by a tool's words.
//!
//! Each answer goes on from the file's name: "old.json" + " is gzip-compressed: unpack it first".

/// As far as this many bytes at the start tell.
pub const HEAD: usize = 4096;

/// How a file begins, and what it is and what to do.
const MAGIC: &[(&[u8], &str)] = &[
    (
        b"version https://git-lfs.github.com/spec/",
        "is a pointer of Git LFS, not the file itself: get it with `git lfs pull`",
    ),
    (b"\x1f\x8b", "is gzip-compressed: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is zstd-compressed: unpack it first"),
    (b"\xfd7zXZ", "is xz-compressed: unpack it first"),
    (b"BZh", "is bzip2-compressed: unpack it first"),
    (b"PK\x03\x04", "is a zip archive: unpack it first"),
    (b"\xff\xfe", "is UTF-16 text: save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16 text: save it as UTF-8"),
    (b"{\0", "is UTF-16 text: save it as UTF-8"),
    (b"[\0", "is UTF-16 text: save it as UTF-8"),
    (b"GGUF", "is a GGUF file, which can't be read yet: use the model's safetensors"),
    (b"<!DOCTYPE html", "is a web page, not the file: look at where it was downloaded from"),
    (b"<html", "is a web page, not the file: look at where it was downloaded from"),
];

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
pub fn recognize(content: &[u8]) -> Option<String> {
    let text = content.trim_ascii_start();
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| text.starts_with(magic)) {
        return Some((*what).to_owned());
    }
    if has_conflict(content) {
        return Some("has an unresolved merge conflict: resolve it first".to_owned());
    }
    let head = String::from_utf8_lossy(&text[..text.len().min(HEAD)]);
    let (_, tool) = TOOLS.iter().find(|(key, _)| head.contains(key))?;
    Some(format!(
        "is of {tool}, whose files can't be read yet: write its values as plain samples (`bench-diff compare --help` \
         shows how)"
    ))
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
        assert!(recognize(content.as_bytes()).unwrap().contains("conflict"));
    }
}
