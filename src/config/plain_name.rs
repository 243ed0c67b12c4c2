//! Names that are also names of files, parts of ids and words of others.

/// Can `name` be a part of a path? No separators, no leading dot, nothing special to a shell or a terminal.
pub fn is_plain_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 64 && !name.starts_with(['.', '-']) && name.chars().all(good)
}
