//! Safetensors whose linear layers are integers in groups: `qweight`, `qzeros`, `scales` and perhaps `g_idx` in place of
//! `weight`. How they lie in there is a [`PackedLayout`]'s; here is what GPTQ and AWQ have in common.

use std::collections::{BTreeMap, HashMap, HashSet};

use candle_core::{DType, Device, Result, Tensor};
use half::{bf16, f16};
use rayon::prelude::*;

use super::format::{Format, counted};
use super::grouped::Grouped;
use super::linear::LinearWeight;
use super::packed_layout::PackedLayout;
use super::safetensor_files::{SafetensorFiles, Stored, word};
use super::target::Target;
use super::tiles;
use crate::engine::candle::qwen2::config::ModelConfig;
use crate::engine::candle::qwen2::quantization::Grouping;
use crate::models::Packing;

/// What a packed layer may have.
const PARTS: [&str; 4] = ["qweight", "qzeros", "scales", "g_idx"];

/// The safetensors of a directory, some of whose layers are packed.
pub struct GroupedFiles<L> {
    files: SafetensorFiles,
    layout: L,
    packed: HashMap<String, Packed>,
}

/// What was found out about a packed layer.
struct Packed {
    bits: usize,
    group: usize,
    groups: usize,
    /// The inputs in the order of their groups, where they don't lie so.
    order: Option<Vec<u32>>,
}

impl<L: PackedLayout> GroupedFiles<L> {
    /// Looks at all tensors that `config` asks for.
    pub fn open(files: SafetensorFiles, config: &ModelConfig, grouping: Grouping, layout: L) -> Result<Self> {
        let (mut packed, mut known) = (HashMap::new(), HashSet::new());
        let looker = Looker { files: &files, layout: &layout, grouping };
        for (name, shape) in config.tensors() {
            match (name.strip_suffix(".weight"), shape.as_slice()) {
                (Some(layer), &[outputs, inputs]) if looker.is_packed(layer) => {
                    packed.insert(layer.to_owned(), looker.look(layer, outputs, inputs)?);
                    known.extend(PARTS.map(|part| format!("{layer}.{part}")));
                }
                _ => {
                    files.check(&name, &shape)?;
                    known.insert(name);
                }
            }
        }
        looker.check_tied(config)?;
        looker.check_orders(&packed)?;
        files.check_layers(config)?;
        files.check_no_other(&known)?;
        Ok(Self { files, layout, packed })
    }

    fn grouped(&self, layer: &str, packed: &Packed, outputs: usize, inputs: usize) -> Result<Grouped> {
        let Packed { bits, group, groups, .. } = *packed;
        let qweight = self.files.stored(&format!("{layer}.qweight"))?;
        let qzeros = self.files.stored(&format!("{layer}.qzeros"))?;
        let scales = self.files.stored(&format!("{layer}.scales"))?;
        let codes = self.layout.codes(qweight.bytes, outputs, bits, packed.order.as_deref());
        let codes = tiles::by_outputs(codes.as_ref(), outputs, inputs, bits);
        let in_word = 32 / bits;
        let zero = |output: usize, group: usize| {
            let word = tiles::word(qzeros.bytes, (group * outputs + output) / in_word);
            self.layout.zero(word, output % in_word, bits)
        };
        let scale = |output: usize, group: usize| scales.float(group * outputs + output);
        let order = packed.order.as_ref().map(|order| Tensor::new(order.as_slice(), &Device::Cpu)).transpose()?;
        Ok(Grouped {
            bits,
            group,
            codes: Tensor::from_vec(codes, (outputs, inputs * bits / 8), &Device::Cpu)?,
            scales: Tensor::from_vec(each(outputs, groups, scale), (outputs, groups), &Device::Cpu)?,
            zeros: Tensor::from_vec(each(outputs, groups, zero), (outputs, groups), &Device::Cpu)?,
            order,
        })
    }
}

