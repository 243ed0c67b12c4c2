//! What the model of a case is beside its name: another one may go by the same.

use std::collections::BTreeMap;

/// What a measured program said of the model that it loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelIdentity {
    /// What speed depends on, by name: `num_hidden_layers` is `24`.
    pub shape: BTreeMap<String, String>,
    /// Start of the SHA-256 of samples of the weights' files; `None` where weights are generated.
    pub weights_sha256: Option<String>,
}

impl ModelIdentity {
    /// In what the shape of `other` differs: names, and both values. What only one of them tells is no difference.
    pub fn other_shape<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = [&'a str; 3]> {
        let both = self.shape.iter().filter_map(|(name, value)| Some([name, value, other.shape.get(name)?]));
        both.filter(|[_, value, other]| value != other).map(|texts| texts.map(String::as_str))
    }

    /// Both tell what is in their files, and it isn't the same.
    pub fn has_other_weights(&self, other: &Self) -> bool {
        self.weights_sha256.as_ref().zip(other.weights_sha256.as_ref()).is_some_and(|(one, other)| one != other)
    }
}
