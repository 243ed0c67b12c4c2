//! Two traces: which kernels are gone, new, called more often or slower, and how much of the change that explains.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kernel, Part, Shape, Sum};

/// Times of one call that differ by less are as before: a trace is one run.
const SAME_SPEED: f64 = 0.02;

/// What became of the kernels.
#[derive(Debug, Clone, Serialize)]
pub struct Diff {
    pub change: Change,
    /// The largest changes first.
    pub kernels: Vec<Row>,
    /// Counts that don't depend on time, where they differ.
    pub counts: Vec<Count>,
}

/// In milliseconds; its parts add up to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Change {
    pub base_ms: f64,
    pub head_ms: f64,
    /// Kernels that only one has.
    pub gone: f64,
    pub new: f64,
    /// Of kernels that both have: by how often they are called, and by how long one call takes.
    pub calls: f64,
    pub speed: f64,
    /// Time in which no kernel ran.
    pub no_kernel: f64,
    /// The rest: kernels that run at the same time.
    pub unexplained: f64,
}

/// A kernel of a shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub what: What,
    pub name: String,
    /// Its name in the head, where that seems to be the same kernel under another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed: Option<String>,
    /// How the head launches it, where that is all that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reshaped: Option<Reshaped>,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub base: Option<Times>,
    pub head: Option<Times>,
    pub change_ms: f64,
}

/// A kernel's grid and block in the head, where they are others than in the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reshaped {
    /// Blocks in each direction.
    pub grid: [u32; 3],
    /// Threads of a block in each direction.
    pub block: [u32; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    pub calls: u64,
    pub total_ms: f64,
    pub mean_us: f64,
}

/// What is to be said of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Only the base has it.
    Gone,
    /// Only the head has it.
    New,
    /// The head calls it more often.
    MoreCalls,
    /// The head calls it less often.
    FewerCalls,
    /// Called as often, a call takes longer.
    Slower,
    /// Called as often, a call takes less long.
    Faster,
    /// Neither.
    AsBefore,
}

/// How often something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    pub of: Counted,
    pub base: u64,
    pub head: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    KernelLaunches,
    GraphLaunches,
    Copies,
    CopiedBytes,
    Sets,
    Synchronizations,
    Allocations,
    AllocatedBytes,
}

impl Diff {
    pub fn of(base: &Part, head: &Part) -> Self {
        let mut kernels = rows(base, head);
        kernels.sort_by(|a, b| b.change_ms.abs().total_cmp(&a.change_ms.abs()));
        Self { change: Change::of(base, head, &kernels), kernels, counts: counts(base, head) }
    }
}

impl Change {
    fn of(base: &Part, head: &Part, rows: &[Row]) -> Self {
        let mut change = Self { base_ms: base.span_ms(), head_ms: head.span_ms(), ..Self::default() };
        for row in rows {
            match (row.base, row.head) {
                (Some(base), Some(head)) => {
                    // What more calls would cost at the old speed; the rest is the speed's.
                    let calls = (head.calls as f64 - base.calls as f64) * base.mean_us / 1e3;
                    change.calls += calls;
                    change.speed += row.change_ms - calls;
                }
                (None, _) => change.new += row.change_ms,
                (Some(_), None) => change.gone += row.change_ms,
            }
        }
        change.no_kernel = head.gaps.total_ms() - base.gaps.total_ms();
        change.unexplained = change.total() - change.explained();
        change
    }

    pub fn total(&self) -> f64 {
        self.head_ms - self.base_ms
    }

    pub fn explained(&self) -> f64 {
        self.gone + self.new + self.calls + self.speed + self.no_kernel
    }
}

fn rows(base: &Part, head: &Part) -> Vec<Row> {
    let pairs = pairs(base, head);
    let paired: BTreeSet<&Shape> = pairs.values().copied().collect();
    let of_base = base.kernels.iter().map(|(shape, kernel)| {
        let other = pairs.get(shape).copied();
        let found = head.kernels.get(other.unwrap_or(shape));
        Row::of(shape, other, Some(kernel), found)
    });
    let only_head = head.kernels.iter().filter(|(shape, _)| !base.kernels.contains_key(*shape));
    let only_head = only_head.filter(|(shape, _)| !paired.contains(*shape));
    of_base.chain(only_head.map(|(shape, kernel)| Row::of(shape, None, None, Some(kernel)))).collect()
}

