//! What moved in a second part of a case as it did in the first: said once, and then by name.

use super::NAME;
use super::microseconds::signed_us;
use super::moved_words::{both, names, times, words};
use crate::page::{Line, foreign, line, strong};
use crate::trace::attribution::{Attribution, MovedCount};
use crate::trace::worth_a_line::Named;

/// More names than this nobody reads in a line.
const NAMES: usize = 5;

/// A part of a case, and the one that was shown before.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    pub before: &'a Attribution,
    pub found: &'a Attribution,
}

/// A line for each, as `said` does it, and one for all that are shared: not far down, as lines are cut off at the end.
pub fn lines(named: &[Named], shared: Option<Shared>, said: impl Fn(&Named) -> Line) -> Vec<Line> {
    let Some(shared) = shared else { return named.iter().map(said).collect() };
    let (known, own): (Vec<&Named>, Vec<&Named>) = named.iter().partition(|named| shared.holds(named));
    let mut lines: Vec<Line> = own.into_iter().map(said).collect();
    if let Some(first) = known.first() {
        let is_first = named.first() == Some(*first);
        lines.insert(if is_first { 0 } else { lines.len().min(1) }, shared.line(&known));
    }
    lines
}

impl Shared<'_> {
    /// The same thing changed in the same way; how much it did may differ.
    fn holds(self, named: &Named) -> bool {
        self.before.named().iter().any(|earlier| self.is_alike(earlier, named))
    }

    fn is_alike(self, earlier: &Named, named: &Named) -> bool {
        match (earlier, named) {
            (Named::Kernel(one), Named::Kernel(other)) => {
                let kind = (&one.name, &one.renamed, one.what, one.code);
                let is_divided = !self.before.is_whole(one) && !self.found.is_whole(other);
                is_divided && kind == (&other.name, &other.renamed, other.what, other.code)
            }
            (Named::Count(one), Named::Count(other)) => {
                (one.of, &one.kind) == (other.of, &other.kind) && one.more_calls() * other.more_calls() > 0.0
            }
            (Named::Pauses, Named::Pauses) => {
                let is_same_way = self.before.longer_pauses_us() * self.found.longer_pauses_us() > 0.0;
                is_same_way && self.before.reading() == self.found.reading()
            }
            _ => false,
        }
    }

    /// `as in decode: add +24.0 µs, no kernel running +60.1 µs`
    fn line(self, shared: &[&Named]) -> Line {
        let mut said: Vec<Line> = shared.iter().take(NAMES).map(|named| self.amount(named)).collect();
        if shared.len() > NAMES {
            said.push("others".into());
        }
        line!["as in ", words(self.before).0, ": ", Line::joined(said, ", ")]
    }

    fn amount(self, named: &Named) -> Line {
        match named {
            Named::Kernel(kernel) => line![names(kernel), " ", strong(signed_us(kernel.change_us))],
            Named::Count(count) => of_count(count),
            Named::Pauses => line!["no kernel running ", strong(signed_us(self.found.longer_pauses_us()))],
        }
    }
}

/// What takes no time of the device is told by its number.
fn of_count(count: &MovedCount) -> Line {
    let (base, head) = (times(count.base.calls.mean), times(count.head.calls.mean));
    let amount = if count.change_us() == 0.0 { both(base, head) } else { strong(signed_us(count.change_us())) };
    line![foreign(&count.in_words(), NAME), " ", amount]
}
