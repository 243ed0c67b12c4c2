//! What a run generated, and the spans and quantiles that its metrics are made of.

use crate::engine::{Generation, Served};
use crate::results::distribution::quantile;
use crate::stats;

/// At least one of them, in order.
pub enum Generated {
    /// One generation after another.
    Alone(Vec<Generation>),
    /// Under traffic, once or several times.
    Together(Vec<Served>),
}

impl Generated {
    /// Every generation.
    pub fn all(&self) -> Box<dyn Iterator<Item = &Generation> + '_> {
        match self {
            Self::Alone(generations) => Box::new(generations.iter()),
            Self::Together(served) => Box::new(served.iter().flat_map(|served| &served.answers)),
        }
    }

    /// The tokens that each generation has: those of requests at once have prompts of their own.
    pub fn tokens(&self) -> Option<&[u32]> {
        match self {
            Self::Alone(generations) => generations.first()?.tokens.as_deref(),
            Self::Together(_) => None,
        }
    }

    /// Did the same prompt give different tokens?
    pub fn tokens_differ(&self) -> bool {
        match self {
            Self::Alone(generations) => generations.windows(2).any(|pair| pair[0].tokens != pair[1].tokens),
            Self::Together(_) => false,
        }
    }

    /// How many tokens there are.
    pub fn tokens_in_all(&self) -> f64 {
        self.all().map(Generation::count).sum::<usize>() as f64
    }

    /// Where they came one after another.
    pub fn alone(&self) -> Option<Alone> {
        match self {
            Self::Alone(generations) => Some(Alone::of(generations)),
            Self::Together(_) => None,
        }
    }

    /// Where several were in flight.
    pub fn together(&self) -> Option<Together> {
        match self {
            Self::Alone(_) => None,
            Self::Together(served) => Some(Together::of(served)),
        }
    }
}

/// The spans of generations that had the machine to themselves, in seconds: each the median over them.
pub struct Alone {
    /// Tokens of each generation.
    pub tokens: f64,
    /// Tokens of each that came after its first chunk.
    pub after_first_chunk: f64,
    /// To the first token, or the chunk that it came in: it includes choosing that token.
    pub prefill: f64,
    /// From the first token to the last.
    pub decode: f64,
    /// From the first token to the end.
    after_first: f64,
    pub end_to_end: f64,
}

impl Alone {
    fn of(generations: &[Generation]) -> Self {
        let median = |span: fn(&Generation) -> f64| {
            stats::median(&generations.iter().map(span).collect::<Vec<_>>()).unwrap_or(0.0)
        };
        let tokens = generations[0].count() as f64;
        let first = generations[0].chunks.first().map_or(0, |chunk| chunk.tokens);
        Self {
            tokens,
            after_first_chunk: tokens - f64::from(first),
            prefill: median(first_seconds),
            decode: median(|generation| last_seconds(generation) - first_seconds(generation)),
            after_first: median(|generation| generation.end_to_end.as_secs_f64() - first_seconds(generation)),
            end_to_end: median(|generation| generation.end_to_end.as_secs_f64()),
        }
    }

    pub fn decode_throughput(&self) -> Option<f64> {
        (self.after_first_chunk > 0.0).then(|| self.after_first_chunk / self.decode)
    }

    /// Tokens per second of all of it.
    pub fn speed(&self) -> f64 {
        self.tokens / self.end_to_end
    }

    pub fn tpot_ms(&self) -> Option<f64> {
        (self.tokens > 1.0).then(|| self.after_first * 1e3 / (self.tokens - 1.0))
    }
}

fn first_seconds(generation: &Generation) -> f64 {
    generation.chunks.first().map_or(0.0, |chunk| chunk.at.as_secs_f64())
}

fn last_seconds(generation: &Generation) -> f64 {
    generation.chunks.last().map_or(0.0, |chunk| chunk.at.as_secs_f64())
}

/// Requests that were answered at once. Latencies are of all of them; rates are the median over the times that the whole
/// traffic was repeated.
pub struct Together {
    pub tokens_per_second: Option<f64>,
    pub requests_per_second: Option<f64>,
    pub ttft_ms: Sorted,
    pub end_to_end_ms: Sorted,
}

impl Together {
    fn of(served: &[Served]) -> Self {
        let rate = |count: fn(&Served) -> usize| {
            let rates = served.iter().map(|served| count(served) as f64 / served.took.as_secs_f64());
            stats::median(&rates.collect::<Vec<_>>())
        };
        let answers = || served.iter().flat_map(|served| &served.answers);
        Self {
            tokens_per_second: rate(|served| served.answers.iter().map(Generation::count).sum()),
            requests_per_second: rate(|served| served.answers.len()),
            ttft_ms: Sorted::of(answers().map(|answer| first_seconds(answer) * 1e3)),
            end_to_end_ms: Sorted::of(answers().map(|answer| answer.end_to_end.as_secs_f64() * 1e3)),
        }
    }
}

/// Values in order.
pub struct Sorted(Vec<f64>);

impl Sorted {
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The `q` quantile; `None` of nothing.
    pub fn at(&self, q: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| quantile(&self.0, q))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::case::Clock;

    /// `tokens` tokens, the first after `first` ms, the others 10 ms apart.
    fn answer(tokens: u64, first: u64) -> Generation {
        let times: Vec<Duration> = (0..tokens).map(|token| Duration::from_millis(first + 10 * token)).collect();
        let end = times[times.len() - 1];
        Generation::by_token(vec![1; tokens as usize], times, Clock::Client, end)
    }

    #[test]
    fn rates_are_of_the_whole_and_latencies_of_each_request() {
        let answers = [20, 40, 60, 80].map(|first| answer(5, first)).to_vec();
        let served = |millis| Served { answers: answers.clone(), took: Duration::from_millis(millis) };
        let generated = Generated::Together(vec![served(200), served(400), served(100)]);
        let together = generated.together().unwrap();
        assert_eq!(together.tokens_per_second, Some(100.0), "the median: 20 tokens in 200 ms");
        assert_eq!(together.requests_per_second, Some(20.0));
        assert_eq!(together.ttft_ms.at(0.5).map(f64::round), Some(50.0), "of 3 x 20, 40, 60, 80");
        assert_eq!(together.end_to_end_ms.at(1.0).map(f64::round), Some(120.0));
        assert_eq!((generated.tokens_in_all(), generated.tokens()), (60.0, None));
        assert!(generated.alone().is_none() && !generated.tokens_differ());
    }
}
