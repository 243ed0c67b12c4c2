//! Whether the models of a case are the same on both sides: two may go by one name, as folders and files do.

use super::{CaseSide, Difference, Side};
use crate::case::Case;

/// Digits of a hash that are shown.
const DIGITS: usize = 12;

/// Characters of a name or a value that are shown: the model's files say them, whoever made these.
const SHOWN: usize = 40;

/// Settings in which models differ that are said one by one; of more, their number comes first.
const NAMED: usize = 2;
/// Settings that are listed behind their number.
const LISTED: usize = 8;

/// How the field of a difference ends.
const OF_MODEL: &str = " of the model";

/// How the reason begins that several settings are.
const ANOTHER: &str = "another model: ";

/// In what their shapes differ: other work.
pub(super) fn other_shape(base: &Case, head: &Case) -> Vec<Difference> {
    let Some((base, head)) = base.identity.as_ref().zip(head.identity.as_ref()) else { return Vec::new() };
    let difference = |[name, base, head]: [&str; 3]| {
        Difference::new(&format!("{}{OF_MODEL}", cut(name)), true, cut(base), cut(head))
    };
    base.other_shape(head).map(difference).collect()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Each difference or, of a model that has many, `another model: 8 settings differ (hidden_size 48 → 64, ...)`.
pub(super) fn in_words(differing: &[Difference]) -> Vec<String> {
    let (of_model, others): (Vec<_>, Vec<_>) =
        differing.iter().partition(|differing| differing.field.ends_with(OF_MODEL));
    if of_model.len() <= NAMED {
        return differing.iter().map(Difference::in_words).collect();
    }
    let listed = of_model.iter().take(LISTED).map(|differing| differing.in_words().replacen(OF_MODEL, "", 1));
    let listed = listed.collect::<Vec<_>>().join(", ");
    let more = if of_model.len() > LISTED { ", ..." } else { "" };
    let model = format!("{ANOTHER}{} settings differ ({listed}{more})", of_model.len());
    others.into_iter().map(Difference::in_words).chain([model]).collect()
}

/// A reason without the list of the other model's settings.
pub fn in_short(reason: &str) -> &str {
    let list = reason.find(ANOTHER).and_then(|start| Some(start + reason[start..].find(" (")?));
    &reason[..list.unwrap_or(reason.len())]
}

/// The same shape with other numbers is as fast, and says other things.
pub(super) fn other_weights(base: &Case, head: &Case) -> Option<Difference> {
    let (base, head) = base.identity.as_ref().zip(head.identity.as_ref())?;
    let digits = |hash: &Option<String>| hash.iter().flat_map(|hash| hash.chars()).take(DIGITS).collect();
    let hashes = (digits(&base.weights_sha256), digits(&head.weights_sha256));
    base.has_other_weights(head).then(|| Difference::new("weights of the model", false, hashes.0, hashes.1))
}

/// The side that doesn't say which model it loaded, where the other one does: it may be of an older version.
pub(super) fn silent_side(base: &Case, head: &Case) -> Option<&'static str> {
    // A commit of a hub has one model.
    if base.revision.is_some() && base.revision == head.revision {
        return None;
    }
    let says = |case: &Case| case.identity.as_ref().is_some_and(|identity| !identity.shape.is_empty());
    match (says(base), says(head)) {
        (false, true) => Some("base"),
        (true, false) => Some("head"),
        _ => None,
    }
}

/// Nobody can say that they are one model.
pub(super) fn may_differ(base: &Case, head: &Case) -> bool {
    other_weights(base, head).is_some() || silent_side(base, head).is_some()
}

/// Where a side doesn't say which model it loaded; once, whatever the number of cases.
pub(super) fn warnings(base: &Side, head: &Side) -> Vec<String> {
    let bases = base.by_id();
    let measured = |side: &CaseSide| side.case.clone().filter(|_| side.runs > 0);
    let silent = |head: &CaseSide| silent_side(&*measured(bases.get(head.id.as_str())?)?, &*measured(head)?);
    let sides: Vec<&str> = head.cases.iter().filter_map(silent).collect();
    let warning =
        |side| format!("the {side} doesn't say which model it loaded (older results?), so it may be another one");
    ["base", "head"].into_iter().filter(|side| sides.contains(side)).map(warning).collect()
}
