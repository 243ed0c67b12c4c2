//! The 42 models of the Qwen2.5 collection: ids and shapes.
