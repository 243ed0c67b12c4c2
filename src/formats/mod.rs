//! Files of other tools, read as samples: one format a file, all of them in one table.
//!
//! A format knows its files by their shape ([`Look`]) and puts what they hold into [`Cells`], with unit and direction.
//! Some can be written, too ([`WRITERS`]), in the file that reads them.

mod aiperf;
mod bencher;
mod cells;
mod comma_table;
mod criterion;
mod direction;
mod evalscope;
mod evalscope_db;
mod flat;
mod folder_of_files;
mod foreign_file;
mod github_action_benchmark;
mod go_benchmark;
mod guidellm;
mod hyperfine;
mod llama_bench;
mod look;
mod pytest_benchmark;
mod qwen_csv;
mod sglang;
mod sqlite;
mod vllm_latency;
mod vllm_serve;
mod vllm_throughput;
mod writer;

pub use cells::{Cell, Reading};
pub use folder_of_files::read_folder;
pub use writer::Writer;

use crate::error::{Error, Result};
use cells::Cells;
use foreign_file::ForeignFile;
use look::Look;

/// A format of another tool's files.
#[derive(Debug)]
pub struct Format {
    /// The word for it on the command line.
    pub name: &'static str,
    /// What writes such files, as people call it.
    pub tool: &'static str,
    /// What a sample of it is.
    repeats: Repeats,
    /// Does a file look like one?
    looks: fn(&Look) -> bool,
    /// Puts what the file holds into the cells.
    read: fn(&ForeignFile, &mut Cells) -> Result<()>,
}

/// What the tool does again for another sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    /// It starts the program again.
    Program,
    /// It measures again within the same process, which says little about the next one.
    WithinProgram,
}

/// In the order in which files are looked at: a format that others resemble comes first.
pub const FORMATS: &[Format] = &[
    llama_bench::FORMAT,
    vllm_latency::FORMAT,
    vllm_throughput::FORMAT,
    sglang::FORMAT,
    vllm_serve::FORMAT,
    aiperf::FORMAT,
    guidellm::FORMAT,
    hyperfine::FORMAT,
    criterion::FORMAT,
    pytest_benchmark::FORMAT,
    go_benchmark::FORMAT,
    github_action_benchmark::DATA,
    github_action_benchmark::INPUT,
    github_action_benchmark::SMALLER,
    github_action_benchmark::BIGGER,
    evalscope::FORMAT,
    evalscope_db::FORMAT,
    qwen_csv::FORMAT,
    bencher::FORMAT,
];

/// Those that can be written, in the order of the help.
pub const WRITERS: &[Writer] = &[
    bencher::WRITER,
    github_action_benchmark::WRITER,
    github_action_benchmark::SMALLER_WRITER,
    github_action_benchmark::BIGGER_WRITER,
    go_benchmark::WRITER,
];

/// Larger files aren't read: those of the largest suites are a tenth of this.
const MAX_BYTES: usize = 64 << 20;

/// The format with that name.
pub fn named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// The format of a file with this content, if it is any of these.
pub fn recognize(text: &[u8]) -> Option<&'static Format> {
    let look = Look::at(text);
    FORMATS.iter().find(|format| (format.looks)(&look))
}

impl Format {
    /// What a file holds; `name` stands for it in errors.
    pub fn read(&self, name: &str, text: &[u8]) -> Result<Reading> {
        let mut cells = Cells::default();
        self.add(name, text, &mut cells)?;
        self.finish(name, cells)
    }

    fn add(&self, name: &str, text: &[u8], cells: &mut Cells) -> Result<()> {
        if text.len() > MAX_BYTES {
            let most = MAX_BYTES >> 20;
            return Err(Error::usage(format!("{name} is larger than {most} MiB: not a file of {}", self.tool)));
        }
        (self.read)(&ForeignFile { name, tool: self.tool, text }, cells)
    }

    /// What was read of one file or several, if that is anything.
    fn finish(&self, name: &str, cells: Cells) -> Result<Reading> {
        let mut reading = cells.finish(name)?;
        if reading.cells.is_empty() {
            let error = Error::usage(format!("{name} holds no results: did {} fail?", self.tool));
            return Err(match reading.warnings.pop() {
                Some(warning) => error.hint(warning),
                None => error,
            });
        }
        if self.repeats == Repeats::WithinProgram && reading.has_samples() {
            reading.warnings.push(format!(
                "{name}: samples of {} are repetitions within one process: they don't show how processes differ",
                self.tool
            ));
        }
        Ok(reading)
    }
}
