//! Names and addresses from outside that git may get.

/// One name of a branch, tag or commit: neither an option nor a pair of names, which would be fetched into a branch.
pub fn is_revision(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-' | '+' | '#' | '@');
    !name.is_empty() && !name.starts_with(['-', '+', '/']) && !name.contains("..") && name.chars().all(good)
}

/// The full name of a commit.
pub fn is_commit(name: &str) -> bool {
    matches!(name.len(), 40 | 64) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An address of a repository: neither an option of git, nor a command (`ext::`).
pub fn is_address(git: &str) -> bool {
    if git.starts_with('-') || git.contains("::") || git.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return false;
    }
    let Some((scheme, rest)) = git.split_once("://") else {
        let is_path = git.starts_with(['.', '/']);
        return is_path || git.split_once(':').is_some_and(|(host, path)| is_host(host) && !path.is_empty());
    };
    let host = rest.split('/').next().unwrap_or_default();
    match scheme {
        "https" | "ssh" => is_host(host),
        "file" => rest.starts_with('/'),
        _ => false,
    }
}

/// `https://USER@HOST/PATH`, with a password perhaps.
pub fn has_user(git: &str) -> bool {
    let host = git.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    host.is_some_and(|host| host.contains('@'))
}

/// `HOST`, `USER@HOST` or `HOST:PORT`.
fn is_host(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | ':' | '[' | ']' | '%' | '~');
    !text.is_empty() && text.split('@').all(|part| !part.is_empty() && !part.starts_with('-')) && text.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_repositories_pass() {
        for good in [
            "https://github.com/huggingface/candle",
            "https://host:8443/candle.git",
            "ssh://git@host/candle",
            "git@github.com:huggingface/candle.git",
            "file:///srv/candle",
            "../candle",
            "/srv/candle",
            "https://me:secret@host/candle",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c touch% /tmp/x",
            "fd::17",
            "http://host/candle",
            "git://host/candle",
            "ssh://-oProxyCommand=x/candle",
            "git@-oProxyCommand=x:candle",
            "-oProxyCommand=x:candle",
            "https:///candle",
            "file://candle",
            "candle",
            "https://host/a\nb",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
        assert!(has_user("https://me:secret@host/candle") && !has_user("https://host/@scope/candle"));
    }

    #[test]
    fn only_names_of_revisions_pass() {
        for good in ["main", "v0.11.1", "feature/faster", "0123abc", "refs/pull/7/head"] {
            assert!(is_revision(good), "{good}");
        }
        for bad in ["", "-x", "+main", "main:main", "a..b", "HEAD~1", "a b", "a\nb", "main^{/x}"] {
            assert!(!is_revision(bad), "{bad}");
        }
    }
}
