//! Why a case doesn't fit, and what would.

use crate::case::{Case, DeviceKind};
use crate::config::SuiteModel;
use crate::device::{Capacity, Ordinals};
use crate::engine::{self, Memory, ModelSpec, Needs};

const GIB: f64 = (1u64 << 30) as f64;

/// In one sentence, if the case needs more than there is: on the device, or on the card that lacks most.
pub fn too_large(model: &SuiteModel, case: &Case, needs: &Needs, device: &Capacity) -> Option<String> {
    let why = shortage(needs, device)?;
    let context = |tokens| format!("use a context of at most about {tokens} tokens");
    let advice = match longest_context(model, case, device) {
        Some(tokens) if device.by_card.len() > 1 => {
            format!("{}, a smaller model or {}", context(tokens), more_gpus(&model.spec))
        }
        Some(tokens) => format!("{}, or a smaller model", context(tokens)),
        None if model.spec.device == DeviceKind::Cuda => {
            format!("use a smaller model or {}", more_gpus(&model.spec))
        }
        None => "use a smaller model".to_owned(),
    };
    Some(format!("{why}: {advice}"))
}

/// What lays the model on more GPUs: the engine may refuse them to what runs it now.
fn more_gpus(spec: &ModelSpec) -> &'static str {
    let more = ModelSpec { gpus: Ordinals::first(spec.gpus.count().max(1) + 1), ..spec.clone() };
    let refuses = engine::find(&spec.engine).is_ok_and(|engine| engine.refuses_gpus(&more).is_some());
    if refuses { "`--implementation plain` on more GPUs" } else { "more GPUs" }
}

/// What is too small, and by what; `None` where the case fits or nobody can tell.
pub fn shortage(needs: &Needs, device: &Capacity) -> Option<String> {
    let over = |memory: Memory, available: u64| memory.total().checked_sub(available).filter(|&over| over > 0);
    if needs.by_card.is_empty() || device.by_card.is_empty() {
        let (memory, available) = (needs.memory?, device.memory?);
        over(memory, available)?;
        let [needed, available] = apart(memory.total(), available);
        return Some(format!("needs about {needed}, but the device has {available}"));
    }
    let cards = needs.by_card.iter().zip(&device.by_card);
    let small = cards.filter_map(|(memory, card)| Some((over(*memory, card.memory?)?, memory, card)));
    let (_, memory, card) = small.max_by_key(|(over, ..)| *over)?;
    let [needed, available] = apart(memory.total(), card.memory?);
    Some(format!("needs about {needed} on {} ({}), which has {available}", card.card, card.name))
}

/// The most prompt tokens, roughly, with which the case would fit.
fn longest_context(model: &SuiteModel, case: &Case, device: &Capacity) -> Option<u32> {
    let engine = engine::find(&model.spec.engine).ok()?;
    let fits = |context_length: u32| {
        let shorter = Case { context_length, ..case.clone() };
        engine.needs(&model.spec, &shorter, device).is_ok_and(|needs| shortage(&needs, device).is_none())
    };
    let (mut fitting, mut too_long) = (0, case.context_length);
    while too_long - fitting > 1 {
        let middle = fitting.midpoint(too_long);
        *(if fits(middle) { &mut fitting } else { &mut too_long }) = middle;
    }
    Some(two_digits(fitting)).filter(|&context| context > 0)
}

/// No estimate knows more.
fn two_digits(number: u32) -> u32 {
    let unit = 10_u32.pow(number.checked_ilog10().unwrap_or_default().saturating_sub(1));
    number / unit * unit
}

/// Both in GiB, with as many digits as show that they differ.
fn apart(one: u64, other: u64) -> [String; 2] {
    let with = |digits: usize| [one, other].map(|bytes| format!("{:.digits$} GiB", bytes as f64 / GIB));
    let differ = |[one, other]: &[String; 2]| one != other;
    (1..10).map(with).find(differ).unwrap_or_else(|| with(9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_differ_read_so() {
        assert_eq!(apart(90 << 30, 80 << 30), ["90.0 GiB", "80.0 GiB"]);
        assert_eq!(apart((80 << 30) + (40 << 20), 80 << 30), ["80.04 GiB", "80.00 GiB"]);
        assert_eq!(apart((80 << 30) + 1, 80 << 30), ["80.000000001 GiB", "80.000000000 GiB"]);
    }
}
