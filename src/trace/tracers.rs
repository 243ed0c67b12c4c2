//! The tracers in this process and in those that it started: whoever asks these for work tells them what it is.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A tracer answers at once.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same, where it writes a large trace first.
const PATIENCE_TO_WRITE: Duration = Duration::from_secs(20);
/// More processes of one program aren't told.
const MOST: usize = 64;

/// All that were loaded for the same trace.
#[derive(Debug)]
pub struct Tracers {
    folder: PathBuf,
}

impl Tracers {
    /// Those of this process's trace. None where nobody traces it: that is, almost always.
    #[expect(
        clippy::disallowed_methods,
        reason = "where the tracer is, which was put into this process by that variable"
    )]
    pub fn here() -> Option<Self> {
        std::env::var_os("BENCH_DIFF_TRACE_DIRECTORY").map(|folder| Self { folder: folder.into() })
    }

    /// What the GPU begins from now on belongs to `phase`, in every process. How many processes there are.
    pub fn begin(&self, phase: &str) -> io::Result<usize> {
        self.tell_all(&format!("phase {phase}"), PATIENCE)
    }

    /// What is complete is in their files afterwards.
    pub fn write(&self) -> io::Result<usize> {
        self.tell_all("write", PATIENCE_TO_WRITE)
    }

    fn tell_all(&self, order: &str, patience: Duration) -> io::Result<usize> {
        let mut told = 0;
        for socket in self.sockets().take(MOST) {
            match tell(&socket, order, patience) {
                Ok(()) => told += 1,
                // A process that has ended leaves its socket behind.
                Err(error) if is_of_nobody(error.kind()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(told)
    }

    /// `tracer/control.rs` listens at each of them.
    fn sockets(&self) -> impl Iterator<Item = PathBuf> {
        let entries = self.folder.read_dir().into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|kind| kind == "socket"))
    }

    /// What the GPU begins from now on in this very process belongs to `phase`.
    pub(super) fn begin_here(&self, phase: &str) -> io::Result<()> {
        let start = format!("{}-", std::process::id());
        let ours = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start));
        self.sockets().find(ours).map_or(Ok(()), |socket| tell(&socket, &format!("phase {phase}"), PATIENCE))
    }
}

fn is_of_nobody(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

fn tell(socket: &Path, order: &str, patience: Duration) -> io::Result<()> {
    let mut tracer = UnixStream::connect(socket)?;
    tracer.set_read_timeout(Some(patience))?;
    tracer.write_all(format!("{order}\n").as_bytes())?;
    tracer.read_exact(&mut [0; 3])
}
