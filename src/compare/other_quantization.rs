//! Cases without a partner whose model has one on the other side, quantized in another way.

use super::mismatch::case_differences;
use super::side::CaseSide;
use crate::case::{Case, Quantization};

/// Words that quantizers put at the end of a GGUF file's name.
const KINDS: [&str; 5] = ["q", "iq", "f", "bf", "fp"];

/// The case of `others` that does the same work with the same model in another quantization.
pub(super) fn counterpart<'a>(case: &CaseSide, others: &[&'a CaseSide]) -> Option<&'a str> {
    let case = case.case.as_ref()?;
    let is_same = |other: &&&CaseSide| other.case.as_ref().is_some_and(|other| differs_in_quantization(case, other));
    others.iter().find(is_same).map(|other| other.id.as_str())
}

fn differs_in_quantization(one: &Case, other: &Case) -> bool {
    let only = case_differences(one, other).iter().all(|it| it.field == "model" || it.field == "quantization");
    only && one.model != other.model && unquantized(&one.model) == unquantized(&other.model)
}

/// The model's name without what says how its weights are quantized.
fn unquantized(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let name = name.split_once(':').map_or(name.as_str(), |(name, _)| name);
    let name = match name.strip_suffix(".gguf") {
        Some(stem) => without_kind(stem),
        None => name,
    };
    let endings = Quantization::WORDS.iter().map(|word| format!("-{word}"));
    let ending = endings.into_iter().find_map(|ending| name.strip_suffix(ending.as_str()));
    ending.unwrap_or(name).to_owned()
}

/// `qwen2.5-7b-instruct-q4_k_m` is `qwen2.5-7b-instruct`.
fn without_kind(stem: &str) -> &str {
    let has_digits = |rest: &str| rest.starts_with(|first: char| first.is_ascii_digit());
    let is_kind = |word: &str| KINDS.iter().any(|kind| word.strip_prefix(kind).is_some_and(has_digits));
    stem.rsplit_once(['-', '.']).filter(|(_, word)| is_kind(word)).map_or(stem, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::unquantized;

    #[test]
    fn names_of_one_model_are_alike_however_it_is_quantized() {
        let names = [
            "Qwen/Qwen2.5-7B-Instruct",
            "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4",
            "Qwen2.5-7B-Instruct-AWQ",
            "Qwen/Qwen2.5-7B-Instruct-GGUF:q4_k_m",
            "qwen2.5-7b-instruct-q4_k_m.gguf",
            "Qwen2.5-7B-Instruct.Q8_0.gguf",
            "qwen2.5-7b-instruct-fp16.gguf",
        ];
        assert!(names.iter().all(|name| unquantized(name) == "qwen2.5-7b-instruct"), "{:?}", names.map(unquantized));
        assert_eq!(["Qwen2.5-7B", "mine-coder", "a-1.5.gguf"].map(unquantized), ["qwen2.5-7b", "mine-coder", "a-1.5"]);
    }
}
