//! Tokens that somebody held back: a buffer hands on many at once, and then the times of their arrival say nothing about the
//! work.
//!
//! No alarm is false for an engine that is only fast, or has several tokens a step: what counts is a silence many times as long
//! as the burst after it, and a burst of more lines than any step has tokens, unless everything came in it.

use std::time::Duration;

/// With fewer tokens, nothing is said of how they came.
pub const MANY: usize = 8;
/// Of fewer than [`MANY_LINES`], nothing is said that came sooner: a busy machine lets a program wait as long.
const SOON: Duration = Duration::from_millis(10);
/// No model on any device has its tokens so close one after another.
const TOO_CLOSE: Duration = Duration::from_micros(100);
/// The silence before a burst is at least so many times as long.
const SILENCE: u32 = 20;
/// Fewer at once may be a step of an engine: that has up to 32 tokens; the smallest usual buffer (4 KiB) holds over a hundred `chunk` lines.
pub const MANY_LINES: usize = 40;

/// How tokens came, where they were held back: `all 24 tokens arrived within 0.1 ms after 58.6 ms of silence`.
pub fn held_back(arrivals: &[Duration], tokens: usize) -> Option<String> {
    all_at_once(arrivals, tokens).or_else(|| in_bursts(arrivals))
}

/// All of many tokens within a small part of the time.
fn all_at_once(arrivals: &[Duration], tokens: usize) -> Option<String> {
    let (first, last) = (*arrivals.first()?, *arrivals.last()?);
    let within = last.saturating_sub(first);
    let all = within * SILENCE <= last && within.as_secs_f64() <= TOO_CLOSE.as_secs_f64() * tokens as f64;
    let enough = tokens >= MANY_LINES || (tokens >= MANY && last >= SOON);
    (enough && all).then(|| format!("all {tokens} tokens arrived {}", after_silence(within, first)))
}

/// Most arrivals in bursts, as a full buffer sends them.
fn in_bursts(arrivals: &[Duration]) -> Option<String> {
    let bursts: Vec<&[Duration]> = arrivals.chunk_by(|one, next| next.saturating_sub(*one) <= TOO_CLOSE).collect();
    let (mut held, mut longest) = (0, None);
    for (at, burst) in bursts.iter().enumerate().filter(|(_, burst)| burst.len() >= MANY_LINES) {
        let (lines, first, silence) = whole(&bursts[..at], burst);
        let within = burst[burst.len() - 1] - first;
        if within * SILENCE <= silence {
            held += lines;
            longest = longest.max(Some((lines, within, silence)));
        }
    }
    let (lines, within, silence) = longest.filter(|_| held * 2 >= arrivals.len())?;
    Some(format!("{lines} of {} tokens arrived {}", arrivals.len(), after_silence(within, silence)))
}

/// How many lines a burst has, when the first came, and the silence before. Whoever reads them may take long for the first, and
/// find the others there when it is done: then the first seems to have come alone, just before them.
fn whole(earlier: &[&[Duration]], burst: &[Duration]) -> (usize, Duration, Duration) {
    let end = |bursts: &[&[Duration]]| bursts.last().and_then(|burst| burst.last()).copied().unwrap_or_default();
    if let [before @ .., [alone]] = earlier {
        let silence = alone.saturating_sub(end(before));
        if (burst[0] - *alone) * SILENCE <= silence {
            return (burst.len() + 1, *alone, silence);
        }
    }
    (burst.len(), burst[0], burst[0].saturating_sub(end(earlier)))
}

fn after_silence(within: Duration, silence: Duration) -> String {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    format!("within {:.1} ms after {:.1} ms of silence", ms(within), ms(silence))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of so many tokens each, 5 µs apart, after so many µs of work; what a buffer of `lines` lines makes of them.
    fn arriving(tokens: u64, a_step: u64, work: u64, lines: u64) -> Vec<Duration> {
        let there = |token: u64| 1000 + (token / a_step + 1) * work + token % a_step * 5;
        let written = |token: u64| (token / lines * lines + lines - 1).min(tokens - 1);
        (0..tokens).map(|token| Duration::from_micros(there(written(token)) + token % lines * 2)).collect()
    }

    fn said(arrivals: &[Duration]) -> Option<String> {
        held_back(arrivals, arrivals.len())
    }

    #[test]
    fn a_buffer_is_seen_whether_it_holds_all_or_a_part() {
        let all = said(&arriving(64, 1, 2000, 128)).unwrap();
        assert_eq!(all, "all 64 tokens arrived within 0.1 ms after 129.0 ms of silence");
        let part = said(&arriving(200, 1, 2000, 128)).unwrap();
        assert_eq!(part, "128 of 200 tokens arrived within 0.3 ms after 257.0 ms of silence");
        assert!(said(&arriving(1000, 1, 500, 273)).is_some(), "8 KiB");
    }

    #[test]
    fn a_first_line_that_took_long_to_read_is_of_its_burst() {
        let mut arrivals = arriving(200, 1, 2000, 128);
        arrivals[1..128].iter_mut().for_each(|arrival| *arrival += Duration::from_micros(400));
        assert_eq!(said(&arrivals).unwrap(), "128 of 200 tokens arrived within 0.7 ms after 257.0 ms of silence");
    }

    /// 5000 tokens a second; steps of up to 32 tokens; a long prompt before them; too few to say anything.
    #[test]
    fn a_fast_engine_and_one_of_many_tokens_a_step_hold_nothing_back() {
        for (tokens, a_step, work) in [(256, 1, 200), (256, 8, 2000), (256, 32, 30_000), (7, 7, 50_000)] {
            assert_eq!(said(&arriving(tokens, a_step, work, 1)), None, "{tokens} {a_step} {work}");
        }
        let after_a_long_prompt = arriving(64, 1, 1000, 1).into_iter().map(|at| at + Duration::from_secs(60));
        assert_eq!(said(&after_a_long_prompt.collect::<Vec<_>>()), None);
    }

    /// A stall of ours in the middle of a generation isn't the engine's.
    #[test]
    fn a_single_stall_is_no_buffer() {
        let mut arrivals = arriving(256, 1, 1000, 1);
        let late = arrivals[150];
        arrivals[90..150].iter_mut().for_each(|at| *at = late);
        assert_eq!(said(&arrivals), None);
    }
}
