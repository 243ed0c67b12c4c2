//! What this process does now, for the tracer in it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The tracer answers at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the GPU begins from now on belongs to `phase`. Nothing where nobody traces this process: that is, almost always.
#[expect(clippy::disallowed_methods, reason = "where the tracer is, which was put into this process by that variable")]
pub fn begin(phase: &str) {
    let Some(folder) = std::env::var_os("BENCH_DIFF_TRACE_DIRECTORY") else { return };
    if let Some(socket) = socket(Path::new(&folder))
        && let Err(error) = tell(&socket, phase)
    {
        tracing::debug!("the tracer doesn't know of the phase {phase}: {error}");
    }
}

/// Of this process: `tracer/control.rs` listens there.
fn socket(folder: &Path) -> Option<PathBuf> {
    let start = format!("{}-", std::process::id());
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&start) && name.ends_with(".socket")
    };
    folder.read_dir().ok()?.flatten().map(|entry| entry.path()).find(ours)
}

fn tell(socket: &Path, phase: &str) -> io::Result<()> {
    let mut tracer = UnixStream::connect(socket)?;
    tracer.set_read_timeout(Some(PATIENCE))?;
    tracer.write_all(format!("phase {phase}\n").as_bytes())?;
    tracer.read_exact(&mut [0; 3])
}
