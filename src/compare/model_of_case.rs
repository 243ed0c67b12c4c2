//! Whether the models of a case are the same on both sides: two may go by one name, as folders and files do.

use super::Difference;
use crate::case::Case;

/// Digits of a hash that are shown.
const DIGITS: usize = 12;

/// In what their shapes differ: other work.
pub(super) fn other_shape(base: &Case, head: &Case) -> Vec<Difference> {
    let Some((base, head)) = base.identity.as_ref().zip(head.identity.as_ref()) else { return Vec::new() };
    let difference = |[name, base, head]: [&str; 3]| {
        Difference::new(&format!("{name} of the model"), true, base.into(), head.into())
    };
    base.other_shape(head).map(difference).collect()
}

/// The same shape with other numbers is as fast, and says other things.
pub(super) fn other_weights(base: &Case, head: &Case) -> Option<Difference> {
    let (base, head) = base.identity.as_ref().zip(head.identity.as_ref())?;
    let digits = |hash: &Option<String>| hash.iter().flat_map(|hash| hash.chars()).take(DIGITS).collect();
    let hashes = (digits(&base.weights_sha256), digits(&head.weights_sha256));
    base.has_other_weights(head).then(|| Difference::new("weights of the model", false, hashes.0, hashes.1))
}
