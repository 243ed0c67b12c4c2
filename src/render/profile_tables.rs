//! The tables of `bench-diff profile`.

use super::plain_table;
use crate::engine::profile::{Part, Profile};
use crate::escape;
use crate::results::Ceilings;

/// The decode step, then the prefill. Without ceilings there are no shares of them.
pub fn tables(model: &str, profile: &Profile, ceilings: Option<&Ceilings>) -> String {
    let Profile { context, decode, prefill } = profile;
    let model = escape::line(model);
    let bandwidth = ceilings.map(|ceilings| ceilings.bandwidth_gb_s * 1e9);
    let rate = ceilings.map(|ceilings| ceilings.matmul_tflop_s * 1e12);
    let bytes = Work { heading: "MB", scale: 1e6, amount: |part| part.bytes, limit: bandwidth, of: "of bandwidth" };
    let operations =
        Work { heading: "GFLOP", scale: 1e9, amount: |part| part.operations, limit: rate, of: "of matrix rate" };
    format!(
        "{model}, generated weights: one decode step with {context} tokens in the cache\n\n{}\n\
         {model}, generated weights: prefill of {context} tokens\n\n{}",
        table(decode, &bytes),
        table(prefill, &operations)
    )
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

impl Work {
    fn row(&self, name: &str, seconds: f64, whole: f64, amount: f64) -> Vec<String> {
        let shown = |there: bool, text: String| if there { text } else { String::new() };
        let share = self.limit.map_or(0.0, |limit| amount / seconds / limit);
        vec![
            name.to_owned(),
            format!("{:.1}", seconds * 1e6),
            percent(seconds / whole),
            shown(amount > 0.0, format!("{:.1}", amount / self.scale)),
            shown(amount > 0.0 && share.is_finite() && share > 0.0, percent(share)),
        ]
    }
}

fn table(parts: &[Part], work: &Work) -> String {
    let whole = Profile::seconds(parts);
    let mut rows: Vec<_> =
        parts.iter().map(|part| work.row(part.name, part.seconds, whole, (work.amount)(part))).collect();
    rows.push(work.row("all", whole, whole, parts.iter().map(work.amount).sum()));
    plain_table(["part", "µs", "of time", work.heading, work.of].map(str::to_owned), rows) + "\n"
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_reads_as_two_tables() {
        let part = |name, seconds, bytes, operations| Part { name, seconds, bytes, operations };
        let profile = Profile {
            context: 6144,
            decode: vec![part("qkv and attention", 100e-6, 1e8, 0.0), part("head", 100e-6, 2.7e8, 0.0)],
            prefill: vec![part("norms", 1e-4, 0.0, 0.0), part("attention", 4e-3, 0.0, 1.6e12)],
        };
        let ceilings = Ceilings { bandwidth_gb_s: 3000.0, matmul_tflop_s: 800.0 };
        insta::assert_snapshot!(tables("Qwen/Qwen2.5-0.5B", &profile, Some(&ceilings)));
        let unknown = tables("Qwen/Qwen2.5-0.5B", &profile, None);
        assert!(!unknown.contains("90.0%"), "no ceilings, no share of them: {unknown}");
    }
}
