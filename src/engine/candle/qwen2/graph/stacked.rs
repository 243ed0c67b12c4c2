//! A weight matrix on the GPU: what several projections multiply the same vector with lies in one.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::geometry::Matrix;
use super::layout::Address;
use super::packer::Packer;
use super::sizes::Format;
use crate::engine::candle::qwen2::weights::{Grouped, LinearWeight, StagedBlocks, Weights};

/// Some projections' rows, one below the other: `[outputs, inputs]`, or packed.
pub struct Stacked {
    place: Tensor,
    parts: Vec<Part>,
    inputs: usize,
    /// Between the rows of a pair.
    distance: usize,
}

/// Rows of one format.
struct Part {
    format: Format,
    rows: usize,
    /// Bytes of those before.
    offset: usize,
}

/// A projection's name and its rows.
pub type Projection<'a> = (&'a str, usize);

impl Stacked {
    /// Room for a matrix of some parts, to be filled by `fill`.
    pub fn new(parts: &[(Format, usize)], inputs: usize, distance: usize, device: &Device) -> Result<Self> {
        let mut bytes = 0;
        let parts: Vec<_> = parts
            .iter()
            .map(|&(format, rows)| {
                let offset = bytes;
                bytes += format.bytes(rows, inputs);
                Part { format, rows, offset }
            })
            .collect();
        let rows = parts.iter().map(|part| part.rows).sum::<usize>();
        let is_dense = parts.iter().all(|part| part.format == Format::Dense);
        let place = if is_dense {
            Tensor::zeros((rows, inputs), DType::BF16, device)?
        } else {
            Tensor::zeros(bytes, DType::U8, device)?
        };
        Ok(Self { place, parts, inputs, distance })
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
            self.fill_rows(weights, packer, &format!("{block}.{name}"), first, *rows)?;
            first += rows;
        }
        Ok(())
    }

    /// Reads the projection `name`, whose rows are `first` and following.
    pub fn fill_rows(
        &self,
        weights: &mut Weights,
        packer: Option<&Packer>,
        name: &str,
        first: usize,
        rows: usize,
    ) -> Result<()> {
        match (self.format_of(first)?, packer) {
            (Format::Dense, _) => weights.fill(&format!("{name}.weight"), &self.rows(first, rows)?),
            (Format::Blocks(_), Some(packer)) => {
                self.pack_blocks(packer, &weights.blocks(name, rows * self.inputs)?, first, rows)
            }
            (Format::Int4 | Format::Int8, Some(packer)) => {
                let weight = weights.linear(name, rows, self.inputs)?;
                match weights.to_device(&weight)? {
                    LinearWeight::Grouped(weight) => self.pack(packer, &weight, first),
                    LinearWeight::Dense(_) | LinearWeight::Blocks(_) => bail!("{name} is not packed"),
                }
            }
            (format, None) => bail!("no kernels pack {name} as {format:?}"),
        }
    }

    /// Of this row.
    pub fn format_of(&self, row: usize) -> Result<Format> {
        Ok(self.part_of(row)?.0.format)
    }

    /// Writes a projection's integers, which are on the device, to rows `first` and following.
    pub fn pack(&self, packer: &Packer, weight: &Grouped, first: usize) -> Result<()> {
        let (part, first) = self.part_of(first)?;
        packer.pack(weight, &part, first)
    }

    /// The same of `rows` rows of blocks.
    pub fn pack_blocks(&self, packer: &Packer, blocks: &StagedBlocks, first: usize, rows: usize) -> Result<()> {
        let (part, first) = self.part_of(first)?;
        packer.pack_blocks(blocks, &part, first, rows)
    }

    /// Values of a row.
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// The part with this row, and the row's place in it.
    fn part_of(&self, mut row: usize) -> Result<(Matrix, usize)> {
        for part in self.matrices()? {
            if row < part.outputs {
                return Ok((part, row));
            }
            row -= part.outputs;
        }
        bail!("a matrix has no row {row}")
    }

    /// The place of some rows, where all are dense.
    pub fn rows(&self, first: usize, count: usize) -> Result<Tensor> {
        self.place.narrow(0, first, count)
    }

    pub fn address(&self) -> Result<Address> {
        Address::of(&self.place)
    }

    /// Its parts.
    pub fn matrices(&self) -> Result<Vec<Matrix>> {
        let Self { inputs, distance, .. } = *self;
        let start = self.address()?;
        let parts = self.parts.iter().map(|part| Matrix {
            format: part.format,
            address: start.byte(part.offset),
            outputs: part.rows,
            inputs,
            distance,
        });
        Ok(parts.collect())
    }
}
