//! A model on two cards that compute together (tensor parallel): each has a half, as `halves` says.
//!
//! While a prompt goes through, each card's parts of the residual products are added by both, which read the other's memory.
//! While they decode, the two kernels tell each other their parts themselves (kernels/decode_peer.cuh).

use std::time::{Duration, Instant};

use candle_core::cuda_backend::WrapErr;
use candle_core::{DType, Device, Result, Tensor, bail};

use super::decode_plan::{self, DecodePlan, Shape};
use super::fitting;
use super::formats::Formats;
use super::geometry::{DECODE_BLOCK, Rows};
use super::gpu::{self, Gpu};
use super::graph_error::GraphError;
use super::halves;
use super::halves_to_fill::HalvesToFill;
use super::layout::{Address, Peer};
use super::sequence::{Graph, Residual, Share, launches};
use crate::engine::candle::between_devices::moved;
use crate::engine::candle::cuda;
use crate::engine::candle::forward::{Forward, Generated, check_tokens};
use crate::engine::candle::qwen2::config::ModelConfig;
use crate::engine::candle::qwen2::weights::Weights;
use crate::engine::profile::Profile;

/// How long a running kernel waits for the other card's.
const LIMIT: Duration = Duration::from_secs(2);
/// How long a card may be busy when the other is done.
const PATIENCE: Duration = Duration::from_secs(10);

/// A loaded model and its one sequence.
pub struct TwoCards {
    cards: [Graph; 2],
    devices: [Device; 2],
    /// Of the output and the down product what each card has of a prompt's sums. While one is read, the other is written.
    parts: [[Tensor; 2]; 2],
    links: Links,
}

/// What the running kernels tell each other.
struct Links {
    inboxes: [Tensor; 2],
    /// Not 0 where a card waited for the other in vain.
    failed: [Tensor; 2],
}

/// Loads a model for sequences of up to `capacity` tokens. Prompts go through in chunks of `chunk` tokens.
pub fn load_on_two(
    config: &ModelConfig,
    weights: &mut Weights,
    devices: [Device; 2],
    capacity: usize,
    chunk: Option<usize>,
) -> std::result::Result<TwoCards, GraphError> {
    if weights.dtype() != DType::BF16 {
        return Err(GraphError::Type(weights.dtype()));
    }
    let formats = fitting::formats(config, weights)?;
    let shape = halves::half(&Shape::from(&config.shape))?;
    cuda::share_memory(&devices).map_err(GraphError::Apart)?;
    let limits = devices.each_ref().map(gpu::limits);
    let [first, second] = limits.map(|limits| limits.map_err(GraphError::Device));
    let (first, second) = (first?, second?);
    if first != second {
        return Err(GraphError::Apart("the two GPUs are not of one kind".to_owned()));
    }
    let plan = DecodePlan::new(&shape, formats.products(), DECODE_BLOCK, &first).map_err(halves::of_a_half)?;
    let chunk = chunk.unwrap_or_else(|| decode_plan::default_chunk(&shape)).min(capacity);
    let half = Half { config, formats: &formats, shape, plan: &plan, capacity, chunk };
    let links = Links::new(&devices, &plan)?;
    let cards = [half.on(0, &devices, &links)?, half.on(1, &devices, &links)?];
    let part = |device: &Device| Tensor::zeros((chunk, shape.hidden), DType::BF16, device);
    let parts = || Ok::<_, candle_core::Error>([part(&devices[0])?, part(&devices[1])?]);
    let two = TwoCards { parts: [parts()?, parts()?], cards, links, devices };
    two.try_launch().map_err(GraphError::Unlaunchable)?;
    HalvesToFill::of(&two.cards, &two.devices, weights).fill()?;
    Ok(two)
}

/// What both halves have in common.
struct Half<'a> {
    config: &'a ModelConfig,
    formats: &'a Formats,
    shape: Shape,
    plan: &'a DecodePlan,
    capacity: usize,
    chunk: usize,
}

impl Half<'_> {
    /// That of card `rank`, without its weights.
    fn on(&self, rank: usize, devices: &[Device; 2], links: &Links) -> std::result::Result<Graph, GraphError> {
        let Self { shape, plan, capacity, chunk, .. } = *self;
        let first_token = rank * shape.vocabulary;
        let peer = links.peer(rank, plan, first_token)?;
        let mut gpu = Gpu::new(&devices[rank], &shape, plan).map_err(GraphError::Unloadable)?;
        gpu.pair(peer, &shape, plan).map_err(GraphError::Unloadable)?;
        let share = Share { shape, first_token, device: &devices[rank] };
        Ok(Graph::new(self.config, &share, self.formats.clone(), gpu, *plan, capacity, chunk)?)
    }
}

