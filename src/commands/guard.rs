//! `bench-diff guard`: ends a child of ours with us.

use std::ffi::OsString;

use crate::child::guard;

/// Start a program that ends when this command's standard input does (used by other commands)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Bytes of standard input that are the program's
    input: usize,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

pub fn run(args: &Args) -> ! {
    guard::serve(args.input, &args.command[0], &args.command[1..])
}
