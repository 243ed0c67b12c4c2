//! Qwen2 (Qwen2.5 has the same architecture) on candle.

pub mod config;
pub mod weights;
