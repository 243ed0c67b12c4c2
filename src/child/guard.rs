//! The guard of a child: ends it and everything that it started when we end, also by a signal that nobody can catch.
//!
//! A guard is this program as `bench-diff guard BYTES -- PROGRAM ARGS`. It reads so many bytes from its standard input
//! for the program's, and waits: for the program to end, or for its standard input to end, which it does when whoever
//! started the guard has ended, in whatever way. In both cases it kills all descendants, and ends as the program did.
//! On Linux, what has lost its parent becomes the guard's own child, so that none can get away.
//!
//! It sleeps while the program runs, and its environment is the program's.

#![expect(clippy::exit, reason = "a guard ends as its program did")]

use std::ffi::OsStr;
use std::io::{self, Read, Write, stderr, stdin};
use std::path::PathBuf;
use std::process::{Command, Stdio, exit};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, kill_process, setrlimit, wait};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// A shell's code for a program that can't be started.
const CANNOT_START: i32 = 127;

static USED: OnceLock<()> = OnceLock::new();
/// The signal that ended this guard; 0 where none did.
static ENDED_BY: AtomicI32 = AtomicI32::new(0);

/// From now on, children of this process are started by this program as their guard. For `main` only: another program
/// that uses the library has no `guard` command, and its children only end with their `Process`.
pub fn use_this_program() {
    let _ = USED.set(());
}

/// The program that guards. On Linux it can be started even when its file has been replaced since.
pub(super) fn program() -> Option<PathBuf> {
    USED.get()?;
    match cfg!(target_os = "linux") {
        true => Some("/proc/self/exe".into()),
        false => std::env::current_exe().ok(),
    }
}

/// Guards a program until it has ended; ends this process as the program did.
pub fn serve(input: usize, program: &OsStr, args: &[impl AsRef<OsStr>]) -> ! {
    adopt_orphans();
    take_own_name();
    let mut command = Command::new(program);
    let mut child = match command.args(args).stdin(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => {
            let _ = writeln!(stderr(), "can't start {}: {error}", program.display());
            exit(CANNOT_START);
        }
    };
    let stdin = child.stdin.take();
    thread::spawn(move || {
        follow_orders(input, stdin);
        kill_all();
    });
    end_on_signals();
    // The program's output has ended when the program has closed it.
    let _ = close_output();
    end_like(wait_for(child.id().cast_signed()))
}

/// A signal to every process of our name also ends the program that we guard. Then that is what ended it.
fn end_on_signals() {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
    thread::spawn(move || {
        let signal = signals.forever().next();
        ENDED_BY.store(signal.unwrap_or_default(), Ordering::SeqCst);
        kill_all();
    });
}

/// Hands on the program's input, and returns at the end of our own.
fn follow_orders(input: usize, to: Option<impl Write + Send + 'static>) {
    let mut bytes = Vec::new();
    let mut from = stdin().lock();
    let _ = from.by_ref().take(input as u64).read_to_end(&mut bytes);
    // A program that doesn't read must not keep us from hearing the order.
    thread::spawn(move || to.map(|mut to| to.write_all(&bytes)));
    let _ = io::copy(&mut from, &mut io::sink());
}

fn close_output() -> io::Result<()> {
    let nowhere = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    Ok(rustix::stdio::dup2_stderr(&nowhere)?)
}

/// Waits until no descendant is left; how the program ended.
fn wait_for(program: i32) -> Option<WaitStatus> {
    let mut status = None;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, how))) if pid.as_raw_pid() == program => {
                status = Some(how);
                if cfg!(not(target_os = "linux")) {
                    return status;
                }
                thread::spawn(kill_all);
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return status,
        }
    }
}

/// Ends this process as the program ended.
fn end_like(status: Option<WaitStatus>) -> ! {
    let ended_by = ENDED_BY.load(Ordering::SeqCst);
    if ended_by != 0 {
        let _ = emulate_default_handler(ended_by);
    }
    let Some(status) = status else { exit(CANNOT_START) };
    if let Some(signal) = status.terminating_signal() {
        // The program has left a core, if anybody wants one.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
        if let Some(signal) = Signal::from_named_raw(signal) {
            // Rust's own handler of some signals goes away with the first.
            for _ in 0..2 {
                let _ = kill_process(getpid(), signal);
            }
        }
        exit(128 + signal);
    }
    exit(status.exit_status().unwrap_or(CANNOT_START))
}

/// From now on, what has lost its parent below this process becomes its own child. Linux only.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(getpid()));
}

/// Another name, so that `killall bench-diff` leaves the guard the time to end the program.
fn take_own_name() {
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/comm", "bench-guard");
}

/// Kills descendants for as long as this process lives: it ends when there are none left.
#[cfg(target_os = "linux")]
fn kill_all() {
    loop {
        for pid in descendants() {
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The program and all that stayed in its process group, which is ours.
#[cfg(not(target_os = "linux"))]
fn kill_all() {
    let _ = rustix::process::kill_current_process_group(Signal::KILL);
}

#[cfg(target_os = "linux")]
fn descendants() -> Vec<Pid> {
    let parents = parents();
    let mut found = vec![getpid()];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// Every process with its parent.
#[cfg(target_os = "linux")]
fn parents() -> Vec<(Pid, Pid)> {
    let number = |text: &str| text.parse().ok().and_then(Pid::from_raw);
    let entry = |entry: io::Result<std::fs::DirEntry>| {
        let pid = number(entry.ok()?.file_name().to_str()?)?;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        // After the name, which may hold anything: state and parent.
        let parent = number(stat.rsplit_once(')')?.1.split_whitespace().nth(1)?)?;
        Some((pid, parent))
    };
    std::fs::read_dir("/proc").map(|all| all.filter_map(entry).collect()).unwrap_or_default()
}
