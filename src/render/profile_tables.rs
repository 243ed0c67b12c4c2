//! The page of `bench-diff profile`.

use super::NAME;
use crate::engine::profile::{Part, Profile};
use crate::number::{count, decimal};
use crate::page::{Block, Column, Line, Page, Table, line, name};
use crate::results::Ceilings;

/// The decode step, then the prefill. Without ceilings there are no shares of them.
pub fn page(model: &str, profile: &Profile, ceilings: Option<&Ceilings>) -> Page {
    let Profile { context, decode, prefill } = profile;
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
struct Sum {
    name: &'static str,
    seconds: f64,
    amount: f64,
}

impl Work {
    fn table(&self, parts: &[Part]) -> Table {
        let whole = Profile::seconds(parts);
        let amount = parts.iter().map(self.amount).sum();
        let sum = |part: &Part| Sum { name: part.name, seconds: part.seconds, amount: (self.amount)(part) };
        let all = Sum { name: "all", seconds: whole, amount };
        let columns = vec![
            Column::left("Part", |sum: &Sum| sum.name),
            Column::right("µs", |sum: &Sum| decimal(sum.seconds * 1e6, 1)),
            Column::right("of time", |sum: &Sum| percent(sum.seconds / whole)),
            Column::right(self.heading, |sum: &Sum| self.amount_of(sum)),
            Column::right(self.of, |sum: &Sum| self.share_of(sum)),
        ];
        Table::of(columns, &parts.iter().map(sum).chain([all]).collect::<Vec<_>>())
    }

    fn amount_of(&self, sum: &Sum) -> Line {
        if sum.amount > 0.0 { decimal(sum.amount / self.scale, 1).into() } else { Line::default() }
    }

    fn share_of(&self, sum: &Sum) -> Line {
        let share = self.limit.map(|limit| sum.amount / sum.seconds / limit);
        share.filter(|share| share.is_finite() && *share > 0.0).map(percent).unwrap_or_default()
    }
}

/// With the same digits in each row: they stand below each other.
fn percent(share: f64) -> Line {
    line![decimal(share * 100.0, 1), "%"]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::terminal::{self, Screen};

    #[test]
    fn a_profile_reads_as_two_tables() {
        let part = |name, seconds, bytes, operations| Part { name, seconds, bytes, operations };
        let profile = Profile {
            context: 6144,
            decode: vec![part("qkv and attention", 100e-6, 1e8, 0.0), part("head", 100e-6, 2.7e8, 0.0)],
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
