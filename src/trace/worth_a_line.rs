//! Which of the moved kernels and counts are worth a line, the most telling first.

use super::attribution::{Attribution, MovedCount, MovedKernel};
use super::trace_table::Beside;

/// A kernel that moved less of the whole change isn't named.
const LEAST_SHARE: f64 = 0.05;
/// A kernel that takes so much of all kernels' time, in one call a token or fewer, is the whole of it.
const WHOLE: f64 = 0.8;

/// Something to be named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Named<'a> {
    /// A kernel.
    Kernel(&'a MovedKernel),
    /// Copies, say.
    Count(&'a MovedCount),
    /// Time in which no kernel ran.
    Pauses,
}

/// What the traces say of the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Kernels, or what the program does beside them.
    Work,
    /// The same work, and mostly longer pauses between the kernels: the host's.
    Host,
    /// The same work, in the same pauses.
    Neither,
}

impl Attribution {
    /// What differs by more than the traces of one side do. Counts are exact, so other ones are always named; and where no
    /// kernel ran for longer, they are what the host spent that on.
    pub fn named(&self) -> Vec<Named<'_>> {
        let kernels = self.kernels.iter().filter(|kernel| self.counts_for_something(kernel)).map(Named::Kernel);
        let counts = self.counts.iter().filter(|count| count.of != Beside::Release).map(Named::Count);
        let pauses = self.longer_pauses_us().abs();
        let pauses = (pauses > 0.0 && pauses >= self.least_us()).then_some(Named::Pauses);
        let mut named: Vec<Named> = kernels.chain(counts).chain(pauses).collect();
        named.sort_by(|a, b| self.weight(b).total_cmp(&self.weight(a)));
        named
    }

    /// Of these, what is asked for more or less often: that is exact, whatever the times are.
    pub fn asked_otherwise(&self) -> Vec<Named<'_>> {
        let is_exact = |named: &Named| match named {
            Named::Kernel(kernel) => kernel.more_calls() != 0.0,
            Named::Count(_) => true,
            Named::Pauses => false,
        };
        self.named().into_iter().filter(is_exact).collect()
    }

    /// What they come to.
    pub fn reading(&self) -> Reading {
        let asks_otherwise = self.asked().any(|more| more != 0.0);
        match self.named().first() {
            None => Reading::Neither,
            Some(Named::Pauses) if !asks_otherwise => Reading::Host,
            Some(_) => Reading::Work,
        }
    }

    /// The kernel that does all the work in one call: a trace doesn't divide it.
    pub fn is_whole(&self, kernel: &MovedKernel) -> bool {
        kernel.head.is_some_and(|head| head.calls.max <= 1.0 && head.us.mean >= WHOLE * self.kernels_us)
    }

    fn counts_for_something(&self, kernel: &MovedKernel) -> bool {
        let moved = kernel.apart && (kernel.more_calls() != 0.0 || kernel.change_us.abs() >= self.least_us());
        moved || kernel.is_pair() && kernel.change_us.abs() >= self.least_us()
    }

    fn least_us(&self) -> f64 {
        LEAST_SHARE * self.change_us().abs()
    }

    /// What was asked for more often, by how much: of each kernel and each count.
    fn asked(&self) -> impl Iterator<Item = f64> {
        let kernels = self.kernels.iter().map(MovedKernel::more_calls);
        kernels.chain(self.counts.iter().map(MovedCount::more_calls))
    }

    /// Its own time on the device, and its part in the pauses where these changed in the same direction.
    fn weight(&self, named: &Named) -> f64 {
        match named {
            Named::Kernel(kernel) => kernel.change_us.abs() + self.part_in_pauses(kernel.more_calls()),
            Named::Count(count) => count.change_us().abs() + self.part_in_pauses(count.more_calls()),
            // Right behind what may be its reason.
            Named::Pauses => self.heaviest_reason().map_or(self.longer_pauses_us().abs(), |reason| reason * 0.999),
        }
    }

    /// Of what changed in the direction of the pauses; `None` where nothing did.
    fn heaviest_reason(&self) -> Option<f64> {
        let is_one = |more: f64| more * self.longer_pauses_us() > 0.0;
        let kernels = self.kernels.iter().filter(|kernel| is_one(kernel.more_calls())).map(Named::Kernel);
        let counts = self.counts.iter().filter(|count| is_one(count.more_calls())).map(Named::Count);
        kernels.chain(counts).map(|named| self.weight(&named)).reduce(f64::max)
    }

    fn part_in_pauses(&self, more: f64) -> f64 {
        let pauses = self.longer_pauses_us();
        let same_way = |more: &f64| more * pauses > 0.0;
        let all: f64 = self.asked().filter(same_way).map(f64::abs).sum();
        if same_way(&more) { pauses.abs() * more.abs() / all } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Part;
    use super::super::attribution::Section;
    use super::super::trace_file::Saved;
    use super::*;

    /// Traced on an H100: two runs of one program.
    fn plain() -> [Part; 2] {
        ["plain-1", "plain-2"].map(recorded)
    }

    fn recorded(name: &str) -> Part {
        let path = format!("tests/fixtures/traces/{name}.trace");
        Saved::read(Path::new(&path)).unwrap().trace().part(None).unwrap()
    }

    fn of(base: &[Part], head: &[Part]) -> Attribution {
        Attribution::of("case", Section::Decode, base, head, 64.0).unwrap()
    }

    /// Every call of that kernel takes so much longer, and so does the whole.
    fn slowed(parts: &[Part], name: &str, times: f64) -> Vec<Part> {
        let slow = |part: &Part| {
            let mut part = part.clone();
            let kernels = part.kernels.iter_mut().filter(|(shape, _)| shape.name == name);
            let more: u64 = kernels
                .map(|(_, kernel)| {
                    let more = (kernel.sum.total_ns as f64 * (times - 1.0)) as u64;
                    kernel.sum.total_ns += more;
                    more
                })
                .sum();
            part.busy.total_ns += more;
            part
        };
        parts.iter().map(slow).collect()
    }

    fn first(found: &Attribution) -> String {
        match found.named().first() {
            Some(Named::Kernel(kernel)) => kernel.name.clone(),
            Some(Named::Count(count)) => count.in_words(),
            Some(Named::Pauses) => "pauses".to_owned(),
            None => String::new(),
        }
    }

    #[test]
    fn two_runs_of_one_program_name_nothing() {
        let [one, other] = plain();
        let found = of(&[one.clone(), other.clone()], &[other, one]);
        assert_eq!((found.named(), found.reading()), (vec![], Reading::Neither));
    }

    #[test]
    fn a_slower_kernel_of_a_recorded_trace_is_named_first() {
        let base = plain();
        let found = of(&base, &slowed(&base, "rmsnorm_bf16", 1.2));
        assert_eq!((first(&found).as_str(), found.reading()), ("rmsnorm_bf16", Reading::Work));
        assert_eq!(found.named().len(), 1);
        let change = &found.change;
        let sum = change.gone + change.new + change.calls + change.speed + change.no_kernel + change.unexplained;
        assert!(
            (sum - found.change_us()).abs() < 1e-6 && (change.speed - found.change_us()).abs() < 0.01,
            "{change:?}"
        );
    }

    #[test]
    fn the_whole_of_a_decode_kernel_is_told() {
        let base = [recorded("graph-1"), recorded("graph-1")].map(|part| {
            let mut part = part;
            part.kernels.retain(|shape, _| shape.name == "decode_64");
            part
        });
        let found = Attribution::of("case", Section::Decode, &base, &slowed(&base, "decode_64", 1.02), 65.0).unwrap();
        let named = found.named();
        assert!(matches!(named[..], [Named::Kernel(kernel)] if found.is_whole(kernel)), "{named:?}");
    }

    #[test]
    fn what_remains_of_a_generation_is_its_decoding() {
        let [one, _] = plain();
        let twice = one.clone().and(&one);
        let rest = twice.without(&one);
        assert_eq!((rest.launches(), rest.gaps.total_ns, rest.copies.len()), (one.launches(), one.gaps.total_ns, 2));
        assert!(one.without(&one).kernels.is_empty());
    }
}
