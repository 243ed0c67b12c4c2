//! A started program, and its end.

use std::io::{self, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How long a guard may take to end its tree: the kernel may have much memory to free.
const GRACE: Duration = Duration::from_secs(10);

/// A started program. Dropping it ends it, and everything that it started.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The guard's order to end everything is that this closes.
    lifeline: Option<ChildStdin>,
    status: Option<ExitStatus>,
}

impl Process {
    /// Gives `input` to the started `child`, which is `guarded` or the program itself.
    pub(super) fn of(mut child: Child, input: &[u8], guarded: bool) -> io::Result<Self> {
        let mut stdin = child.stdin.take();
        let mut process = Self { child, lifeline: None, status: None };
        if guarded {
            // The guard reads it all at once. One that has ended already is noticed by its output.
            let _ = stdin.as_mut().map(|stdin| stdin.write_all(input));
            process.lifeline = stdin;
        } else {
            // A program that doesn't read must not block us.
            let input = input.to_vec();
            thread::spawn(move || stdin.as_mut().map(|stdin| stdin.write_all(&input)));
        }
        Ok(process)
    }

    /// The guard's id, where there is one.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Once.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Once.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Whether it has ended, by itself or otherwise.
    pub fn has_ended(&self) -> bool {
        self.status.is_some() || self.ends_within(Duration::ZERO)
    }

    /// Ends it and its descendants.
    pub fn kill(&mut self) {
        if self.status.is_some() {
            return;
        }
        if self.lifeline.take().is_some() {
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

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
