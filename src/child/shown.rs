//! A program whose output is somebody's to see while it runs.

use std::io::{self, BufRead, BufReader, Read};
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::launch::Launch;
use super::stop;

/// Longer lines come in pieces.
const PIECE: u64 = 16 << 10;
/// Lines that wait for whoever shows them: a program that writes faster waits, too.
const WAITING: usize = 64;
const TICK: Duration = Duration::from_millis(50);
/// How long a program that has closed its output may take to end.
const GRACE: Duration = Duration::from_secs(60);

impl Launch {
    /// Runs it to the end; `show` gets each line that it writes, to standard output or error.
    pub fn shown(&self, show: &mut dyn FnMut(&str)) -> io::Result<ExitStatus> {
        let mut process = self.start()?;
        let (sender, lines) = sync_channel(WAITING);
        if let Some(out) = process.take_stdout() {
            let sender = sender.clone();
            thread::spawn(move || send_lines(out, &sender));
        }
        if let Some(err) = process.take_stderr() {
            thread::spawn(move || send_lines(err, &sender));
        }
        show_all(&lines, show)?;
        process.wait(GRACE).ok_or_else(|| io::Error::other("it closed its output but didn't end"))
    }
}

fn show_all(lines: &Receiver<Vec<u8>>, show: &mut dyn FnMut(&str)) -> io::Result<()> {
    loop {
        match lines.recv_timeout(TICK) {
            Ok(line) => show(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if stop::was_signalled() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "stopped"));
        }
    }
}

fn send_lines(from: impl Read, sender: &SyncSender<Vec<u8>>) {
    let mut from = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        match (&mut from).take(PIECE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if sender.send(line).is_err() => return,
            Ok(_) => {}
        }
    }
}
