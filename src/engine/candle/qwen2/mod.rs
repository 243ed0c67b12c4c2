//! Qwen2 (Qwen2.5 has the same architecture) on candle.

mod cache;
pub mod checkpoint;
pub mod config;
mod config_error;
mod config_file;
pub mod gguf;
pub mod graph;
pub mod plain;
pub mod quantization;
pub mod reading;
pub mod rope;
mod safetensors_error;
mod safetensors_header;
pub mod stock;
pub mod weights;