/// A value for each output and group. Files have them by groups: some outputs at a time are read as they lie.
fn each<T: Copy + Default + Send>(outputs: usize, groups: usize, value: impl Fn(usize, usize) -> T + Sync) -> Vec<T> {
    const TOGETHER: usize = 128;
    let mut values = vec![T::default(); outputs * groups];
    values.par_chunks_mut(TOGETHER * groups).enumerate().for_each(|(tile, values)| {
        for group in 0..groups {
            for (index, row) in values.chunks_exact_mut(groups).enumerate() {
                row[group] = value(tile * TOGETHER + index, group);
            }
        }
    });
    values
}

impl Stored<'_> {
    /// The `index`th number.
    fn float(&self, index: usize) -> f32 {
        let half = || self.bytes[2 * index..].first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes));
        match self.dtype {
            Some(DType::F16) => f16::from_bits(half()).to_f32(),
            Some(DType::BF16) => bf16::from_bits(half()).to_f32(),
            _ => f32::from_bits(tiles::word(self.bytes, index)),
        }
    }
}

impl<L: PackedLayout> Format for GroupedFiles<L> {
    fn tensor(&self, name: &str, shape: &[usize], target: &Target) -> Result<Tensor> {
        self.files.tensor(name, shape, target)
    }

    fn fill(&self, name: &str, place: &Tensor, target: &Target) -> Result<()> {
        self.files.fill(name, place, target)
    }

    fn linear(&self, name: &str, outputs: usize, inputs: usize, target: &Target) -> Result<LinearWeight> {
        match self.packed.get(name) {
            None => self.files.linear(name, outputs, inputs, target),
            Some(packed) => self.grouped(name, packed, outputs, inputs).map(LinearWeight::Grouped),
        }
    }

    fn unused(&self, config: &ModelConfig) -> Option<String> {
        self.files.unused_head(config)
    }

    fn packings(&self, _: &ModelConfig) -> BTreeMap<String, usize> {
        counted(self.packed.values().map(|layer| {
            let order = if layer.order.is_some() { ", reordered" } else { "" };
            format!("{} bits in groups of {}{order}", layer.bits, layer.group)
        }))
    }

    fn packing_of(&self, layer: &str) -> Option<Packing> {
        let Packed { bits, group, .. } = *self.packed.get(layer)?;
        Some(Packing { bits, group: Some(group), head: layer == "lm_head" })
    }

    fn packs_head(&self) -> bool {
        self.packed.contains_key("lm_head")
    }

    fn reorders_inputs(&self) -> bool {
        self.packed.values().any(|packed| packed.order.is_some())
    }
}

/// Looks at the layers of files that are being opened.
struct Looker<'a, L> {
    files: &'a SafetensorFiles,
    layout: &'a L,
    grouping: Grouping,
}

