//! A child that writes lines of JSON: its messages, the last line of its standard error, and how it ended.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdin, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::launch::Launch;
use super::process::Process;
use super::stop::Stop;

/// The longest line that a child may write: a trace of 100,000 tokens fits.
const MAX_LINE: u64 = 4 << 20;
const TOO_LONG: &str = "it is longer than 4 MiB";
/// What is kept of a child's standard error.
const LAST_LINES: usize = 20;
const LAST_LINE_CHARS: usize = 300;
/// How often the wish to stop is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long a child that has closed its output may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// Bytes that a pipe holds.
const PIPE: usize = 64 << 10;

/// What a child's lines say.
pub trait Message: Sized + Send + 'static {
    /// What a line says whose end was read then, or why it is no message. Lines of one write have one such time, however busy
    /// the machine is that takes them apart.
    fn parse(line: &[u8], read: Instant) -> Result<Self, String>;
}

/// A line that is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    /// How it begins.
    pub start: String,
    /// Why it is none.
    pub why: String,
}

/// A started child whose lines are messages of type `T`. Dropping it ends it and everything that it started.
pub struct Conversation<T> {
    process: Process,
    /// Of a child that is told more than what it was started with.
    input: Option<ChildStdin>,
    lines: Receiver<Line<T>>,
    last_words: Arc<Mutex<VecDeque<String>>>,
    /// How the line begins that it didn't come to the end of.
    unfinished: OnceCell<String>,
}

enum Line<T> {
    Message(Box<T>),
    Garbage(Garbage),
    /// The last, without an end: the start of it.
    Unfinished(String),
}

/// What came next from a child.
pub enum Next<T> {
    /// A line that is one.
    Message(Box<T>),
    /// A line that is none.
    Garbage(Garbage),
    /// It closed its output.
    Ended,
    /// Nothing, until the deadline.
    TimedOut,
    /// Somebody asked to stop while we waited.
    Stopped,
}

impl<T: Message> Conversation<T> {
    /// Starts the child.
    pub fn start(launch: &Launch) -> io::Result<Self> {
        Ok(Self::with(launch, launch.start()?, None))
    }

    /// Starts a child that is told line after line.
    pub fn open(launch: &Launch) -> io::Result<Self> {
        let (process, input) = launch.open()?;
        Ok(Self::with(launch, process, input))
    }

    fn with(launch: &Launch, mut process: Process, input: Option<ChildStdin>) -> Self {
        tracing::debug!("started {} as process {}", launch.program().display(), process.id());
        // In threads of their own: a child that doesn't write must not block us.
        let (sender, lines) = channel();
        if let Some(stdout) = process.take_stdout() {
            std::thread::spawn(move || read_messages(BufReader::with_capacity(PIPE, Noting::of(stdout)), &sender));
        }
        let last_words = Arc::<Mutex<VecDeque<String>>>::default();
        if let Some(stderr) = process.take_stderr() {
            let last_words = Arc::clone(&last_words);
            std::thread::spawn(move || read_words(BufReader::new(stderr), &last_words));
        }
        Self { process, input, lines, last_words, unfinished: OnceCell::new() }
    }

    /// Writes to the child's standard input.
    pub fn tell(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(input) = &mut self.input else { return Err(io::ErrorKind::BrokenPipe.into()) };
        input.write_all(line)?;
        input.flush()
    }

    /// The child's process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// It has ended, or is about to: it took no part any more a moment after it closed its output.
    pub fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Closes the child's standard input: there will be no more.
    pub fn close(&mut self) {
        self.input = None;
    }

