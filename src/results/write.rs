//! Writing a results file, laid out so that a diff of two of them can be read.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::Results;
use crate::files::Output;

impl Results {
    /// Writes the file, whole or not at all.
    pub fn save(&self, output: &Output) -> io::Result<()> {
        output.write(|out| self.write(out))
    }

    /// JSON with one line for each run.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut serializer = serde_json::Serializer::with_formatter(&mut *out, Lines::default());
        self.serialize(&mut serializer)?;
        writeln!(out)
    }
}

/// Pretty down to the entries of `sessions[].runs`, which take one line each.
#[derive(Default)]
struct Lines {
    depth: usize,
    pretty: PrettyFormatter<'static>,
}

/// results { sessions [ session { runs [
const PRETTY_DEPTH: usize = 4;

macro_rules! by_depth {
    ($($name:ident($($argument:ident: $type:ty),*)),+ $(,)?) => {
        $(fn $name<W: ?Sized + Write>(&mut self, writer: &mut W, $($argument: $type),*) -> io::Result<()> {
            if self.depth > PRETTY_DEPTH {
                CompactFormatter.$name(writer, $($argument),*)
            } else {
                self.pretty.$name(writer, $($argument),*)
            }
        })+
    };
}

macro_rules! open {
    ($($name:ident),+) => {
        $(fn $name<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
            self.depth += 1;
            if self.depth > PRETTY_DEPTH { CompactFormatter.$name(writer) } else { self.pretty.$name(writer) }
        })+
    };
}

macro_rules! close {
    ($($name:ident),+) => {
        $(fn $name<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
            self.depth -= 1;
            if self.depth >= PRETTY_DEPTH { CompactFormatter.$name(writer) } else { self.pretty.$name(writer) }
        })+
    };
}

impl Formatter for Lines {
    open!(begin_array, begin_object);
    close!(end_array, end_object);
    by_depth!(
        begin_array_value(first: bool),
        end_array_value(),
        begin_object_key(first: bool),
        end_object_key(),
        begin_object_value(),
        end_object_value(),
    );
}
