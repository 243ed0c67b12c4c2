//! Server-sent events: from bytes to what each event says.
//!
//! Lines may end with CR, LF or both, bytes may be cut anywhere, even inside a character, and lines that begin with a colon only keep
//! the connection open (HTML Living Standard, 9.2.6).

/// The longest event: a server that never ends one must not fill our memory.
const MAX_EVENT: usize = 4 << 20;

/// What an event says.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// It is named `error`.
    pub is_error: bool,
    pub data: Vec<u8>,
}

/// Bytes that have arrived, as far as they are no event yet.
#[derive(Default)]
pub struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    is_error: bool,
    /// The last byte was a CR: an LF now ends no further line.
    after_cr: bool,
}

impl Events {
    /// The events that end in these bytes; an error where one is too long.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Told>, String> {
        let mut ended = Vec::new();
        for &byte in bytes {
            let completes_cr = std::mem::replace(&mut self.after_cr, byte == b'\r') && byte == b'\n';
            if completes_cr {
                continue;
            }
            if byte == b'\n' || byte == b'\r' {
                ended.extend(self.end_line());
                continue;
            }
            self.line.push(byte);
            if self.line.len() + self.data.len() > MAX_EVENT {
                return Err(format!("streamed an event of more than {} MiB", MAX_EVENT >> 20));
            }
        }
        Ok(ended)
    }

    /// The event that the line ends, if it is an empty one.
    fn end_line(&mut self) -> Option<Told> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.end_event();
        }
        if let Some(name) = line.strip_prefix(b"event:") {
            self.is_error = name.trim_ascii() == b"error";
        }
        let value = line.strip_prefix(b"data:")?;
        if !self.data.is_empty() {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        None
    }

    /// What the end of the stream makes of the rest: servers forget the last empty line, or even the line's end.
    pub fn end(&mut self) -> Option<Told> {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.end_event()
    }

    fn end_event(&mut self) -> Option<Told> {
        let (data, is_error) = (std::mem::take(&mut self.data), std::mem::take(&mut self.is_error));
        (!data.is_empty()).then_some(Told { is_error, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(data: Vec<u8>) -> String {
        String::from_utf8(data).unwrap()
    }

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut events = Events::default();
        let mut read: Vec<Told> = pieces.iter().flat_map(|piece| events.push(piece).unwrap()).collect();
        read.extend(events.end());
        let shown = |Told { is_error, data }| format!("{}{}", if is_error { "!" } else { "" }, text(data));
        read.into_iter().map(shown).collect()
    }

    #[test]
    fn events_end_with_an_empty_line_however_lines_end() {
        assert_eq!(read(&[b"data: a\n\ndata:b\r\n\r\n"]), ["a", "b"]);
        assert_eq!(read(&[b"data: a\r\rdata: b\r", b"\n\r\ndata: c\r\n\r\n"]), ["a", "b", "c"]);
        assert_eq!(read(&[b": keep-alive\n\nevent: x\nid: 7\ndata: a\ndata: b\n\n"]), ["a\nb"]);
        assert_eq!(read(&[b"data: a\n\n", b"data: last\n"]), ["a", "last"]);
        assert_eq!(read(&[b"data: a\n\ndata: cut"]), ["a", "cut"]);
        assert_eq!(read(&[b"event: error\ndata: a\n\ndata: b\n\n"]), ["!a", "b"], "a name is of one event");
    }

    #[test]
    fn bytes_may_be_cut_anywhere() {
        let whole = "data: {\"text\":\"\u{6211}\"}\n\ndata: [DONE]\n\n".as_bytes();
        for cut in 0..whole.len() {
            assert_eq!(read(&[&whole[..cut], &whole[cut..]]), ["{\"text\":\"\u{6211}\"}", "[DONE]"], "{cut}");
        }
    }

    #[test]
    fn an_event_without_an_end_is_refused() {
        let mut events = Events::default();
        let piece = vec![b'x'; 1 << 20];
        assert!((0..5).any(|_| events.push(&piece).is_err()));
    }
}