/// Kernels of the base that are gone, each with the only new one of the head that is like it. First those of the same name, which
/// are launched with another grid or block; then those of another name with the same grid and block. Both are called as often.
fn pairs<'a>(base: &'a Part, head: &'a Part) -> BTreeMap<&'a Shape, &'a Shape> {
    let (gone, new) = (alone(base, head), alone(head, base));
    let reshaped = alike(&gone, &new, |(shape, calls)| (shape.name.as_str(), calls));
    let taken: BTreeSet<&Shape> = reshaped.iter().flat_map(|(old, new)| [*old, *new]).collect();
    let [gone, new] =
        [gone, new].map(|alone| alone.into_iter().filter(|(shape, _)| !taken.contains(shape)).collect::<Vec<_>>());
    let renamed = alike(&gone, &new, |(shape, calls)| (shape.grid, shape.block, calls));
    reshaped.into_iter().chain(renamed).collect()
}

/// A shape that only one side has, and how often it is called.
type Alone<'a> = (&'a Shape, u64);

/// What `here` has and `there` hasn't.
fn alone<'a>(here: &'a Part, there: &Part) -> Vec<Alone<'a>> {
    let only = here.kernels.iter().filter(|(shape, _)| !there.kernels.contains_key(*shape));
    only.map(|(shape, kernel)| (shape, kernel.sum.calls)).collect()
}

