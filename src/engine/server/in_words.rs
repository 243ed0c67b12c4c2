//! What goes wrong below HTTP, in our words: the library's are for its users.

use std::error::Error;
use std::io::{self, ErrorKind};

/// What a library's innermost cause says, and what that means to whoever gave the address.
const MEANT: [(&str, &str); 7] = [
    ("InvalidContentType", NO_TLS),
    ("tls handshake eof", NO_TLS),
    ("invalid HTTP", "what answers there speaks no plain HTTP: its address may begin with https://"),
    ("connection closed before", "the connection was closed before an answer"),
    ("unexpected EOF", "the connection was closed in the middle of the answer"),
    ("chunk size", "its answer isn't cut into chunks as HTTP has it"),
    ("message head is too large", "the headers of its answer are too long"),
];

const NO_TLS: &str = "what answers there speaks no TLS: its address may begin with http://";

/// Why there is no answer, or no more of one.
pub fn in_words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let (said, kind) = innermost(&error);
    if error.is_timeout() {
        let connecting = "connecting took too long (`connect-seconds`)";
        return if error.is_connect() { connecting } else { "it didn't answer in time" }.to_owned();
    }
    match kind {
        Some(ErrorKind::ConnectionRefused) => "nothing listens there (connection refused)".to_owned(),
        Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => "the connection was reset".to_owned(),
        _ => meaning(said),
    }
}

fn meaning(said: String) -> String {
    let meant = MEANT.iter().find(|(words, _)| said.contains(words));
    meant.map_or(said, |(_, meaning)| (*meaning).to_owned())
}

/// What the first of all causes says; the outermost only says that something went wrong.
fn innermost(error: &(dyn Error + 'static)) -> (String, Option<ErrorKind>) {
    let (mut cause, mut kind) = (error, None);
    while let Some(deeper) = cause.source() {
        cause = deeper;
        kind = cause.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
    }
    (cause.to_string(), kind)
}
