//! Compiles tracer/ into a shared library that the program carries. It has no dependencies, so that it needs no package of
//! its own, which cargo couldn't put into the program.

#![expect(clippy::disallowed_methods, reason = "cargo tells build scripts in variables, and rustc compiles")]

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::fingerprint;

/// As small as it gets without other crates; unwinding stays, so that a panic of ours ends where it began.
const OPTIONS: [&str; 8] = [
    "--edition=2024",
    "--crate-type=cdylib",
    "--crate-name=bench_diff_tracer",
    "--cap-lints=allow",
    "-Copt-level=2",
    "-Ccodegen-units=1",
    "-Cstrip=symbols",
    "-Cpanic=unwind",
];

/// Into OUT_DIR, where CUDA's driver runs: on Linux with GNU's C library. Only where something changed: it takes seconds.
pub fn emit() {
    println!("cargo:rerun-if-changed=tracer");
    println!("cargo:rustc-check-cfg=cfg(has_tracer)");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    println!("cargo:rustc-cfg=has_tracer");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let sources = fingerprint::of_files(Path::new("tracer")).expect("tracer/ is in the package");
    let variable = |name: &str| env::var(name).expect("cargo sets it");
    let (rustc, target) = (variable("RUSTC"), variable("TARGET"));
    let built_from = format!("{rustc} {target} {sources:x} {OPTIONS:?}");
    let stamp = out.join("tracer.stamp");
    if fs::read_to_string(&stamp).is_ok_and(|before| before == built_from) {
        return;
    }
    let mut command = Command::new(rustc);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        command.arg("-C").arg([OsStr::new("linker="), &linker].into_iter().collect::<OsString>());
    }
    command.args(OPTIONS).args(["--target", &target, "-o"]).arg(out.join("tracer.so")).arg("tracer/lib.rs");
    let status = command.status().expect("cargo has just called rustc");
    assert!(status.success(), "rustc failed on tracer/");
    fs::write(stamp, built_from).expect("OUT_DIR is writable");
}
