//! The adapters that come with bench-diff: programs in Python that measure engines of others.

/// Their files, which belong into one directory, and what is in them.
pub const ADAPTERS: [(&str, &str); 3] = [
    ("engine_protocol.py", include_str!("../../adapters/engine_protocol.py")),
    ("transformers.py", include_str!("../../adapters/transformers.py")),
    ("vllm.py", include_str!("../../adapters/vllm.py")),
];
