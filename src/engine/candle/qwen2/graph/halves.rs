//! A model on two cards: which half of it each has.
//!
//! A card has half of the heads with their keys and values, of the rows of the gate and the up projection, and of the
//! vocabulary; and the columns of the output and the down projection that these are multiplied with. So what it computes of
//! both is a part of each sum. Norms and the embedding are on both.

use candle_core::{Result, Tensor};

use super::decode_plan::Shape;
use super::unfit::Unfit;

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

    const fn dimension(self) -> Option<usize> {
        match self {
            Self::Whole => None,
            Self::Rows => Some(0),
            Self::Columns => Some(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
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
}