impl Links {
    fn new(devices: &[Device; 2], plan: &DecodePlan) -> Result<Self> {
        let inbox = |device: &Device| Tensor::zeros(plan.inbox_bytes, DType::U8, device);
        let failed = |device: &Device| Tensor::zeros(1, DType::U32, device);
        let [first, second] = devices;
        Ok(Self { inboxes: [inbox(first)?, inbox(second)?], failed: [failed(first)?, failed(second)?] })
    }

    /// For the kernel of card `rank`.
    fn peer(&self, rank: usize, plan: &DecodePlan, first_token: usize) -> Result<Peer> {
        Ok(Peer {
            there: Address::of(&self.inboxes[1 - rank])?,
            here: Address::of(&self.inboxes[rank])?,
            failed: Address::of(&self.failed[rank])?,
            limit: LIMIT.as_nanos() as u64,
            slots: plan.slots as i32,
            first_token: first_token as i32,
        })
    }

    /// Has a card ever waited in vain? What it has computed since means nothing, and it doesn't wait any more, so that another
    /// try would end in the other card's waiting.
    fn check(&self) -> Result<()> {
        for rank in [0, 1] {
            if self.failed[rank].to_vec1::<u32>()? != [0] {
                let (waited, silent) = (rank + 1, 2 - rank);
                let seconds = LIMIT.as_secs();
                bail!("the {} of the two GPUs waited {seconds} s for the {} in vain", ordinal(waited), ordinal(silent));
            }
        }
        Ok(())
    }
}

const fn ordinal(place: usize) -> &'static str {
    if place == 1 { "first" } else { "second" }
}

impl TwoCards {
    /// As of one card. Both must run for either to end well.
    fn try_launch(&self) -> Result<()> {
        self.cards.iter().try_for_each(|card| card.gpu.decode(&card.parameters, &card.plan))?;
        self.wait()
    }

    /// Queues one chunk of a prompt.
    fn pass(&self, chunk: &[u32], rows: Rows) -> Result<()> {
        for (card, device) in self.cards.iter().zip(&self.devices) {
            let ids = Tensor::from_slice(chunk, chunk.len(), device)?;
            card.embed(Address::of(&ids)?, rows)?;
        }
        for index in 0..self.cards[0].layers.len() {
            for (card, part) in self.cards.iter().zip(&self.parts[0]) {
                card.attend(&card.layers[index].view()?, rows, Residual::Part(Address::of(part)?), &mut |_| Ok(()))?;
            }
            self.add(&self.parts[0], rows)?;
            for (card, part) in self.cards.iter().zip(&self.parts[1]) {
                card.activate(&card.layers[index].view()?, rows, Residual::Part(Address::of(part)?), &mut |_| Ok(()))?;
            }
            self.add(&self.parts[1], rows)?;
        }
        Ok(())
    }

    /// Queues on both cards, when both have them, the sum of the residual stream and both `parts`.
    fn add(&self, parts: &[Tensor; 2], rows: Rows) -> Result<()> {
        let [first, second] = &self.devices;
        cuda::wait_for(first, second)?;
        cuda::wait_for(second, first)?;
        let parts = [Address::of(&parts[0])?, Address::of(&parts[1])?];
        self.cards
            .iter()
            .try_for_each(|card| card.gpu.sum(Address::of(&card.buffers.x)?, parts, rows.count, card.shape.hidden))
    }

    /// Queues the whole prompt and the choice of the token after it.
    fn queue_prompt(&mut self, tokens: &[u32]) -> Result<()> {
        self.check_tokens(tokens)?;
        if let [token] = *tokens {
            return self.queue_step(token);
        }
        let mut rows = Rows { count: 0, start: self.cards[0].length };
        for chunk in tokens.chunks(self.cards[0].chunk) {
            rows = Rows { count: chunk.len(), start: rows.start + rows.count };
            self.pass(chunk, rows)?;
        }
        self.cards.iter_mut().for_each(|card| card.length += tokens.len());
        self.cards.iter().try_for_each(|card| card.choose(rows.count))
    }

    /// Queues a decode step for `token`, as the first of a loop.
    fn queue_step(&mut self, token: u32) -> Result<()> {
        self.check_tokens(&[token])?;
        self.cards.iter().try_for_each(|card| card.begin_steps(token))?;
        self.queue_steps(1)
    }

