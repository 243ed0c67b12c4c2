//! How commands can be asked to show what they found.

/// For a person, or for programs.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Format {
    /// For a terminal
    Table,
    /// For programs
    Json,
}

/// Of whatever may be shown to others, too.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub enum ReportFormat {
    /// For a terminal
    #[default]
    Table,
    /// For a comment on GitHub: as many rows as fit in one
    Markdown,
    /// Everything, for programs
    Json,
    /// All rows, for spreadsheets
    Csv,
}
