//! The GPUs of this machine: which there are, which are meant, what they can do and who uses them.
//!
//! Every question about devices is answered here, once. [`Machine`] turns what a person wrote ([`GpuList`]) and
//! `CUDA_VISIBLE_DEVICES` into [`Gpus`]: cards by their UUID, which mean the same to NVML, to CUDA, and to every process.
//! A [`Driver`] describes the cards; NVML is one, and tests have another.

mod capacity;
mod driver;
#[cfg(test)]
pub(crate) mod fake;
mod gpus;
mod machine;
pub(crate) mod memory;
mod name;
mod nvml;
mod ordinals;
mod processes;
mod visible;

pub use capacity::{Capacity, CardCapacity};
pub use driver::{Card, CardId, CardSample, Driver, GpuProcess, Hardware, Throttle, Versions, uuid_of};
pub use gpus::Gpus;
pub use machine::Machine;
pub use name::{GpuList, GpuName};
pub use nvml::driver;
pub use ordinals::Ordinals;
pub use processes::Ours;
