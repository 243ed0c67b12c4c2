//! A model's weights on their way to two cards: each is read once, and both get what they have of it.

use candle_core::{Device, Error, Result, Tensor, bail};

use super::halves::Cut;
use super::layers::HalfProjection;
use super::packer::Packer;
use super::sequence::Graph;
use super::sizes::Format;
use super::stacked::Stacked;
use crate::engine::candle::between_devices::moved;
use crate::engine::candle::qwen2::weights::{LinearWeight, StagedBlocks, Target, Weights};

/// Both halves, and where they come from.
pub struct HalvesToFill<'a, 'w> {
    cards: &'a [Graph; 2],
    devices: &'a [Device; 2],
    targets: [Target; 2],
    weights: &'a mut Weights<'w>,
}

impl<'a, 'w> HalvesToFill<'a, 'w> {
    pub fn of(cards: &'a [Graph; 2], devices: &'a [Device; 2], weights: &'a mut Weights<'w>) -> Self {
        let targets = devices.each_ref().map(|device| Target::new(weights.dtype(), device));
        Self { cards, devices, targets, weights }
    }

    /// Reads all weights.
    pub fn fill(mut self) -> Result<()> {
        let [here, there] = self.cards;
        here.fill_embedding(self.weights)?;
        there.embedding.slice_set(&moved(&here.embedding, &self.devices[1])?, 0, 0)?;
        for (index, (first, second)) in here.layers.iter().zip(&there.layers).enumerate() {
            let [vectors, others] = [first, second].map(|layer| layer.vectors(index, &here.shape));
            for ((name, cut, place), (_, _, other)) in vectors?.into_iter().zip(others?) {
                self.tensor(&name, cut, [&place, &other])?;
            }
            let [projections, others] = [first, second].map(|layer| layer.projections(index, &here.shape));
            for (half, other) in projections.iter().zip(&others) {
                self.projection(half, other.matrix)?;
            }
        }
        self.tensor("model.norm.weight", Cut::Whole, [&here.norm, &there.norm])?;
        let (Some(matrix), Some(other)) = (&here.head, &there.head) else { return Ok(()) };
        let (name, rows) = (here.head_name().to_owned(), here.shape.vocabulary);
        let half = HalfProjection { name, cut: Cut::Rows, matrix, first: 0, rows };
        self.projection(&half, other)
    }

    fn tensor(&mut self, name: &str, cut: Cut, places: [&Tensor; 2]) -> Result<()> {
        let whole = self.weights.get(name, &cut.whole(places[0].dims()))?;
        for (rank, place) in places.into_iter().enumerate() {
            place.slice_set(&moved(&cut.of(&whole, rank)?, &self.devices[rank])?, 0, 0)?;
        }
        Ok(())
    }

    /// `half`: of the first card, and `other` the second's matrix.
    fn projection(&mut self, half: &HalfProjection, other: &Stacked) -> Result<()> {
        let matrices = [half.matrix, other];
        match half.matrix.format_of(half.first)? {
            Format::Dense => self.dense(half, matrices),
            Format::Int4 | Format::Int8 => self.integers(half, matrices),
            Format::Blocks(_) => self.blocks(half, matrices),
        }
    }

    fn dense(&mut self, half: &HalfProjection, matrices: [&Stacked; 2]) -> Result<()> {
        let [here, there] = matrices.map(|matrix| matrix.rows(half.first, half.rows));
        self.tensor(&format!("{}.weight", half.name), half.cut, [&here?, &there?])
    }

    /// Integers in groups: cut on the host, so that a card takes only its half.
    fn integers(&mut self, half: &HalfProjection, matrices: [&Stacked; 2]) -> Result<()> {
        let (outputs, inputs) = half.whole();
        let LinearWeight::Grouped(whole) = self.weights.linear(&half.name, outputs, inputs)? else {
            bail!("{} is not packed", half.name)
        };
        for (rank, matrix) in matrices.into_iter().enumerate() {
            let mine = half.cut.of_grouped(&whole, rank)?.to_device(&self.targets[rank])?;
            matrix.pack(packer_of(&self.cards[rank])?, &mine, half.first)?;
        }
        Ok(())
    }

    fn blocks(&mut self, half: &HalfProjection, matrices: [&Stacked; 2]) -> Result<()> {
        let (outputs, inputs) = half.whole();
        let whole = self.weights.blocks(&half.name, outputs * inputs)?;
        for (rank, matrix) in matrices.into_iter().enumerate() {
            let mine = StagedBlocks::new(half.cut.of_blocks(whole.bytes(), outputs, rank), &self.targets[rank]);
            matrix.pack_blocks(packer_of(&self.cards[rank])?, &mine, half.first, half.rows)?;
        }
        Ok(())
    }
}

fn packer_of(card: &Graph) -> Result<&Packer> {
    card.gpu.packer().ok_or_else(|| Error::msg("no kernels pack weights"))
}
