//! A weight matrix on the GPU: what several projections multiply the same vector with lies in one.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::geometry::Matrix;
use super::layout::Address;
use super::packer::Packer;
use super::sizes::Format;
use crate::engine::candle::qwen2::weights::{LinearWeight, Weights};

/// Some projections' rows, one below the other: `[outputs, inputs]`, or packed.
pub struct Stacked {
    place: Tensor,
    outputs: usize,
    inputs: usize,
    /// Between the rows of a pair.
    distance: usize,
}

/// A projection's name and its rows.
pub type Projection<'a> = (&'a str, usize);

impl Stacked {
    /// Room for a matrix, to be filled by `fill`.
    pub fn new(format: Format, outputs: usize, inputs: usize, distance: usize, device: &Device) -> Result<Self> {
        let place = match format {
            Format::Dense => Tensor::zeros((outputs, inputs), DType::BF16, device)?,
            Format::Int4 | Format::Int8 => Tensor::zeros(format.bytes(outputs, inputs), DType::U8, device)?,
        };
        Ok(Self { place, outputs, inputs, distance })
    }

    /// Reads the projections of `block`. `packer`: of packed weights.
    pub fn fill(
        &self,
        weights: &mut Weights,
        packer: Option<&Packer>,
        block: &str,
        projections: &[Projection],
    ) -> Result<()> {
        let mut first = 0;
        for (name, rows) in projections {
            let name = format!("{block}.{name}");
            match packer {
                None => weights.fill(&format!("{name}.weight"), &self.place.narrow(0, first, *rows)?)?,
                Some(packer) => {
                    let weight = weights.linear(&name, *rows, self.inputs)?;
                    match weights.to_device(&weight)? {
                        LinearWeight::Grouped(weight) => packer.pack(&weight, &self.place, first, self.distance)?,
                        LinearWeight::Dense(_) | LinearWeight::Blocks(_) => {
                            bail!("{name} is not made of integers in groups")
                        }
                    }
                }
            }
            first += rows;
        }
        Ok(())
    }

    pub fn address(&self) -> Result<Address> {
        Address::of(&self.place)
    }

    pub fn matrix(&self) -> Result<Matrix> {
        let Self { outputs, inputs, distance, .. } = *self;
        Ok(Matrix { address: self.address()?, outputs, inputs, distance })
    }
}