/// Pairs of the same likeness, where no other fits.
fn alike<'a, Likeness: Ord>(
    gone: &[Alone<'a>],
    new: &[Alone<'a>],
    likeness: impl Fn(Alone<'a>) -> Likeness,
) -> Vec<(&'a Shape, &'a Shape)> {
    let [gone, new] = [gone, new].map(|alone| {
        let mut by_likeness: BTreeMap<Likeness, Vec<&'a Shape>> = BTreeMap::new();
        alone.iter().for_each(|one| by_likeness.entry(likeness(*one)).or_default().push(one.0));
        by_likeness
    });
    let pairs = gone.iter().filter_map(|(likeness, gone)| match (gone.as_slice(), new.get(likeness)?.as_slice()) {
        ([gone], [new]) => Some((*gone, *new)),
        _ => None,
    });
    pairs.collect()
}

impl Row {
    /// There is something to be said of it.
    pub fn is_changed(&self) -> bool {
        self.what != What::AsBefore || self.renamed.is_some() || self.reshaped.is_some()
    }

    fn of(shape: &Shape, other: Option<&Shape>, base: Option<&Kernel>, head: Option<&Kernel>) -> Self {
        let [base, head] = [base, head].map(|kernel| kernel.map(|kernel| Times::of(&kernel.sum)));
        let ms = |times: Option<Times>| times.map_or(0.0, |times| times.total_ms);
        Self {
            what: What::of(base, head),
            name: shape.name.clone(),
            renamed: other.filter(|other| other.name != shape.name).map(|other| other.name.clone()),
            reshaped: other
                .filter(|other| other.name == shape.name)
                .map(|other| Reshaped { grid: other.grid, block: other.block }),
            grid: shape.grid,
            block: shape.block,
            base,
            head,
            change_ms: ms(head) - ms(base),
        }
    }
}

impl What {
    fn of(base: Option<Times>, head: Option<Times>) -> Self {
        let (base, head) = match (base, head) {
            (Some(base), Some(head)) => (base, head),
            (Some(_), None) => return Self::Gone,
            (None, _) => return Self::New,
        };
        let speed = head.mean_us / base.mean_us - 1.0;
        match head.calls.cmp(&base.calls) {
            std::cmp::Ordering::Greater => Self::MoreCalls,
            std::cmp::Ordering::Less => Self::FewerCalls,
            std::cmp::Ordering::Equal if speed > SAME_SPEED => Self::Slower,
            std::cmp::Ordering::Equal if speed < -SAME_SPEED => Self::Faster,
            std::cmp::Ordering::Equal => Self::AsBefore,
        }
    }
}

impl Times {
    fn of(sum: &Sum) -> Self {
        Self { calls: sum.calls, total_ms: sum.total_ms(), mean_us: sum.mean_us() }
    }
}

fn counts(base: &Part, head: &Part) -> Vec<Count> {
    let [base, head] = [base, head].map(counted);
    let pairs = base.into_iter().zip(head).map(|((of, base), (_, head))| Count { of, base, head });
    pairs.filter(|count| count.base != count.head).collect()
}

fn counted(part: &Part) -> [(Counted, u64); 8] {
    let sum = |sums: &BTreeMap<u32, Sum>, of: fn(&Sum) -> u64| sums.values().map(of).fold(0, u64::saturating_add);
    [
        (Counted::KernelLaunches, part.launches()),
        (Counted::GraphLaunches, part.graph_launches),
        (Counted::Copies, sum(&part.copies, |sum| sum.calls)),
        (Counted::CopiedBytes, sum(&part.copies, |sum| sum.bytes)),
        (Counted::Sets, part.sets.calls),
        (Counted::Synchronizations, sum(&part.synchronizations, |sum| sum.calls)),
        (Counted::Allocations, sum(&part.allocations, |sum| sum.calls)),
        (Counted::AllocatedBytes, sum(&part.allocations, |sum| sum.bytes)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kernels: &[(&str, u32, u64, u64)], gap_ns: u64) -> Part {
        let mut part = Part::default();
        for &(name, grid, calls, ns) in kernels {
            let sum = Sum { calls, total_ns: calls * ns, min_ns: ns, max_ns: ns, ..Sum::default() };
            let shape = Shape { name: name.to_owned(), grid: [grid, 1, 1], block: [256, 1, 1] };
            part.busy.add(&sum);
            part.kernels.insert(shape, Kernel { sum, ..Kernel::default() });
        }
        part.gaps.add(&Sum { calls: 1, total_ns: gap_ns, ..Sum::default() });
        part
    }

    #[test]
    fn every_change_has_its_word_and_the_parts_add_up() {
        let base = part(
            &[
                ("a", 1, 10, 100_000),
                ("b", 2, 10, 100_000),
                ("old", 3, 5, 100_000),
                ("c", 4, 1, 7),
                ("x", 9, 1, 1_000_000),
            ],
            0,
        );
        let head = part(
            &[
                ("a", 1, 12, 100_000),
                ("b", 2, 10, 120_000),
                ("renamed", 3, 5, 90_000),
                ("c", 4, 1, 7),
                ("y", 8, 1, 3_000_000),
            ],
            500_000,
        );
        let diff = Diff::of(&base, &head);
        let said: Vec<(&str, What)> = diff.kernels.iter().map(|row| (row.name.as_str(), row.what)).collect();
        let expected = [
            ("y", What::New),
            ("x", What::Gone),
            ("a", What::MoreCalls),
            ("b", What::Slower),
            ("old", What::Faster),
            ("c", What::AsBefore),
        ];
        assert_eq!(said.len(), 6);
        assert!(expected.iter().all(|row| said.contains(row)), "{said:?}");
        assert_eq!(diff.kernels.iter().find(|row| row.name == "old").unwrap().renamed.as_deref(), Some("renamed"));
        let Change { gone, new, calls, speed, no_kernel, unexplained, .. } = diff.change;
        let rounded = [gone, new, calls, speed, no_kernel, unexplained].map(|ms| (ms * 1e3).round());
        assert_eq!(rounded, [-1000.0, 3000.0, 200.0, 150.0, 500.0, 0.0]);
        assert!((diff.change.explained() - diff.change.total()).abs() < 1e-9);
        assert_eq!(diff.counts, [Count { of: Counted::KernelLaunches, base: 27, head: 29 }]);
    }

    #[test]
    fn two_that_fit_are_no_pair() {
        let diff = Diff::of(&part(&[("a", 1, 10, 5)], 0), &part(&[("b", 1, 10, 5), ("c", 1, 10, 5)], 0));
        assert!(diff.kernels.iter().all(|row| row.renamed.is_none()));
    }
}
