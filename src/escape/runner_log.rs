//! Output in which GitHub's runner finds no command.
//!
//! It looks at each line that a step prints: `::name::` at the start, behind blanks, and `##[name]` anywhere, are commands,
//! whoever put them into a name. Here they lose their form, by a character that nobody sees.

use std::io::{self, Write};

use super::WORD_BREAK_TEXT;

/// What is printed where a runner reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Printed {
    /// Nothing of it is a command.
    Text,
    /// Annotations of our own begin lines.
    Annotations,
    /// Spelled otherwise, it says the very same.
    Json,
}

/// A writer that breaks what the runner would take for a command; where nothing is said of what is printed, nobody obeys it,
/// and it stays as it is.
#[derive(Debug)]
pub struct RunnerLog<W> {
    inner: W,
    printed: Option<Printed>,
    line: Begun,
    last: [u8; 2],
}

/// How far a line has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// Only what may be blank to the runner, which knows all of Unicode's.
    Blank,
    Colon,
    Words,
}

impl<W> RunnerLog<W> {
    pub fn new(inner: W, printed: Option<Printed>) -> Self {
        Self { inner, printed, line: Begun::Blank, last: [0; 2] }
    }

    fn add(&mut self, byte: u8, printed: Printed, out: &mut Vec<u8>) {
        let command = (self.line, byte) == (Begun::Colon, b':') && printed == Printed::Text;
        let marker = self.last == *b"##" && byte == b'[';
        match printed {
            Printed::Json if marker => out.extend(br"\u005b"),
            _ => {
                out.extend(if command || marker { WORD_BREAK_TEXT.as_bytes() } else { &[] });
                out.push(byte);
            }
        }
        self.line = match (self.line, byte) {
            (_, b'\n' | b'\r') => Begun::Blank,
            (Begun::Blank, b':') => Begun::Colon,
            (Begun::Blank, byte) if !byte.is_ascii_graphic() => Begun::Blank,
            _ => Begun::Words,
        };
        self.last = [self.last[1], byte];
    }
}

impl<W: Write> Write for RunnerLog<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let Some(printed) = self.printed else { return self.inner.write(text) };
        let mut out = Vec::with_capacity(text.len());
        text.iter().for_each(|byte| self.add(*byte, printed, &mut out));
        self.inner.write_all(&out)?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
