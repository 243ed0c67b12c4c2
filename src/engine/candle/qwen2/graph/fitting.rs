//! Which formats the kernels use for a model's matrices, if they have them.

use super::formats::Formats;
use super::sizes::Format;
use super::unfit::Unfit;
use crate::engine::candle::qwen2::config::ModelConfig;
use crate::engine::candle::qwen2::weights::Weights;

/// Of the matrices, as `weights` has them.
pub fn formats(config: &ModelConfig, weights: &Weights) -> Result<Formats, Unfit> {
    match weights.types() {
        Some(types) => Formats::of_types(types, &config.shape),
        None => Ok(Formats::uniform(config.shape.num_hidden_layers, format(config, weights)?)),
    }
}

/// Of the layers' matrices, where all have the same.
fn format(config: &ModelConfig, weights: &Weights) -> Result<Format, Unfit> {
    let Some(grouping) = config.grouping else { return Ok(Format::Dense) };
    if grouping.mixed {
        return Err(Unfit::Mixed);
    }
    if weights.packs_head() {
        return Err(Unfit::PackedHead);
    }
    if weights.reorders_inputs() {
        return Err(Unfit::Order);
    }
    Format::of_packing(grouping.packing, &config.shape)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::engine::candle::qwen2::quantization::Grouping;
    use crate::engine::candle::qwen2::weights::Source;
    use crate::models;

    /// Of a published model with generated weights, whose grouping `change` changes.
    fn fitting(model: &str, change: impl Fn(&mut Grouping)) -> Result<Format, Unfit> {
        let mut config = ModelConfig::published(models::find(model).unwrap(), 16);
        config.grouping.iter_mut().for_each(&change);
        // Mixed ones can't be generated.
        let whole = ModelConfig {
            grouping: config.grouping.map(|grouping| Grouping { mixed: false, ..grouping }),
            ..config.clone()
        };
        let source = Source::generated(0, &whole, None).unwrap();
        let mut ignored = |_, _| {};
        format(&config, &Weights::new(source, &config, DType::BF16, &Device::Cpu, &mut ignored))
    }

    #[test]
    fn published_models_have_a_format() {
        let published = |model: &str| fitting(model, |_| ());
        assert_eq!(published("Qwen2.5-7B"), Ok(Format::Dense));
        assert_eq!(published("Qwen2.5-7B-Instruct-GPTQ-Int4"), Ok(Format::Int4));
        assert_eq!(published("Qwen2.5-7B-Instruct-AWQ"), Ok(Format::Int4));
        assert_eq!(published("Qwen2.5-72B-Instruct-GPTQ-Int8"), Ok(Format::Int8));
    }

    #[test]
    fn what_the_kernels_do_not_read_is_said() {
        let model = "Qwen2.5-0.5B-Instruct-GPTQ-Int4";
        let group = |group| move |grouping: &mut Grouping| grouping.packing.group = group;
        assert_eq!(fitting(model, group(Some(32))), Err(Unfit::GroupOfInputs(32)));
        assert_eq!(fitting(model, group(None)), Ok(Format::Int4), "whole rows are multiples of 128 here");
        assert_eq!(fitting(model, |grouping| grouping.mixed = true), Err(Unfit::Mixed));
        assert_eq!(fitting(model, |grouping| grouping.packing.head = true), Err(Unfit::PackedHead));
        let said = Unfit::GroupOfInputs(32).to_string();
        assert_eq!(said, "32 inputs share a scale; only multiples of 128 are supported");
    }
}
