//! A case: one model x quantization x context length x ..., the unit that is measured and compared.

mod model_identity;

pub use model_identity::ModelIdentity;

use crate::word::{Word, name, words};

words! {
    /// Where the weights come from.
    WeightsSource {
        /// The Hugging Face Hub, or ModelScope.
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

name! {
    /// What runs the model. Those that this build has are in [`engine::ENGINES`](crate::engine::ENGINES).
    EngineName
}

name! {
    /// Which of its implementations an engine runs: a word of the engine's own.
    ImplementationName
}

impl ImplementationName {
    /// What is asked for where no implementation is named and the engine alone knows its own.
    pub const UNNAMED: &str = "default";

    /// The engine wasn't left to choose.
    pub fn is_named(&self) -> bool {
        self.as_str() != Self::UNNAMED
    }
}

words! {
    /// Where a case runs.
    DeviceKind { Cpu = "cpu", Cuda = "cuda" }
}

words! {
    /// How the prompt of a case is built; as the programs do that measured Qwen's Speed Benchmark.
    PromptRule {
        /// As Qwen's Transformers script: one token, repeated.
        Transformers = "transformers",
        /// As Qwen's vLLM script: a long text question, or one token repeated when the context is short.
        Vllm = "vllm",
        /// As EvalScope's speed benchmark: one token, repeated.
        Evalscope = "evalscope",
    }
}

words! {
    /// Which program of Qwen's Speed Benchmark is followed to the letter, be it right or wrong.
    SeedProtocol {
        /// Qwen's speed_benchmark_transformers.py.
        Transformers = "transformers",
        /// Qwen's speed_benchmark_vllm.py.
        Vllm = "vllm",
        /// EvalScope's speed benchmark.
        Evalscope = "evalscope",
    }
}

impl SeedProtocol {
    /// How the program builds its prompt.
    pub fn prompt(self) -> PromptRule {
        match self {
            Self::Transformers => PromptRule::Transformers,
            Self::Vllm => PromptRule::Vllm,
            Self::Evalscope => PromptRule::Evalscope,
        }
    }

    /// How often it generates.
    pub fn iterations(self) -> u32 {
        match self {
            Self::Transformers | Self::Vllm => 1,
            Self::Evalscope => 2,
        }
    }
}

words! {
    /// Whose clock the times of a generation are of.
    Clock {
        /// The device's: when a token was complete on it.
        Device = "device",
        /// The host's, in the engine's own process, once it had waited for the device.
        Host = "host",
        /// That of whoever asked: when a token arrived, with all that lies between.
        Client = "client",
    }
}

/// What is measured. Two cases of the same `id` are compared when all other fields agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// `MODEL/PRECISION/CONTEXT`, such as `Qwen2.5-0.5B-Instruct/bf16/6144`; unique in a results file.
    pub id: String,
    /// The hub's id (`Qwen/Qwen2.5-0.5B-Instruct`), or the name of a local directory.
    pub model: String,
    /// The commit of the weights, where the hub told one.
    pub revision: Option<String>,
    /// What the model is beside its name, where the measured program told.
    pub identity: Option<ModelIdentity>,
    /// Where the weights come from: a hub, a directory, a seed.
    pub weights: Word<WeightsSource>,
    /// How the weights are quantized.
    pub quantization: Word<Quantization>,
    /// The type of weights and activations.
    pub dtype: Word<Dtype>,
    /// What runs the model.
    pub engine: EngineName,
    /// Which of the engine's implementations was asked for; what ran is in the run.
    pub implementation: ImplementationName,
    /// Where the case runs.
    pub device: Word<DeviceKind>,
    /// Number of GPUs; 0 on a CPU.
    pub gpus: u32,
    /// Sequences that are generated at once.
    pub batch_size: u32,
    /// Prompt tokens.
    pub context_length: u32,
    /// Generated tokens.
    pub generated_length: u32,
    /// What a server has to do at once; `None` for one generation after another.
    pub traffic: Option<Traffic>,
}

/// A closed loop of requests: as soon as one has ended, the next is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Requests in flight at once; at least 2.
    pub concurrency: u32,
    /// Requests of a run, each with a prompt of its own; at least as many as are in flight.
    pub requests: u32,
}

impl Case {
    /// Prompt and generated tokens together.
    pub fn length(&self) -> u32 {
        self.context_length + self.generated_length
    }

    /// The same case under traffic, with its own id: `.../6144/c8` for 8 requests in flight.
    #[must_use]
    pub fn under(self, traffic: Traffic) -> Self {
        Self { id: format!("{}/c{}", self.id, traffic.concurrency), traffic: Some(traffic), ..self }
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
