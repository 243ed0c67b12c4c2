//! A model on two cards: which half of it each has.
//!
//! A card has half of the heads with their keys and values, of the rows of the gate and the up projection, and of the
//! vocabulary; and the columns of the output and the down projection that these are multiplied with. So what it computes of
//! both is a part of each sum. Norms and the embedding are on both.

use std::borrow::Cow;

use candle_core::{D, Result, Tensor};

use super::decode_plan::Shape;
use super::sizes::PACKED_GROUP;
use super::unfit::Unfit;
use crate::engine::candle::qwen2::weights::Grouped;

/// The sizes of either half.
pub fn half(shape: &Shape) -> std::result::Result<Shape, Unfit> {
    let halved = |name, value: usize| {
        if value.is_multiple_of(2) { Ok(value / 2) } else { Err(Unfit::Odd { name, value }) }
    };
    Ok(Shape {
        intermediate: halved("intermediate size", shape.intermediate)?,
        heads: halved("number of query heads", shape.heads)?,
        kv_heads: halved("number of key/value heads", shape.kv_heads)?,
        vocabulary: halved("vocabulary", shape.vocabulary)?,
        ..*shape
    })
}

/// `unfit` says it of a half.
pub fn of_a_half(unfit: Unfit) -> Unfit {
    match unfit {
        Unfit::NoMultiple { name, value, of } => Unfit::HalfNoMultiple { name, half: value, of },
        other => other,
    }
}

/// What a half has of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Whole,
    Rows,
    Columns,
}

impl Cut {
    /// The dimensions of the tensor of which a half has so many.
    pub fn whole(self, half: &[usize]) -> Vec<usize> {
        let mut whole = half.to_vec();
        if let Some(dimension) = self.dimension() {
            whole[dimension] *= 2;
        }
        whole
    }

    /// What card `rank` has of it.
    pub fn of(self, whole: &Tensor, rank: usize) -> Result<Tensor> {
        let Some(dimension) = self.dimension() else { return Ok(whole.clone()) };
        let half = whole.dim(dimension)? / 2;
        whole.narrow(dimension, rank * half, half)?.contiguous()
    }

    /// What card `rank` has of integers in groups, whose columns lie in order.
    pub fn of_grouped(self, whole: &Grouped, rank: usize) -> Result<Grouped> {
        let inputs = whole.scales.dim(1)? * whole.group;
        // A group that both cards have a part of becomes smaller ones.
        let repeats = if self == Self::Columns && !(inputs / 2).is_multiple_of(whole.group) {
            whole.group / PACKED_GROUP
        } else {
            1
        };
        let of_groups = |numbers: &Tensor| self.of(&each_repeated(numbers, repeats)?, rank);
        Ok(Grouped {
            bits: whole.bits,
            group: whole.group / repeats,
            codes: self.of(&whole.codes, rank)?,
            scales: of_groups(&whole.scales)?,
            zeros: of_groups(&whole.zeros)?,
            order: None,
        })
    }

    /// What card `rank` has of `outputs` rows of blocks, which lie one behind the other.
    pub fn of_blocks(self, whole: &[u8], outputs: usize, rank: usize) -> Cow<'_, [u8]> {
        match self {
            Self::Whole => Cow::Borrowed(whole),
            Self::Rows => Cow::Borrowed(half_of(whole, rank)),
            Self::Columns => {
                let rows = whole.chunks(whole.len() / outputs).map(|row| half_of(row, rank));
                Cow::Owned(rows.collect::<Vec<_>>().concat())
            }
        }
    }

    const fn dimension(self) -> Option<usize> {
        match self {
            Self::Whole => None,
            Self::Rows => Some(0),
            Self::Columns => Some(1),
        }
    }
}

fn half_of(bytes: &[u8], rank: usize) -> &[u8] {
    let half = bytes.len() / 2;
    &bytes[rank * half..][..half]
}

