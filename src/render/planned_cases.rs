//! The table of `bench-diff plan`.

use super::plain_table;
use crate::escape;
use crate::plan::{Plan, PlannedCase};

/// The plan as a table for a terminal, with its summary and what can't run.
pub fn plan(plan: &Plan) -> String {
    let memory = plan.device.memory.map_or_else(String::new, |bytes| format!(", {}", gib(bytes)));
    let mut text = format!("Suite {} on {}{memory}\n\n", plan.suite, plan.device.name);
    if let Some(candle) = &plan.candle {
        text.push_str(&format!(
            "Built against the candle {}, by `bench-diff ci`\n\n",
            escape::line(&candle.to_string())
        ));
    }
    let heading = ["case", "weights", "KV cache", "workspace", "total", "a run"].map(str::to_owned);
    text.push_str(&plain_table(heading, plan.cases.iter().map(row).collect()));
    let running = plan.cases.iter().filter(|case| case.failure.is_none()).count();
    let time = duration(plan.seconds);
    text.push_str(&format!("\n\n{running} of {} cases will run, {} runs each: {time}\n", plan.cases.len(), plan.runs));
    for case in &plan.cases {
        if let Some(failure) = &case.failure {
            text.push_str(&format!("won't run: {}: {}\n", case.case.id, failure.reason));
        }
    }
    text
}

fn row(planned: &PlannedCase) -> Vec<String> {
    let time = if planned.failure.is_some() { "won't run".into() } else { duration(planned.seconds) };
    let amounts =
        planned.memory.map(|memory| [memory.weights, memory.kv_cache, memory.workspace, memory.total()].map(gib));
    let mut cells = vec![planned.case.id.clone()];
    cells.extend(amounts.unwrap_or_default());
    cells.push(time);
    cells
}

fn gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / (1u64 << 30) as f64)
}

/// An estimate of time, as rough as it is.
fn duration(seconds: f64) -> String {
    match seconds {
        ..1.0 => "under 1 s".into(),
        ..120.0 => format!("about {seconds:.0} s"),
        ..7200.0 => format!("about {:.0} min", seconds / 60.0),
        _ => format!("about {:.1} h", seconds / 3600.0),
    }
}
