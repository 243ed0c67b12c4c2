//! One worker process: its events, its last words, and its end.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{self, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::program::Worker;
use super::protocol::{Event, GREETING, Job, VERSION};
use super::stop::Stop;

/// The longest line that a worker may write: a trace of 100,000 tokens fits.
const MAX_LINE: u64 = 4 << 20;
/// What is kept of a worker's standard error.
const LAST_LINES: usize = 20;
const LAST_LINE_CHARS: usize = 300;
/// How often the wish to stop is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long a worker that has closed its output, or was killed, may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// A started worker. Dropping it kills it and everything that it started.
pub struct Child {
    process: process::Child,
    lines: Receiver<Line>,
    last_words: Arc<Mutex<VecDeque<String>>>,
}

enum Line {
    Event(Box<Event>),
    /// Not an event: the start of it.
    Garbage(String),
}

/// What came next from a worker.
pub enum Next {
    Event(Box<Event>),
    Garbage(String),
    /// It closed its output.
    Ended,
    TimedOut,
    Stopped,
}

impl Child {
    /// Starts `worker` in a process group of its own (so that Ctrl-C reaches only us) and hands it the job, in the version
    /// that it says to speak.
    pub fn start(worker: &Worker, job: &Job) -> io::Result<Self> {
        let mut process = worker
            .command(job.model.weights, job.settings.threads)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        tracing::debug!("started {} as process {} for {}", worker.path.display(), process.id(), job.model.model);
        let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (greet, greeting) = channel();
        // In threads of their own: a worker that doesn't read or write must not block us.
        if let Some(stdin) = stdin {
            let job = job.clone();
            std::thread::spawn(move || hand_over(stdin, &job, &greeting));
        }
        let (sender, lines) = channel();
        if let Some(stdout) = stdout {
            std::thread::spawn(move || read_events(BufReader::new(stdout), &sender, &greet));
        }
        let last_words = Arc::<Mutex<VecDeque<String>>>::default();
        if let Some(stderr) = stderr {
            let last_words = Arc::clone(&last_words);
            std::thread::spawn(move || read_words(BufReader::new(stderr), &last_words));
        }
        Ok(Self { process, lines, last_words })
    }

    /// Waits for the next event until `deadline`.
    pub fn next(&self, deadline: Instant, stop: &Stop) -> Next {
        loop {
            if stop.is_requested() {
                return Next::Stopped;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // Before listening: a worker that never stops talking is late, too.
            if left.is_zero() {
                return Next::TimedOut;
            }
            match self.lines.recv_timeout(left.min(TICK)) {
                Ok(Line::Event(event)) => return Next::Event(event),
                Ok(Line::Garbage(start)) => return Next::Garbage(start),
                Err(RecvTimeoutError::Disconnected) => return Next::Ended,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Kills the worker and its descendants.
    pub fn kill(&mut self) {
        if let Some(group) = Pid::from_raw(self.process.id().cast_signed()) {
            // It fails when all of them have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
    }

    /// Lets the worker end by itself, and kills it if it lingers.
    pub fn wait(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + GRACE;
        let status = loop {
            match self.process.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
                _ => break None,
            }
        };
        self.kill();
        status
    }

    /// How the worker ended, in words, after it closed its output.
    pub fn end(&mut self) -> String {
        let words = self.wait().map_or_else(|| "it closed its output but didn't end".to_owned(), describe);
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

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "it ended without having measured everything".to_owned(),
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(9)) => {
            "it was killed by signal 9, perhaps by the kernel because the machine ran out of memory".to_owned()
        }
        (None, Some(signal)) => format!("it was killed by signal {signal}"),
        (None, None) => "it ended in an unknown way".to_owned(),
    }
}

/// Writes the job once the worker has said which version it speaks.
fn hand_over(mut stdin: impl Write, job: &Job, greeting: &Receiver<u32>) {
    let version = greeting.recv_timeout(GREETING).unwrap_or(1);
    // A worker that ended early is noticed by its output.
    if let Err(error) = job.to_json(version.min(VERSION)).map_err(io::Error::from).and_then(|job| stdin.write_all(&job))
    {
        tracing::debug!("the job wasn't taken: {error}");
    }
}

/// Sends every line until the output closes or nobody listens; lines that are too long end it. Whoever holds the job
/// hears of the version in a hello.
fn read_events(mut out: impl BufRead, sender: &Sender<Line>, greet: &Sender<u32>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut out).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let cut = !line.ends_with(b"\n") && line.len() as u64 == MAX_LINE;
        let message = match Event::parse(&line) {
            Some(event) if !cut => Line::Event(Box::new(event)),
            _ => Line::Garbage(clean(&String::from_utf8_lossy(&line[..line.len().min(100)]), 100)),
        };
        if let Line::Event(event) = &message
            && let Event::Hello { protocol, .. } = **event
        {
            // Nobody listens any more once the job is written.
            let _ = greet.send(protocol);
        }
        if sender.send(message).is_err() || cut {
            return;
        }
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
