//! Compiles kernels/*.cu with nvcc, only for the `cuda` feature. The compute capability is CUDA_COMPUTE_CAP (such as
//! 90), else that of this machine's first GPU.

#![expect(clippy::disallowed_methods, reason = "cargo tells build scripts in variables, and nvcc compiles")]
#![expect(clippy::panic, reason = "which is how a build script fails")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, iter, thread};

use crate::{fingerprint, header};

const SOURCES: [&str; 12] = [
    "decode",
    "decode_pair",
    "decode_pair_packed",
    "decode_pair_blocks",
    "decode_packed",
    "decode_blocks",
    "decode_stamped",
    "packed",
    "blocks",
    "prefill",
    "prefill_attention",
    "prefill_attention_90",
];

/// Which nvcc reads itself.
const NVCC_FLAGS: &str = "NVCC_APPEND_FLAGS";

/// Machine code into OUT_DIR. Kernels are only compiled anew when their sources or the target changed: nvcc takes minutes.
pub fn emit() {
    for variable in ["CUDA_COMPUTE_CAP", "CUDA_HOME", "CUDA_PATH", "NVCC", NVCC_FLAGS] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    println!("cargo:rerun-if-changed=kernels");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let capability = capability();
    println!("cargo:rustc-env=BENCH_DIFF_COMPUTE_CAPABILITY={capability}");
    let header = header::header(capability);
    let sources = fingerprint::of_files(Path::new("kernels")).expect("kernels/ is in the package");
    let flags = env::var(NVCC_FLAGS).unwrap_or_default();
    let built_from = format!("{} {flags} {sources:x}\n{header}", nvcc().display());
    let stamp = out.join("kernels.stamp");
    if fs::read_to_string(&stamp).is_ok_and(|before| before == built_from) {
        return;
    }
    fs::write(out.join("sizes.h"), header).expect("OUT_DIR is writable");
    compile_all(&out, capability);
    fs::write(stamp, built_from).expect("OUT_DIR is writable");
}

/// Such as 90 for 9.0.
fn capability() -> u32 {
    let text = env::var("CUDA_COMPUTE_CAP").unwrap_or_else(|_| {
        let output = Command::new("nvidia-smi").args(["--query-gpu=compute_cap", "--format=csv,noheader"]).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        text.lines().next().unwrap_or_default().replace('.', "")
    });
    let capability = text.trim().parse().unwrap_or_else(|_| {
        panic!("can't tell the GPU's compute capability: set CUDA_COMPUTE_CAP, such as 90 for an H100")
    });
    assert!(capability >= 80, "compute capability {capability} is too old: the kernels need 80 (Ampere) or later");
    capability
}

fn nvcc() -> PathBuf {
    if let Some(path) = env::var_os("NVCC") {
        return path.into();
    }
    let homes = ["CUDA_HOME", "CUDA_PATH"].iter().filter_map(env::var_os);
    homes.map(|home| Path::new(&home).join("bin/nvcc")).find(|path| path.exists()).unwrap_or_else(|| "nvcc".into())
}

/// As many sources at a time as cargo runs jobs.
fn compile_all(out: &Path, capability: u32) {
    let jobs = env::var("NUM_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(1);
    let next = AtomicUsize::new(0);
    let next = || SOURCES.get(next.fetch_add(1, Ordering::Relaxed));
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| iter::from_fn(next).for_each(|source| compile(source, out, capability)));
        }
    });
}

fn compile(source: &str, out: &Path, capability: u32) {
    // 9.0 has instructions that only machine code for exactly it may use.
    let targets = match capability {
        90 => vec!["arch=compute_90a,code=sm_90a".to_owned()],
        other => {
            vec![format!("arch=compute_{other},code=sm_{other}"), format!("arch=compute_{other},code=compute_{other}")]
        }
    };
    let nvcc = nvcc();
    let mut command = Command::new(&nvcc);
    command.args(["-O3", "-std=c++17", "-fatbin"]);
    command.args(targets.iter().map(|target| format!("-gencode={target}")));
    command.arg("-I").arg(out).arg("-o").arg(out.join(format!("{source}.fatbin"))).arg(format!("kernels/{source}.cu"));
    let status = command.status().unwrap_or_else(|error| {
        panic!("{}: {error}; the cuda feature needs the CUDA toolkit (set CUDA_HOME)", nvcc.display())
    });
    assert!(status.success(), "nvcc failed on kernels/{source}.cu (it must be of CUDA 12.3 or newer)");
}