    /// Waits for the next message until `deadline`.
    pub fn next(&self, deadline: Instant, stop: &Stop) -> Next<T> {
        loop {
            if stop.is_requested() {
                return Next::Stopped;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // Checked before reading: a child that never stops writing is late, too.
            if left.is_zero() {
                return Next::TimedOut;
            }
            match self.lines.recv_timeout(left.min(TICK)) {
                Ok(Line::Message(message)) => return Next::Message(message),
                Ok(Line::Garbage(line)) => return Next::Garbage(line),
                Ok(Line::Unfinished(start)) => drop(self.unfinished.set(start)),
                Err(RecvTimeoutError::Disconnected) => return Next::Ended,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// What it has written already, without waiting for more.
    pub fn overheard(&self) -> Option<Next<T>> {
        match self.lines.try_recv().ok()? {
            Line::Message(message) => Some(Next::Message(message)),
            Line::Garbage(line) => Some(Next::Garbage(line)),
            Line::Unfinished(start) => {
                drop(self.unfinished.set(start));
                None
            }
        }
    }

    /// Ends it and its descendants.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Lets it end by itself, and ends it when it lingers.
    pub fn wait(&mut self) -> Option<ExitStatus> {
        self.process.wait(GRACE)
    }

    /// How it ended, in words, after it closed its output.
    pub fn end(&mut self) -> String {
        let words = self.wait().map_or_else(|| "it closed its output but didn't end".to_owned(), describe);
        let words = match self.unfinished.get() {
            Some(start) => format!("{words}, in the middle of the line `{start}`"),
            None => words,
        };
        match self.last_words() {
            Some(last) => format!("{words}; it said: {last}"),
            None => words,
        }
    }

    /// The last line that it wrote to standard error.
    fn last_words(&self) -> Option<String> {
        // The reader may be a moment behind.
        std::thread::sleep(TICK);
        let lines = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        // A panic's last line is a note on RUST_BACKTRACE: the message is the line before.
        lines.iter().rev().find(|line| !line.starts_with("note: ")).cloned()
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "it ended with exit code 0, without having measured everything".to_owned(),
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(9)) => {
            "it was killed by signal 9, perhaps by the kernel because the machine ran out of memory".to_owned()
        }
        (None, Some(signal)) => format!("it was killed by signal {signal}"),
        (None, None) => "it ended in an unknown way".to_owned(),
    }
}

/// Sends every line until the output closes or nobody listens; lines that are too long end it.
fn read_messages<T: Message>(mut out: BufReader<Noting<impl Read>>, sender: &Sender<Line<T>>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut out).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let whole = line.ends_with(b"\n");
        let cut = !whole && line.len() as u64 == MAX_LINE;
        let start = || clean(&String::from_utf8_lossy(&line[..line.len().min(100)]), 100);
        let message = match T::parse(&line, out.get_ref().at) {
            _ if cut => Line::Garbage(Garbage { start: start(), why: TOO_LONG.to_owned() }),
            Ok(message) => Line::Message(Box::new(message)),
            Err(why) if whole => Line::Garbage(Garbage { start: start(), why }),
            Err(_) => Line::Unfinished(start()),
        };
        if sender.send(message).is_err() || cut {
            return;
        }
    }
}

/// Notes when bytes were there.
struct Noting<R> {
    inner: R,
    at: Instant,
}

impl<R> Noting<R> {
    fn of(inner: R) -> Self {
        Self { inner, at: Instant::now() }
    }
}

impl<R: Read> Read for Noting<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(bytes);
        self.at = Instant::now();
        count
    }
}

fn read_words(mut err: impl BufRead, last: &Mutex<VecDeque<String>>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut err).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = clean(&String::from_utf8_lossy(&line), LAST_LINE_CHARS);
        if text.is_empty() {
            continue;
        }
        tracing::debug!(target: "worker", "{text}");
        let mut lines = last.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(text);
    }
}

/// One line of at most `max` characters that can't move a cursor: it comes from the measured program.
pub fn clean(text: &str, max: usize) -> String {
    let mut clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean = clean.trim().to_owned();
    if clean.chars().count() > max {
        clean = clean.chars().take(max).chain(['…']).collect();
    }
    clean
}
