//! What Qwen published: the tables of the Speed Benchmark of Qwen2.5, as data.
//!
//! From the page `docs/source/benchmark/speed_benchmark.rst` of QwenLM/Qwen3 at commit a912d23 (2024-11-06). The numbers are
//! Qwen's and stand in `qwen25_speed.csv`; what was measured how, in `tables.rs`.

mod beside;
mod tables;

use std::sync::LazyLock;

pub use beside::{Beside, CaseBeside, Ratio, Unmatched, beside};
pub use tables::{Setting, Table};

use schemars::JsonSchema;
use serde::Serialize;

use crate::case::Quantization;
use crate::models::{self, Model};
use crate::word::words;

words! {
    /// What ran the models. Each has tables of its own.
    Software {
        /// Hugging Face transformers, by Qwen's speed_benchmark_transformers.py.
        Transformers = "transformers",
        /// vLLM, by Qwen's speed_benchmark_vllm.py.
        Vllm = "vllm",
    }
}

impl Software {
    /// Both, in the order of the page.
    pub const ALL: [Self; 2] = [Self::Transformers, Self::Vllm];

    /// As people write it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Transformers => "transformers",
            Self::Vllm => "vLLM",
        }
    }
}

/// The page that the numbers are from.
pub const SOURCE: &str = "https://github.com/QwenLM/Qwen3/blob/a912d23/docs/source/benchmark/speed_benchmark.rst";

/// Tokens that were generated for every number.
pub const GENERATED_LENGTH: u32 = 2048;

/// A number of the tables.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Published {
    /// What ran the model.
    pub software: Software,
    /// The hub's id.
    pub model: &'static str,
    /// How the weights are quantized.
    pub quantization: Quantization,
    /// Prompt tokens.
    pub context_length: u32,
    /// Number of GPUs: the fewest that worked.
    pub gpus: u32,
    /// Generated tokens per second of prefill and decode: the metric `speed`.
    pub speed_tok_s: f64,
    /// The most that PyTorch's allocators held, of all GPUs together, loading included, in 1024^3 bytes. Absent where none
    /// was published: vLLM takes its share of a GPU's memory at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<f64>,
    /// What the page says beside it, as it says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

/// Every number, in the order of the page.
pub fn rows() -> &'static [Published] {
    static ROWS: LazyLock<Vec<Published>> = LazyLock::new(|| {
        let lines = include_str!("qwen25_speed.csv").lines().skip(1);
        lines.map(|line| row(line).expect("the file holds only rows")).collect()
    });
    &ROWS
}

fn row(line: &'static str) -> Option<Published> {
    let mut cells = line.splitn(8, ',');
    let software = match cells.next()? {
        "vllm" => Software::Vllm,
        _ => Software::Transformers,
    };
    let model = model(cells.next()?, cells.next()?)?;
    Some(Published {
        software,
        model: &model.id,
        quantization: model.quantization,
        context_length: cells.next()?.parse().ok()?,
        gpus: cells.next()?.parse().ok()?,
        speed_tok_s: cells.next()?.parse().ok()?,
        memory_gib: cells.next().filter(|cell| !cell.is_empty()).map(str::parse).transpose().ok()?,
        // Quoted where it has a comma.
        note: cells.next().map(|note| note.trim_matches('"')).filter(|note| !note.is_empty()),
    })
}

/// The page has the quantization in a column of its own; ids have it in the name.
fn model(name: &str, quantization: &str) -> Option<&'static Model> {
    let suffix = if quantization == "BF16" { String::new() } else { format!("-{quantization}") };
    models::find(&format!("{name}{suffix}"))
}

impl Published {
    /// The unquantized model, as the tables name it: `Qwen2.5-7B-Instruct`.
    pub fn name(&self) -> &'static str {
        let id = self.model.trim_start_matches("Qwen/");
        id.split_inclusive("-Instruct").next().unwrap_or(id)
    }

    /// `7B`.
    pub fn size(&self) -> &'static str {
        self.name().trim_start_matches("Qwen2.5-").trim_end_matches("-Instruct")
    }

    /// Is it one that `model` means: a size, an id with all its quantizations, or the id of a quantized model?
    pub fn is_of(&self, model: &str) -> bool {
        let name = model.trim_start_matches("Qwen/");
        let names = [self.size(), self.name(), self.model.trim_start_matches("Qwen/")];
        names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// `bf16`, or how the weights are quantized.
    pub fn precision(&self) -> &'static str {
        if self.quantization == Quantization::None { "bf16" } else { self.quantization.word() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By published-environment: sixteen for each size by transformers, more contexts by vLLM from 7B on.
    #[test]
    fn every_row_of_the_page_is_there() {
        let of = |software| rows().iter().filter(move |row| row.software == software);
        assert_eq!([Software::Transformers, Software::Vllm].map(|software| of(software).count()), [112, 147]);
        assert!(of(Software::Vllm).all(|row| row.memory_gib.is_none()), "vLLM's memory was not published");
        assert!(of(Software::Transformers).all(|row| row.memory_gib.is_some_and(|memory| memory > 0.0)));
        for software in Software::ALL {
            let known = software.table().settings.iter().map(|setting| setting.note).collect::<Vec<_>>();
            assert!(of(software).filter_map(|row| row.note).all(|note| known.contains(&note)), "{software}: {known:?}");
        }
    }

    #[test]
    fn a_model_is_meant_by_its_size_or_its_id() {
        let row = row("vllm,Qwen2.5-7B-Instruct,GPTQ-Int8,129024,1,25.97,,\"vllm==0.6.2, new sample config\"").unwrap();
        assert_eq!((row.model, row.name()), ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8", "Qwen2.5-7B-Instruct"));
        assert_eq!((row.memory_gib, row.note), (None, Some("vllm==0.6.2, new sample config")));
        let meant = ["7B", "Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8"];
        assert!(meant.iter().all(|model| row.is_of(model)));
        assert!(!["7", "Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B-Instruct-AWQ"].iter().any(|model| row.is_of(model)));
    }
}
