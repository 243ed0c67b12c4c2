//! Tells the crate what it is built from.
//!
//! This script runs whenever a source file changes, so everything here must be quick or cache its own work.

#[path = "build/version.rs"]
mod version;

fn main() {
    version::emit();
}
