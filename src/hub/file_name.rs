//! Names that a hub tells become paths here: only those that stay where they belong.

use std::path::{Path, PathBuf};

const LONGEST: usize = 500;

/// Is it the path of a file below a directory, spelled in the only way there is? Revisions may have folders, too.
pub fn is_below(path: &str) -> bool {
    !path.is_empty() && path.len() <= LONGEST && path.split('/').all(is_part)
}

/// Is it a file's name on its own: an entity tag, a commit?
pub fn is_plain(name: &str) -> bool {
    is_part(name) && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}

fn is_part(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= 200
        && ![".", ".."].contains(&part)
        && !part.chars().any(|letter| letter.is_control() || letter == '\\' || letter == '\u{7f}')
}

/// The same name with more behind it.
pub fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_elsewhere_is_no_name() {
        for path in ["config.json", "onnx/model.onnx", "refs/pr/1", ".gitattributes", "a b.txt", "..a"] {
            assert!(is_below(path), "{path}");
        }
        for path in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/.", "a\\..\\b", "a\nb", "a/", "a\0"] {
            assert!(!is_below(path), "{path:?}");
        }
        assert!(!is_below(&"a/".repeat(400)) && !is_plain("a/b") && !is_plain("..") && is_plain("0123abc"));
    }
}
