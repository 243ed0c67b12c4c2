//! A case: one model x quantization x context length x ..., the unit that is measured and compared.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares an enum whose words are the same in TOML, JSON, flags and prose.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] #[value(name = $word)] $variant),+ }

        impl $name {
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// Where the weights come from.
    WeightsSource {
        /// The Hugging Face Hub.
        Hub = "hub",
        /// A directory with config.json and safetensors.
        Local = "local",
        /// Random weights of the model's exact shape, made on the device: nothing to download, the same speed.
        Generated = "generated",
    }
}

words! {
    /// The floating-point type of weights and activations.
    Dtype { Bf16 = "bf16", F16 = "f16", F32 = "f32" }
}

words! {
    /// How the weights are quantized.
    Quantization { None = "none", GptqInt4 = "gptq-int4", GptqInt8 = "gptq-int8", Awq = "awq", Gguf = "gguf" }
}

words! {
    /// What runs the model.
    EngineKind {
        /// bench-diff's own, on candle.
        Candle = "candle",
    }
}

words! {
    /// Which Qwen2.5 implementation of the candle engine.
    Implementation {
        /// Own fused kernels, many decode steps in one launch. GPU only.
        Graph = "graph",
        /// Own forward pass on candle's operations: readable, and the reference of `graph`.
        Plain = "plain",
        /// candle-transformers' qwen2, unchanged.
        Stock = "stock",
    }
}

words! {
    /// Where a case runs.
    DeviceKind { Cpu = "cpu", Cuda = "cuda" }
}

words! {
    /// How the prompt of a case is built; as the programs do that measured Qwen's Speed Benchmark.
    PromptRule {
        /// As its Transformers script: one token, repeated.
        Transformers = "transformers",
        /// As its vLLM script: a long text question, or one token repeated when the context is short.
        Vllm = "vllm",
        /// As EvalScope's speed benchmark: one token, repeated.
        Evalscope = "evalscope",
    }
}

/// What is measured. Two cases of the same `id` are compared when all other fields agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Case {
    /// `MODEL/PRECISION/CONTEXT`, such as `Qwen2.5-0.5B-Instruct/bf16/6144`; unique in a results file.
    pub id: String,
    /// The hub's id (`Qwen/Qwen2.5-0.5B-Instruct`), or the name of a local directory.
    pub model: String,
    /// The commit of the weights, where the hub told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    pub weights: WeightsSource,
    pub quantization: Quantization,
    pub dtype: Dtype,
    pub engine: EngineKind,
    pub implementation: Implementation,
    pub device: DeviceKind,
    /// Number of GPUs; 0 on a CPU.
    pub gpus: u32,
    pub batch_size: u32,
    /// Prompt tokens.
    pub context_length: u32,
    /// Generated tokens.
    pub generated_length: u32,
}

impl Case {
    /// Prompt and generated tokens together.
    pub fn length(&self) -> u32 {
        self.context_length + self.generated_length
    }

    /// The id of a case: short enough for a table, unambiguous within a suite.
    pub fn make_id(model: &str, quantization: Quantization, dtype: Dtype, context_length: u32) -> String {
        let model = model.rsplit('/').next().unwrap_or(model);
        match quantization {
            Quantization::None => format!("{model}/{dtype}/{context_length}"),
            quantized => format!("{model}/{quantized}/{context_length}"),
        }
    }
}