/// Each column `count` times.
fn each_repeated(numbers: &Tensor, count: usize) -> Result<Tensor> {
    let (rows, columns) = numbers.dims2()?;
    numbers.unsqueeze(D::Minus1)?.broadcast_as((rows, columns, count))?.contiguous()?.reshape((rows, columns * count))
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::engine::candle::qwen2::config::ModelConfig;
    use crate::engine::candle::qwen2::gguf::TensorTypes;
    use crate::engine::candle::qwen2::gguf::mixture::Mixture;
    use crate::models::{self, Model};

    fn published(id: &str) -> Model {
        models::find(id).unwrap().clone()
    }

    #[test]
    fn published_shapes_are_halved() {
        let sizes = |id: &str| {
            let half = half(&Shape::from(&published(id))).unwrap();
            (half.heads, half.kv_heads, half.intermediate, half.vocabulary, half.hidden)
        };
        assert_eq!(sizes("Qwen/Qwen2.5-0.5B"), (7, 1, 2432, 75_968, 896));
        assert_eq!(sizes("Qwen/Qwen2.5-7B"), (14, 2, 9472, 76_032, 3584));
        assert_eq!(sizes("Qwen/Qwen2.5-72B"), (32, 4, 14_784, 76_032, 8192));
    }

    #[test]
    fn what_is_odd_is_named() {
        let odd = Model { num_key_value_heads: 1, ..published("Qwen/Qwen2.5-0.5B") };
        let said = half(&Shape::from(&odd)).unwrap_err().to_string();
        assert_eq!(said, "its number of key/value heads (1) can't be shared out evenly over two GPUs");
    }

    /// Both halves of a matrix, with each half's inputs, add up to the whole product.
    #[test]
    fn halves_are_the_whole() {
        let device = Device::Cpu;
        let whole = Tensor::rand(-1_f32, 1_f32, (6, 8), &device).unwrap();
        let x = Tensor::rand(-1_f32, 1_f32, (8, 1), &device).unwrap();
        let values = |tensor: Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let product = values(whole.matmul(&x).unwrap());
        let rows = [0, 1].map(|rank| values(Cut::Rows.of(&whole, rank).unwrap().matmul(&x).unwrap()));
        assert_eq!(rows.concat(), product);
        let [first, second] = [0, 1].map(|rank| {
            let (columns, inputs) = (Cut::Columns.of(&whole, rank).unwrap(), Cut::Rows.of(&x, rank).unwrap());
            assert_eq!(Cut::Columns.whole(columns.dims()), whole.dims());
            values(columns.matmul(&inputs).unwrap())
        });
        let far = |index: usize| (first[index] + second[index] - product[index]).abs();
        assert!((0..6).all(|index| far(index) < 1e-5), "{first:?} {second:?} {product:?}");
        assert_eq!(values(Cut::Whole.of(&x, 1).unwrap()), values(x));
    }

    /// Also where both cards have a part of each group.
    #[test]
    fn halves_of_integers_are_those_of_the_matrix() {
        for (bits, group) in [(4, 128), (8, 128), (4, 512), (8, 256)] {
            let (device, outputs, inputs) = (Device::Cpu, 2, 512);
            let groups = outputs * inputs / group;
            let codes = (0..outputs * inputs * bits / 8).map(|byte| (byte * 37 + 11) as u8).collect::<Vec<_>>();
            let scales = (0..groups).map(|group| 0.5 + group as f32).collect::<Vec<_>>();
            let zeros = (0..groups).map(|group| (group * 3 + 1) as u8).collect::<Vec<_>>();
            let whole = Grouped {
                bits,
                group,
                codes: Tensor::from_vec(codes, (outputs, inputs * bits / 8), &device).unwrap(),
                scales: Tensor::from_vec(scales, (outputs, inputs / group), &device).unwrap(),
                zeros: Tensor::from_vec(zeros, (outputs, inputs / group), &device).unwrap(),
                order: None,
            };
            let numbers = |matrix: Tensor| matrix.to_vec2::<f32>().unwrap();
            let matrix = whole.matrix(DType::F32).unwrap();
            for (cut, rank) in [(Cut::Rows, 0), (Cut::Rows, 1), (Cut::Columns, 0), (Cut::Columns, 1)] {
                let half = cut.of_grouped(&whole, rank).unwrap();
                let expected = numbers(cut.of(&matrix, rank).unwrap());
                assert_eq!(numbers(half.matrix(DType::F32).unwrap()), expected, "{bits} {group} {cut:?} {rank}");
            }
        }
    }

    #[test]
    fn halves_of_blocks_are_of_whole_rows_or_of_each() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(Cut::Rows.of_blocks(&bytes, 2, 1), &[5, 6, 7, 8][..]);
        assert_eq!(Cut::Columns.of_blocks(&bytes, 2, 0), &[1, 2, 5, 6][..]);
        assert_eq!(Cut::Columns.of_blocks(&bytes, 2, 1), &[3, 4, 7, 8][..]);
        assert_eq!(Cut::Whole.of_blocks(&bytes, 2, 1), &bytes[..]);
    }

    /// docs/engine.md has the list.
    #[test]
    fn packed_models_of_the_collection_are_halved_but_for_some() {
        let unfit = |name: &str| {
            let model = models::find(&format!("Qwen2.5-{name}")).unwrap();
            let config = ModelConfig::published(model, 1);
            let mixture = name.split_once(':').map(|(_, kind)| Mixture::named(kind).unwrap());
            let types = mixture.map(|mixture| TensorTypes::of_mixture(mixture, &config));
            super::super::unfit(model, types.as_ref(), 2).map(|unfit| unfit.to_string())
        };
        for size in ["1.5B", "3B", "7B", "14B", "32B", "72B"] {
            for packing in ["GPTQ-Int4", "GPTQ-Int8", "AWQ"] {
                assert_eq!(unfit(&format!("{size}-Instruct-{packing}")), None, "{size} {packing}");
            }
        }
        for size in ["7B", "14B", "32B"] {
            for kind in ["q4_0", "q8_0", "q4_k_m", "q6_k"] {
                assert_eq!(unfit(&format!("{size}-Instruct-GGUF:{kind}")), None, "{size} {kind}");
            }
        }
        let some = [
            ("0.5B-Instruct-GPTQ-Int4", "query size (448)"),
            ("0.5B-Instruct-GGUF:q8_0", "query size (448)"),
            ("1.5B-Instruct-GGUF:q4_k_m", "intermediate size (4480)"),
            ("3B-Instruct-GGUF:q6_k", "intermediate size (5504)"),
            ("72B-Instruct-GGUF:q8_0", "intermediate size (14784)"),
        ];
        for (name, half) in some {
            assert!(unfit(name).unwrap().starts_with(&format!("half of its {half}, which")), "{name}");
        }
        for name in ["1.5B-Instruct-GGUF:q8_0", "3B-Instruct-GGUF:q4_0"] {
            assert_eq!(unfit(name), None, "{name}");
        }
    }

    #[test]
    fn what_a_half_is_no_multiple_of_is_said() {
        let said = of_a_half(Unfit::NoMultiple { name: "query size", value: 448, of: 128 }).to_string();
        assert_eq!(said, "half of its query size (448), which a GPU of two has, is not a multiple of 128");
    }
}
