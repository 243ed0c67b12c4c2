//! Measuring: one child process a run, every sample kept.

pub mod protocol;
