//! Addresses in a text, such as a mistyped flag that is shown as it was typed.

use super::HIDDEN;

/// `text` without who logs in and what is asked for in its addresses: `https://***@host/path?***`.
pub fn without_logins(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || "'\"`<>".contains(c)).unwrap_or(part.len());
        let (address, rest) = part.split_at(end);
        shown = format!("{shown}://{}{rest}", without_login(address));
    }
    shown
}

/// What isn't an address any more may still hold a password: nothing before an `@` is shown.
fn without_login(address: &str) -> String {
    let (place, asked) = address.split_once('?').unwrap_or((address, ""));
    let asks = if asked.is_empty() { "" } else { "?***" };
    match address.rsplit_once('@') {
        Some((_, host)) => format!("{HIDDEN}@{}", host.split('?').next().unwrap_or_default()) + asks,
        None => format!("{place}{asks}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_and_queries_are_hidden() {
        for (text, shown) in [
            ("no address", "no address"),
            ("http://host:80/v1", "http://host:80/v1"),
            ("bad 'http://me:pw@host/v1' here", "bad 'http://***@host/v1' here"),
            ("http://me:p/w?@host:x/v1?key=abc", "http://***@host:x/v1?***"),
            ("`https://host/v1?key=abc` and http://a@b", "`https://host/v1?***` and http://***@b"),
            ("http://host/v1?", "http://host/v1"),
        ] {
            assert_eq!(without_logins(text), shown, "{text}");
        }
    }
}
