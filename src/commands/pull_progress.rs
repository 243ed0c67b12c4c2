//! How a download goes: a bar on a terminal, a line now and then anywhere else.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::child::Stop;
use crate::escape;
use crate::hub::{ModelId, Watcher};
use crate::io::Writer;
use crate::number::bytes;

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(10);
const BAR: &str = "{msg} {bytes}/{total_bytes} {bar:20} {bytes_per_sec}, {eta} left";

/// Shows it, and ends it on Ctrl-C.
pub struct Shown<'a, 'b> {
    model: &'a ModelId,
    stop: &'a Stop,
    err: &'a mut Writer<'b>,
    /// On a terminal.
    bar: Option<ProgressBar>,
    began: Option<Began>,
    last: Instant,
}

/// When the first byte was known, and how many there were: what was here before counts for no rate.
#[derive(Clone, Copy)]
struct Began {
    at: Instant,
    bytes: u64,
}

impl<'a, 'b> Shown<'a, 'b> {
    pub fn new(model: &'a ModelId, stop: &'a Stop, err: &'a mut Writer<'b>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style).with_message(model.to_string())
        });
        Self { model, stop, err, bar, began: None, last: Instant::now() }
    }

    /// The bar goes: the result says where the model is.
    pub fn end(&self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }

    fn say(&mut self, text: &str) {
        let text = escape::line(text);
        match &self.bar {
            Some(bar) => bar.println(text),
            // A download doesn't end because nobody can be told.
            None => drop(writeln!(self.err, "{text}")),
        }
    }

    fn begin(&mut self, done: u64, total: u64) -> Began {
        let began = Began { at: Instant::now(), bytes: done };
        self.began = Some(began);
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            bar.reset_eta();
        } else {
            let here = if done > 0 { format!(", {} of them here already", bytes(done)) } else { String::new() };
            self.say(&format!("{}: {}{here}", self.model, bytes(total)));
        }
        began
    }
}

impl Watcher for Shown<'_, '_> {
    fn progress(&mut self, done: u64, total: u64) {
        let began = self.began.unwrap_or_else(|| self.begin(done, total));
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.last.elapsed() >= PAUSE {
            self.last = Instant::now();
            self.say(&format!("{}: {}", self.model, state(began, done, total)));
        }
    }

    fn notice(&mut self, what: &str) {
        self.say(what);
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_requested()
    }
}

/// `3.1 of 14.2 GiB, 95.0 MiB/s, 2 min left`.
fn state(began: Began, done: u64, total: u64) -> String {
    let rate = done.saturating_sub(began.bytes) as f64 / began.at.elapsed().as_secs_f64().max(0.001);
    let left = match (total.saturating_sub(done) as f64 / rate).round() {
        seconds if !seconds.is_finite() => String::new(),
        seconds @ ..100.0 => format!(", {seconds} s left"),
        seconds @ ..6000.0 => format!(", {} min left", (seconds / 60.0).round()),
        seconds => format!(", {:.1} h left", seconds / 3600.0),
    };
    format!("{} of {}, {}/s{left}", bytes(done), bytes(total), bytes(rate as u64))
}