    /// Queues `count` decode steps: launch by launch, because a card that has no room for more of them would wait for the
    /// other, which has none yet.
    fn queue_steps(&mut self, count: usize) -> Result<()> {
        launches(count).try_for_each(|steps| self.cards.iter_mut().try_for_each(|card| card.launch(steps)))
    }

    fn check_tokens(&self, tokens: &[u32]) -> Result<()> {
        let card = &self.cards[0];
        check_tokens(tokens, card.embedding.dim(0)?, card.length, card.capacity)
    }

    /// Until both cards are done with all that is queued.
    fn wait(&self) -> Result<()> {
        let queued = [self.cards[0].gpu.queued()?, self.cards[1].gpu.queued()?];
        let mut done = [false; 2];
        let mut one_since = None;
        loop {
            for (done, queued) in done.iter_mut().zip(&queued) {
                // One that is done isn't asked again: so a trace has two synchronisations, whichever card is first.
                *done = *done || queued.try_is_complete().w()?;
            }
            match done {
                [true, true] => return self.links.check(),
                [false, false] => {}
                [first, _] => {
                    let waits: &Instant = one_since.get_or_insert_with(Instant::now);
                    if waits.elapsed() > PATIENCE {
                        let busy = ordinal(if first { 2 } else { 1 });
                        bail!("the {busy} of the two GPUs is still busy {} s after the other", PATIENCE.as_secs());
                    }
                }
            }
            std::hint::spin_loop();
        }
    }

    /// Of the last step, in the order of the vocabulary, on the first card.
    fn logits(&self) -> Result<Tensor> {
        self.wait()?;
        let [first, second] = &self.cards;
        Tensor::cat(&[&first.buffers.logits, &moved(&second.buffers.logits, &self.devices[0])?], 0)
    }
}

impl Forward for TwoCards {
    fn reset(&mut self) -> Result<()> {
        self.cards.iter_mut().for_each(|card| card.length = 0);
        Ok(())
    }

    fn prefill(&mut self, tokens: &[u32]) -> Result<Tensor> {
        self.links.check()?;
        self.queue_prompt(tokens)?;
        self.logits()
    }

    fn step(&mut self, token: u32) -> Result<Tensor> {
        self.links.check()?;
        self.queue_step(token)?;
        self.logits()
    }

    fn generate(&mut self, prompt: &[u32], count: usize) -> Result<Generated> {
        if count == 0 {
            return Ok(Generated::default());
        }
        self.cards[0].check_length(prompt, count)?;
        self.links.check()?;
        let clock = self.cards[0].gpu.clock()?;
        let start = Instant::now();
        self.reset()?;
        self.queue_prompt(prompt)?;
        self.queue_steps(count - 1)?;
        self.wait()?;
        let end_to_end = start.elapsed();
        let (tokens, times) = self.cards[0].generated(count, &clock, start)?;
        Ok(Generated { tokens, times, end_to_end, last_logits: self.logits()?.to_vec1()? })
    }

    fn profile(&mut self, _context: usize) -> Result<Option<Profile>> {
        bail!("one GPU can be profiled, not two that compute together: name only one")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::candle::candle_error::message;
    use crate::engine::candle::qwen2::weights::Source;
    use crate::models;

    /// Whatever happened to the other: the card ends by itself, and nothing is computed with it any more.
    #[test]
    #[ignore = "needs two CUDA GPUs of a kind: cargo test --features cuda --lib -- --ignored"]
    #[expect(clippy::print_stdout, reason = "says that nothing was tested")]
    fn a_card_that_the_other_does_not_answer_ends_in_a_sentence() {
        let (Ok(first), Ok(second)) = (cuda::open(0), cuda::open(1)) else {
            println!("nothing was tested: this needs two GPUs, and there aren't two here");
            return;
        };
        let config = ModelConfig::published(models::find("Qwen2.5-0.5B").unwrap(), 64);
        let mut ignored = |_, _| {};
        let source = Source::generated(0, &config, None).unwrap();
        let mut weights = Weights::new(source, &config, DType::BF16, &first, &mut ignored);
        let mut two = load_on_two(&config, &mut weights, [first, second], 64, None).expect("two GPUs");
        assert_eq!(two.generate(&[1, 2, 3], 40).unwrap().tokens.len(), 40);
        two.cards[1].begin_steps(1).unwrap();
        (0..3).for_each(|_| two.cards[1].launch(16).unwrap());
        let said = "the second of the two GPUs waited 2 s for the first in vain";
        assert_eq!(message(&two.wait().unwrap_err()), said);
        assert_eq!(message(&two.generate(&[1, 2, 3], 40).unwrap_err()), said);
    }
}
