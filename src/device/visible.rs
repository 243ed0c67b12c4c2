//! Which cards CUDA shows to a process, by `CUDA_VISIBLE_DEVICES`.
//!
//! Numbers are of the driver's order, that of `nvidia-smi`: measured programs run with `CUDA_DEVICE_ORDER=PCI_BUS_ID`.
//! CUDA's guide says little of the rest; this is what its driver (580, on two H200) did with every text of the tests.

use super::driver::{CardId, Driver};

/// The cards that are visible, in their order; all without the variable. The first entry that names none ends the list,
/// as one does that isn't of the first's kind, number or UUID.
pub fn visible(driver: &dyn Driver, variable: Option<&str>) -> Vec<CardId> {
    let cards = driver.cards();
    let Some(text) = variable else { return cards };
    let by_uuid = is_uuid(text.trim());
    let entries = text.split(',').map(str::trim);
    let found = entries.map_while(|entry| match (by_uuid, is_uuid(entry)) {
        (true, true) => by_uuid_in(driver, &cards, entry.split_whitespace().next()?),
        (false, false) => number(entry).and_then(|number| cards.get(number)).cloned(),
        _ => None,
    });
    let found: Vec<CardId> = found.collect();
    // If a card is named twice, CUDA shows none.
    if has_twins(&found) { Vec::new() } else { found }
}

fn is_uuid(entry: &str) -> bool {
    entry.starts_with("GPU-") || entry.starts_with("MIG-")
}

/// The digits that an entry begins with.
fn number(entry: &str) -> Option<usize> {
    let digits = entry.strip_prefix('+').unwrap_or(entry);
    digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())].parse().ok()
}

fn by_uuid_in(driver: &dyn Driver, cards: &[CardId], uuid: &str) -> Option<CardId> {
    if uuid.starts_with("MIG-") {
        // A part of a card isn't in the list of cards.
        return driver.card(uuid).map(|card| card.id().clone());
    }
    by_start(cards, uuid)
}

/// The card whose UUID begins so, if it is one alone.
pub fn by_start(cards: &[CardId], start: &str) -> Option<CardId> {
    let begins = |card: &&CardId| card.uuid.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    let mut fitting = cards.iter().filter(begins);
    fitting.next().filter(|_| fitting.next().is_none()).cloned()
}

fn has_twins(cards: &[CardId]) -> bool {
    cards.iter().enumerate().any(|(index, card)| cards[..index].contains(card))
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    fn indices(variable: &str) -> Vec<u32> {
        let fake = Fake::cards(2);
        visible(&fake, Some(variable)).iter().filter_map(|card| card.index).collect()
    }

    /// What CUDA's driver did on a machine with two cards.
    #[test]
    fn cuda_reads_it_the_same_way() {
        let (first, second) = (Fake::uuid(0), Fake::uuid(1));
        let texts: [(&str, &[u32]); 26] = [
            ("", &[]),
            (" ", &[]),
            ("1,0", &[1, 0]),
            (" 1, 0 ", &[1, 0]),
            ("-1", &[]),
            ("0,-1,1", &[0]),
            ("9,0", &[]),
            ("0,9,1", &[0]),
            ("1,x,0", &[1]),
            ("1x,0", &[1, 0]),
            ("0x1", &[0]),
            ("+1", &[1]),
            ("01", &[1]),
            ("0;1", &[0]),
            ("1.0", &[1]),
            ("0,,1", &[0]),
            (",0", &[]),
            ("0,0", &[]),
            ("1,0,1", &[]),
            ("MIG-x,0", &[]),
            ("GPU-", &[]),
            (&second[..12], &[1]),
            (&second[4..], &[]),
            (&format!("{second},{first}"), &[1, 0]),
            (&format!("{second},0"), &[1]),
            (&format!("{first},GPU-dead,{second}"), &[0]),
        ];
        for (text, expected) in texts {
            assert_eq!(indices(text), expected, "{text:?}");
        }
        assert_eq!(indices(&format!("GPU-{}", second[4..].to_uppercase())), [1]);
        assert_eq!(visible(&Fake::cards(2), None).len(), 2);
    }

    #[test]
    fn a_part_of_a_card_is_kept_by_its_name() {
        let fake = Fake { parts: vec!["MIG-7".to_owned()], ..Fake::cards(1) };
        let uuids: Vec<String> = visible(&fake, Some("MIG-7")).into_iter().map(|card| card.uuid).collect();
        assert_eq!(uuids, ["MIG-7"]);
    }
}
