//! How the published numbers were measured: card, software, settings, and what the page's notes mean.

use serde::Serialize;

use super::Software;

/// What holds for all numbers of one software.
#[derive(Debug, PartialEq, Serialize)]
pub struct Table {
    /// What ran the models.
    pub software: Software,
    /// The card; some rows have several.
    pub gpu: &'static str,
    /// Names and versions, the software itself first.
    pub components: &'static [(&'static str, &'static str)],
    /// The page's notes and what they mean.
    pub settings: &'static [Setting],
}

/// A note of the page.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Setting {
    /// As the page says it.
    pub note: &'static str,
    /// In other words.
    pub meaning: &'static str,
}

const GPU: &str = "NVIDIA A100 80GB";

const fn setting(note: &'static str, meaning: &'static str) -> Setting {
    Setting { note, meaning }
}

const TRANSFORMERS: Table = Table {
    software: Software::Transformers,
    gpu: GPU,
    components: &[
        ("transformers", "4.46.0"),
        ("PyTorch", "2.3.1"),
        ("CUDA", "12.1"),
        ("flash-attn", "2.5.8"),
        ("AutoGPTQ", "0.7.1+cu121"),
        ("AutoAWQ", "0.2.6"),
    ],
    settings: &[setting("auto_gptq==0.6.0+cu1210", "AutoGPTQ 0.6.0 in place of 0.7.1")],
};

const VLLM: Table = Table {
    software: Software::Vllm,
    gpu: GPU,
    components: &[
        ("vLLM", "0.6.3"),
        ("transformers", "4.46.0"),
        ("PyTorch", "2.4.0"),
        ("CUDA", "12.1"),
        ("flash-attn", "2.6.3"),
    ],
    settings: &[
        setting("Default", "gpu_memory_utilization 0.9, max_model_len 32768, CUDA graphs, as rows without a note"),
        setting("setting-64k", "gpu_memory_utilization 0.9, max_model_len 65536, CUDA graphs"),
        setting("vllm==0.6.2, new sample config", "vLLM 0.6.2, and sampling with temperature 0.7, top_p 0.8, top_k 20"),
        setting("setting1", "gpu_memory_utilization 1.0, max_model_len 32768, no CUDA graphs"),
        setting("Setting 1", "gpu_memory_utilization 0.98, max_model_len 4096, no CUDA graphs"),
        setting("Setting 2", "gpu_memory_utilization 1.0, max_model_len 4096, no CUDA graphs"),
        setting("Setting 3", "gpu_memory_utilization 1.0, max_model_len 8192, no CUDA graphs"),
        setting("Setting 4", "gpu_memory_utilization 0.9, max_model_len 65536, CUDA graphs"),
        setting("Setting 5", "gpu_memory_utilization 0.9, max_model_len 131072, CUDA graphs"),
    ],
};

impl Software {
    /// How its numbers were measured.
    pub fn table(self) -> &'static Table {
        match self {
            Self::Transformers => &TRANSFORMERS,
            Self::Vllm => &VLLM,
        }
    }
}
