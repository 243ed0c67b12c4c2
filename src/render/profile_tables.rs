//! The page of `bench-diff profile`.

use super::NAME;
use crate::engine::profile::{Part, Profile};
use crate::number::{count, decimal};
use crate::page::{Block, Column, Line, Page, Table, line, name};
use crate::results::Ceilings;

/// The decode step, then the prefill. Without ceilings there are no shares of them.
pub fn page(model: &str, profile: &Profile, ceilings: Option<&Ceilings>) -> Page {
    let Profile { context, decode, prefill, .. } = profile;
    let bandwidth = ceilings.map(|ceilings| ceilings.bandwidth_gb_s * 1e9);
    let rate = ceilings.map(|ceilings| ceilings.matmul_tflop_s * 1e12);
    let bytes = Work { heading: "MB", scale: 1e6, amount: |part| part.bytes, limit: bandwidth, of: "of bandwidth" };
    let operations =
        Work { heading: "GFLOP", scale: 1e9, amount: |part| part.operations, limit: rate, of: "of matrix rate" };
    let tokens = count(*context);
    Page {
        headline: line![name(model, NAME), ", generated weights"],
        body: vec![
            section(line!["One decode step with ", tokens.clone(), " tokens in the cache"], bytes.table(decode)),
            section(line!["Prefill of ", tokens, " tokens"], operations.table(prefill)),
        ],
        ..Page::default()
    }
}

fn section(title: Line, table: Table) -> Block {
    Block::Fold { title, blocks: vec![Block::Table(table)] }
}

/// What bounds the parts: bytes or operations.
struct Work {
    heading: &'static str,
    scale: f64,
    amount: fn(&Part) -> f64,
    /// A second's at most.
    limit: Option<f64>,
    of: &'static str,
}

/// A part, or all of them.
struct Sum<'a> {
    name: &'a str,
    layers: Option<usize>,
    seconds: f64,
    waiting: Option<f64>,
    amount: f64,
}

impl Work {
    fn table(&self, parts: &[Part]) -> Table {
        let whole = Profile::seconds(parts);
        let amount = parts.iter().map(self.amount).sum();
        let waits = parts.iter().any(|part| part.waiting_seconds.is_some());
        let waiting = waits.then(|| parts.iter().filter_map(|part| part.waiting_seconds).sum());
        let all = Sum { name: "all", layers: None, seconds: whole, waiting, amount };
        let mut columns = vec![
            Column::left("Part", |sum: &Sum| name(sum.name, NAME)),
            Column::right("µs", |sum: &Sum| us(sum.seconds)),
            Column::right("of time", |sum: &Sum| percent(sum.seconds / whole)),
            Column::right(self.heading, |sum: &Sum| self.amount_of(sum)),
            Column::right(self.of, |sum: &Sum| self.share_of(sum)),
        ];
        if waits {
            columns.insert(
                1,
                Column::right("layers", |sum: &Sum| sum.layers.map(count).map(Line::from).unwrap_or_default()),
            );
            columns.insert(3, Column::right("waiting", |sum: &Sum| sum.waiting.map(us).unwrap_or_default()));
        }
        Table::of(columns, &parts.iter().map(|part| self.sum(part)).chain([all]).collect::<Vec<_>>())
    }

    fn sum<'a>(&self, part: &'a Part) -> Sum<'a> {
        let Part { name, layers, seconds, waiting_seconds, .. } = part;
        Sum { name, layers: *layers, seconds: *seconds, waiting: *waiting_seconds, amount: (self.amount)(part) }
    }

    fn amount_of(&self, sum: &Sum) -> Line {
        if sum.amount > 0.0 { decimal(sum.amount / self.scale, 1).into() } else { Line::default() }
    }

    fn share_of(&self, sum: &Sum) -> Line {
        let share = self.limit.map(|limit| sum.amount / sum.seconds / limit);
        share.filter(|share| share.is_finite() && *share > 0.0).map(percent).unwrap_or_default()
    }
}

fn us(seconds: f64) -> Line {
    decimal(seconds * 1e6, 1).into()
}

/// With the same digits in each row: they stand below each other.
fn percent(share: f64) -> Line {
    line![decimal(share * 100.0, 1), "%"]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::profile::decode_parts;
    use crate::page::terminal::{self, Screen};
    use crate::results::{ProductTimes, StepParts};

    #[test]
    fn a_profile_reads_as_two_tables() {
        let part = |name, seconds, bytes, operations| Part { bytes, operations, ..Part::of(name, seconds) };
        let times = |name: &str, waiting: f64, work: f64, layers| ProductTimes {
            name: name.to_owned(),
            waiting_us: vec![waiting; layers],
            work_us: vec![work; layers],
            apart_us: vec![0.0; layers],
        };
        let products =
            vec![times("attention", 1.0, 3.25, 24), times("head", 0.5, 97.5, 1), times("choosing", 3.0, 0.0, 1)];
        let step = StepParts { steps: 16, step_us: 203.1, products, unexplained_us: 0.1 };
        let profile = Profile {
            context: 6144,
            decode: decode_parts(&step, &[1e8, 2.7e8, 0.0]),
            step,
            prefill: vec![part("norms", 1e-4, 0.0, 0.0), part("attention", 4e-3, 0.0, 1.6e12)],
        };
        let ceilings = Ceilings { bandwidth_gb_s: 3000.0, matmul_tflop_s: 800.0 };
        let text = |ceilings: Option<&Ceilings>, width| {
            terminal::write(&page("Qwen/Qwen2.5-0.5B", &profile, ceilings), Screen { width: Some(width), color: false })
        };
        for width in [44, 80, 140] {
            insta::assert_snapshot!(format!("profile_at_{width}"), text(Some(&ceilings), width));
        }
        let unknown = text(None, 80);
        assert!(!unknown.contains("90.0%"), "no ceilings, no share of them: {unknown}");
    }
}
