//! Qwen2 (Qwen2.5 has the same architecture) on candle.

mod cache;
pub mod checkpoint;
pub mod config;
mod config_error;
pub mod graph;
pub mod plain;
pub mod quantization;
pub mod rope;
pub mod stock;
pub mod weights;
