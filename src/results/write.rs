//! Writing a results file: whole or not at all, and laid out so that a diff of two of them can be read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::Results;

impl Results {
    /// Replaces the file at `path`. A reader, or a power cut, sees the old file or the new one.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        write_atomically(path, |out| self.write(out))
    }

    /// JSON with one line for each run.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut serializer = serde_json::Serializer::with_formatter(&mut *out, Lines::default());
        self.serialize(&mut serializer)?;
        writeln!(out)
    }
}

/// Writes beside `path`, flushes to the disk, and renames.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".bench-diff-");
    // Like any new file, not private as a temporary one: the umask is applied.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(directory)?;
    let mut buffer = BufWriter::new(file);
    write(&mut buffer)?;
    let file = buffer.into_inner()?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The rename itself is on the disk once the directory is; not every file system can do that.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
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
