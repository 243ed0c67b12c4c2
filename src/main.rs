//! The `bench-diff` binary: arguments in, exit code out. Everything else is in the library.

use std::io::{stderr, stdout};

fn main() -> std::process::ExitCode {
    bench_diff::guard::use_this_program();
    bench_diff::run(std::env::args_os(), &mut stdout(), &mut stderr())
}
