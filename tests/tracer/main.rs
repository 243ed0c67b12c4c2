//! The tracer and `bench-diff trace`, without a GPU: a program that loads the tracer as the CUDA driver would, and a libcupti
//! that hands it records. Traces of an H100 drive what is above the tracer.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test")]

mod code;
mod counters;
mod export;
mod files;
mod hostile;
mod idle_flags;
mod of_case;
mod programs;
#[allow(dead_code, unreachable_pub, reason = "its unit tests; others load it")]
#[path = "../../tracer/lib.rs"]
mod tracer;
mod two_traces;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What a command did.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// `bench-diff trace` with these arguments, and the fake CUPTI.
fn trace(args: &[&str]) -> Ran {
    run(&[&["trace"], args].concat())
}

fn run(args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    command.args(args).env("BENCH_DIFF_CUPTI", fakes().cupti.as_os_str()).env("COLUMNS", "110");
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// Traces the fake program, which does one thing after the other.
fn traced(doing: &[&str]) -> Ran {
    let program = fakes().program.to_str().unwrap();
    trace(&[&["--", program], doing].concat())
}

struct Fakes {
    program: PathBuf,
    cupti: PathBuf,
    driver: PathBuf,
    engine: PathBuf,
}

fn fakes() -> &'static Fakes {
    static FAKES: OnceLock<Fakes> = OnceLock::new();
    FAKES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let fakes = Fakes {
            program: folder.join("fake_program"),
            cupti: folder.join("libfake_cupti.so"),
            driver: folder.join("libfake_driver.so"),
            engine: folder.join("fake_engine"),
        };
        compile("fake_program", "bin", &fakes.program);
        compile("fake_cupti", "cdylib", &fakes.cupti);
        compile("fake_driver", "cdylib", &fakes.driver);
        compile("fake_engine", "bin", &fakes.engine);
        fakes
    })
}

/// Another run of these tests may be doing the same.
fn compile(source: &str, kind: &str, to: &Path) {
    let new = to.with_extension(std::process::id().to_string());
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "--cap-lints=allow", "--crate-name", source, "--crate-type", kind, "-o"]).arg(&new);
    assert!(rustc.arg(format!("tests/tracer/{source}.rs")).status().unwrap().success(), "{source} doesn't compile");
    std::fs::rename(new, to).unwrap();
}
