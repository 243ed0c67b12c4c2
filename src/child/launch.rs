//! What to start, and starting it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::process::Process;
use super::variables::Environment;
use super::{find, guard, shield, stop};

/// What is kept of what a child writes.
const MAX_KEPT: usize = 64 << 20;
/// How often the wish to stop is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long a child that has closed its output may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// A program to start, with all that it gets.
#[derive(Debug, Clone)]
pub struct Launch {
    program: PathBuf,
    args: Vec<OsString>,
    environment: Environment,
    directory: Option<PathBuf>,
    input: Vec<u8>,
}

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output: the end of it, where that is much.
    pub out: Vec<u8>,
    /// What it wrote to its standard error: the end of it, where that is much.
    pub err: String,
}

impl Launch {
    /// A path, or a name that is looked for on the PATH.
    pub fn of(program: impl Into<PathBuf>, environment: Environment) -> Self {
        Self { program: program.into(), args: Vec::new(), environment, directory: None, input: Vec::new() }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args(self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// One more variable of its environment, or another value of one.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment = self.environment.with(name, value);
        self
    }

    /// Its working directory; ours where it isn't said.
    #[must_use]
    pub fn in_directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Its working directory, from which its own path starts as well. A bare name is on the PATH.
    #[must_use]
    pub fn starting_in(mut self, directory: &Path) -> Self {
        if !find::is_bare(&self.program) {
            self.program = directory.join(&self.program);
        }
        self.in_directory(directory)
    }

    /// What it reads from its standard input.
    #[must_use]
    pub fn given(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Where the program is, if it is there and can be executed.
    pub fn find(&self) -> io::Result<PathBuf> {
        find::program(&self.program, self.environment.get("PATH"))
    }

    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Everybody on the machine can read them.
    pub fn arguments(&self) -> &[OsString] {
        &self.args
    }

    /// Starts it under a guard.
    pub fn start(&self) -> io::Result<Process> {
        Process::of(self.prepared(self.command()?).spawn()?, &self.input, guard::program().is_some())
    }

    fn prepared(&self, mut command: Command) -> Command {
        shield();
        command.args(&self.args).env_clear().envs(self.environment.variables());
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        // A process group of its own, so that Ctrl-C reaches only us.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it for a conversation, with its standard input open, and without a guard: whoever starts it so is guarded
    /// itself, or hands on what it is told.
    pub(super) fn open(&self) -> io::Result<(Process, Option<ChildStdin>)> {
        let mut child = self.prepared(Command::new(self.find()?)).spawn()?;
        let stdin = child.stdin.take();
        Ok((Process::of(child, &[], false)?, stdin))
    }

    fn command(&self) -> io::Result<Command> {
        let program = self.find()?;
        let Some(guard) = guard::program() else { return Ok(Command::new(program)) };
        let mut command = Command::new(guard);
        command.arg0("bench-diff").args(["guard", &self.input.len().to_string(), "--"]).arg(program);
        Ok(command)
    }

    /// Runs it to the end. Too much output is an error.
    pub fn output(&self) -> io::Result<Output> {
        let (output, cut) = self.run()?;
        match cut {
            true => Err(io::Error::other(format!("it wrote more than {} MiB", MAX_KEPT >> 20))),
            false => Ok(output),
        }
    }

    /// Runs it to the end; of very much output, only the last is kept.
    pub fn log(&self) -> io::Result<Output> {
        self.run().map(|(output, _)| output)
    }

    fn run(&self) -> io::Result<(Output, bool)> {
        let mut process = self.start()?;
        let (out, err) = (process.take_stdout(), process.take_stderr());
        let (sender, ended) = channel();
        let err = thread::spawn(move || read_last(err).0);
        thread::spawn(move || sender.send(read_last(out)));
        let (out, cut) = loop {
            match ended.recv_timeout(TICK) {
                Ok(read) => break read,
                Err(RecvTimeoutError::Timeout) if !stop::was_signalled() => {}
                Err(_) => return Err(io::Error::new(io::ErrorKind::Interrupted, "stopped")),
            }
        };
        let status = process.wait(GRACE).ok_or_else(|| io::Error::other("it closed its output but didn't end"))?;
        let err = String::from_utf8_lossy(&err.join().unwrap_or_default()).into_owned();
        Ok((Output { status, out, err }, cut))
    }
}

/// The last that comes out of it, and whether there was more.
fn read_last(from: Option<impl Read>) -> (Vec<u8>, bool) {
    let (mut kept, mut cut, mut buffer) = (Vec::new(), false, [0; 16 << 10]);
    let Some(mut from) = from else { return (kept, cut) };
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => kept.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        if kept.len() > 2 * MAX_KEPT {
            kept.drain(..kept.len() - MAX_KEPT);
            cut = true;
        }
    }
    cut |= kept.len() > MAX_KEPT;
    (kept, cut)
}
