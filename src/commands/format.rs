//! The formats of commands that have no others.

/// For a person, or for programs.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Format {
    /// For a terminal
    Table,
    /// For programs
    Json,
}
