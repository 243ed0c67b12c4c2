//! A started program, its input, and its end.

use std::io::Write;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How long a guard may take to end its tree: the kernel may have much memory to free.
const GRACE: Duration = Duration::from_secs(10);

/// A started program. Dropping it ends it, and everything that it started.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// What it is to read. When this closes, a guard ends everything.
    input: Option<Sender<Vec<u8>>>,
    guarded: bool,
    status: Option<ExitStatus>,
}

impl Process {
    pub(super) fn of(mut child: Child, guarded: bool) -> Self {
        let (input, given) = channel();
        // In a thread of its own: a program that doesn't read must not block us.
        match child.stdin.take() {
            Some(stdin) if guarded => drop(thread::spawn(move || write_frames(stdin, &given))),
            Some(stdin) => drop(thread::spawn(move || write_once(stdin, &given))),
            None => {}
        }
        Self { child, input: Some(input), guarded, status: None }
    }

    /// Gives the program all that it is to read. One that has ended already is noticed by its output.
    pub(super) fn give(&self, bytes: Vec<u8>) {
        let _ = self.input.as_ref().map(|input| input.send(bytes));
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Ends it and its descendants.
    pub fn kill(&mut self) {
        if self.status.is_some() {
            return;
        }
        if self.input.take().is_some() && self.guarded {
            self.ends_within(GRACE);
        }
        self.reap();
    }

    /// Lets it end by itself, and ends it when it lingers: then there is no status.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        if self.status.is_none() {
            match self.ends_within(limit) {
                true => self.reap(),
                false => {
                    self.kill();
                    return None;
                }
            }
        }
        self.status
    }

    fn reap(&mut self) {
        // Before its number may be another's: what a guard that was killed itself has left, or all where there is none.
        if let Some(group) = self.pid() {
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.status = self.child.wait().ok();
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Has it ended by then? It stays to be waited for, so that its number stays its own.
    fn ends_within(&self, limit: Duration) -> bool {
        let Some(pid) = self.pid() else { return true };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let (deadline, mut pause) = (Instant::now() + limit, Duration::from_millis(1));
        while matches!(waitid(WaitId::Pid(pid), options), Ok(None)) {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
        true
    }
}

/// For a guard, which knows from the length where the program's input ends. It stays open until we let it go.
fn write_frames(mut to: ChildStdin, given: &Receiver<Vec<u8>>) {
    if let Ok(bytes) = given.recv() {
        let length = (bytes.len() as u64).to_le_bytes();
        let _ = to.write_all(&length).and_then(|()| to.write_all(&bytes));
    }
    let _ = given.recv();
}

fn write_once(mut to: ChildStdin, given: &Receiver<Vec<u8>>) {
    if let Ok(bytes) = given.recv() {
        let _ = to.write_all(&bytes);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
