//! The page of `bench-diff generate`.

use super::NAME;
use crate::engine::greedy::{Generated, Logit, Step};
use crate::number::{count, decimal};
use crate::page::{Block, Column, Line, Page, Table, line, name, unbroken};

/// What ran, and a row for each token.
pub fn page(generated: &Generated) -> Page {
    let Generated { model, weights, dtype, implementation, device, steps, .. } = generated;
    let ran = [implementation.to_string(), dtype.to_string(), device.to_string(), weights.to_string()];
    let ran = Line::joined(ran.iter().map(|word| name(word, NAME)), ", ");
    Page {
        headline: line![name(model, NAME), ": ", ran, " weights"],
        body: vec![Block::Table(table(steps))],
        ..Page::default()
    }
}

fn table(steps: &[Step]) -> Table {
    let most = steps.iter().map(|step| step.top_logits.len()).max().unwrap_or(0);
    let mut columns = vec![
        Column::right("Step", |(step, _): &(usize, &Step)| count(step + 1)),
        Column::right("Token", |(_, step): &(usize, &Step)| count(step.token as usize)),
    ];
    if most > 0 {
        columns.push(Column::left("Highest logits", |(_, step): &(usize, &Step)| {
            Line::joined(step.top_logits.iter().map(logit), "  ")
        }));
    }
    Table::of(columns, &steps.iter().enumerate().collect::<Vec<_>>())
}

/// `54: 2.5440`
fn logit(logit: &Logit) -> Line {
    unbroken(line![count(logit.id as usize), ": ", decimal(f64::from(logit.logit), 4)])
}