impl<L: PackedLayout> Looker<'_, L> {
    /// Layers are packed unless config.json speaks of exceptions; the head is where its integers are there.
    fn is_packed(&self, layer: &str) -> bool {
        let has = |part: &str| self.files.find(&format!("{layer}.{part}")).is_some();
        match layer {
            "model.embed_tokens" => false,
            "lm_head" => self.grouping.packing.head || has("qweight"),
            _ => !self.grouping.mixed || !has("weight"),
        }
    }

    /// Shapes, types and groups of a layer.
    fn look(&self, layer: &str, outputs: usize, inputs: usize) -> Result<Packed> {
        if !(inputs.is_multiple_of(8) && outputs.is_multiple_of(8)) {
            let why = format!("has {inputs} inputs and {outputs} outputs, which are not multiples of 8");
            return Err(self.files.error(&format!("{layer}.qweight"), &why));
        }
        let bits = self.bits(layer, outputs, inputs)?;
        let groups = self.groups(layer, inputs)?;
        let group = inputs / groups;
        self.integers(layer, "qweight", &self.layout.codes_shape(outputs, inputs, bits))?;
        self.integers(layer, "qzeros", &[groups, outputs * bits / 32])?;
        self.files.check(&format!("{layer}.scales"), &[groups, outputs])?;
        self.scales_are_small(layer)?;
        let order = if self.layout.has_order() { self.order(layer, inputs, group)? } else { None };
        Ok(Packed { bits, group, groups, order })
    }

    /// As config.json says, or where it speaks of exceptions, as the shape does.
    fn bits(&self, layer: &str, outputs: usize, inputs: usize) -> Result<usize> {
        let usual = self.grouping.packing.bits;
        if !self.grouping.mixed {
            return Ok(usual);
        }
        let stored = self.files.stored(&format!("{layer}.qweight"))?;
        let fits = |bits: &usize| stored.shape == self.layout.codes_shape(outputs, inputs, *bits);
        Ok([4, 8].into_iter().find(fits).unwrap_or(usual))
    }

    fn groups(&self, layer: &str, inputs: usize) -> Result<usize> {
        let usual = inputs / self.grouping.packing.group_of(inputs);
        if !self.grouping.mixed {
            return Ok(usual);
        }
        let stored = self.files.stored(&format!("{layer}.scales"))?;
        let is_whole =
            |groups: &usize| *groups > 0 && inputs.is_multiple_of(*groups) && (inputs / groups).is_multiple_of(8);
        Ok(stored.shape.first().copied().filter(is_whole).unwrap_or(usual))
    }

    fn integers(&self, layer: &str, part: &str, shape: &[usize]) -> Result<Stored<'_>> {
        let name = format!("{layer}.{part}");
        let stored = self.files.stored(&name)?;
        if stored.shape != shape {
            let why = format!(
                "has the shape {:?}; quantization_config in config.json asks for {shape:?} ({} bits)",
                stored.shape, self.grouping.packing.bits
            );
            return Err(self.files.error(&name, &why));
        }
        match stored.dtype {
            Some(DType::I32 | DType::U32) => Ok(stored),
            other => Err(self.files.error(&name, &format!("has the type {}, expected I32", word(other)))),
        }
    }

    /// Numbers wider than F32 would be read wrongly.
    fn scales_are_small(&self, layer: &str) -> Result<()> {
        let name = format!("{layer}.scales");
        match self.files.stored(&name)?.dtype {
            Some(DType::F16 | DType::BF16 | DType::F32) => Ok(()),
            other => Err(self.files.error(&name, &format!("has the type {}, expected F16, BF16 or F32", word(other)))),
        }
    }

    /// The inputs in the order of their groups, all of which are equally large; `None` where they lie so.
    fn order(&self, layer: &str, inputs: usize, group: usize) -> Result<Option<Vec<u32>>> {
        let name = format!("{layer}.g_idx");
        if !self.grouping.reordered && self.files.find(&name).is_none() {
            return Ok(None);
        }
        let indices = self.integers(layer, "g_idx", &[inputs])?;
        let groups = inputs / group;
        let of = |input: usize| tiles::word(indices.bytes, input) as usize;
        let mut sizes = vec![0; groups];
        for input in 0..inputs {
            let Some(size) = sizes.get_mut(of(input)) else {
                let why = format!("says that input {input} is of group {}; there are {groups}", of(input) as i32);
                return Err(self.files.error(&name, &why));
            };
            *size += 1;
        }
        if let Some((index, size)) = sizes.iter().enumerate().find(|(_, size)| **size != group) {
            let why = format!("gives group {index} {size} inputs; only groups of equal size ({group}) are supported");
            return Err(self.files.error(&name, &why));
        }
        let mut order: Vec<u32> = (0..inputs as u32).collect();
        order.sort_by_key(|input| of(*input as usize));
        Ok((!order.is_sorted()).then_some(order))
    }

    /// Where one layer's inputs are reordered, each layer says how its own lie.
    fn check_orders(&self, packed: &HashMap<String, Packed>) -> Result<()> {
        if packed.values().all(|layer| layer.order.is_none()) {
            return Ok(());
        }
        let names = packed.keys().map(|layer| format!("{layer}.g_idx"));
        match names.filter(|name| self.files.find(name).is_none()).min() {
            Some(name) => Err(self.files.error(&name, "is missing, and other layers' inputs are reordered (desc_act)")),
            None => Ok(()),
        }
    }

    /// What a tied head would need: two tensors for one.
    fn check_tied(&self, config: &ModelConfig) -> Result<()> {
        let name = "lm_head.qweight";
        if config.shape.tie_word_embeddings && self.files.find(name).is_some() {
            let why = "is quantized, and tie_word_embeddings makes the embedding the head: save the model untied";
            return Err(self.files.error(name, why));
        }
        Ok(())
    }
}
