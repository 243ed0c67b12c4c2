//! Domain words as values of flags: the domain doesn't know the command line.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::word::Vocabulary;

/// The words of a vocabulary, with what they mean.
pub fn word<V: Vocabulary + Send + Sync>() -> impl TypedValueParser<Value = V> {
    let value = |(word, meaning): (&&'static str, &&'static str)| match meaning.trim().trim_end_matches('.') {
        "" => PossibleValue::new(word),
        meaning => PossibleValue::new(word).help(meaning),
    };
    let values = V::WORDS.iter().zip(V::MEANINGS).map(value);
    PossibleValuesParser::new(values).map(|word| V::from_word(&word).expect("a possible value is a word"))
}
