//! Kernels as they lie in programs, libraries and caches: what their code is, without running anything. It is found wherever
//! it lies in a file ([`code_files`], `found_code`): machine code of NVIDIA's GPUs (`cubin`), and the text that a driver
//! compiles (`ptx`), packed together (`fatbin`) or alone. Two programs are compared in [`code_diff`]; [`kernel_source`] finds
//! where a kernel is written.

pub mod code_diff;
pub mod code_files;
mod cubin;
mod fatbin;
mod found_code;
pub mod kernel_source;
mod ptx;
mod reached;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::hex::hex;

/// A kernel for one kind of GPU.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct KernelCode {
    /// As a person reads it, and as traces show it.
    pub name: String,
    /// What it was compiled for, such as `sm_90a`.
    pub target: String,
    pub form: Form,
    /// Its name in the file.
    pub symbol: String,
    /// Of its code, what it takes, and all code that it refers to: where these are equal, hashes are.
    pub hash: String,
    /// Of machine code; of PTX, its text.
    pub code_bytes: u64,
    /// Of PTX they aren't known before a driver compiles it.
    #[serde(flatten)]
    pub resources: Option<Resources>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    MachineCode,
    Ptx,
}

/// What a kernel takes of a multiprocessor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Resources {
    /// Of a thread.
    pub registers: u32,
    /// Of a thread: what its registers don't hold (spills), and arrays.
    pub local_bytes: u32,
    /// Of a block, without what a launch adds.
    pub shared_bytes: u64,
}

/// A hash of parts, none of which can be taken for another.
#[derive(Debug, Default)]
struct Fingerprint(Sha256);

impl Fingerprint {
    fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}
