//! The file of this process. A reader sees the old one or the new one.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, process};

pub struct Written {
    path: PathBuf,
    new: PathBuf,
    socket: PathBuf,
}

impl Written {
    /// Named after the process and its time: a process can become another program.
    pub fn of_this_process(directory: &Path) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("{}-{}", process::id(), since.as_nanos());
        Self {
            path: directory.join(format!("{name}.trace")),
            new: directory.join(format!("{name}.new")),
            socket: directory.join(format!("{name}.socket")),
        }
    }

    /// Nobody to tell where that fails: whoever looks for the file finds none.
    pub fn write(&mut self, text: &str) {
        let _ = fs::write(&self.new, text).and_then(|()| fs::rename(&self.new, &self.path));
    }

    /// Where this process takes orders.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    pub fn remove_socket(&self) {
        let _ = fs::remove_file(&self.socket);
    }
}
