//! Whose turn it is, and where a program's memory lies. Both vary from run to run, so that neither a place in the order
//! nor a lucky address can favour one contender.
//!
//! All of it follows from the session's id, which every results file keeps: that is the seed.

use sha2::{Digest, Sha256};

/// So many bytes at most move the stack of a measured program: a page.
const MOST_PADDING: u64 = 4096;

/// The order of the contenders in a round of a model, by index.
///
/// Two rounds are a block, whose second has the first's order reversed: A B B A. A cycle of as many blocks as there are
/// contenders begins with each of them once, in an order that is drawn anew for each cycle and model. With two, four rounds
/// have each in each place twice; with three, six rounds are all six orders.
pub fn order(session: &str, model: &str, contenders: usize, round: u32) -> Vec<usize> {
    let block = (round.saturating_sub(1) / 2) as usize;
    let cycle = (block / contenders.max(1)).to_string();
    let mut order: Vec<usize> = (0..contenders).collect();
    order.sort_by_key(|contender| drawn(&[session, model, &cycle, &contender.to_string()]));
    order.rotate_left(block % contenders.max(1));
    if round.is_multiple_of(2) {
        order.reverse();
    }
    order
}

/// Bytes to put into the environment of one run, which lies above the stack.
pub fn padding(session: &str, side: &str, model: &str, round: u32) -> usize {
    (drawn(&[session, model, side, &round.to_string(), "padding"]) % MOST_PADDING) as usize
}

/// A number that nobody can foresee and everybody can repeat.
fn drawn(of: &[&str]) -> u64 {
    let hash = Sha256::digest(of.join("\n"));
    u64::from_be_bytes(std::array::from_fn(|index| hash[index]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SESSIONS: [&str; 3] = ["20261126T100000Z-aaaaaaaa", "20261126T100000Z-bbbbbbbb", ""];

    #[test]
    fn a_block_is_a_b_b_a() {
        for (session, contenders, block) in SESSIONS.into_iter().flat_map(|id| (1..=3).map(move |n| (id, n, 2 * n))) {
            let (block, contenders) = (block as u32 + 1, contenders as usize);
            let mut second = order(session, "7B", contenders, block + 1);
            second.reverse();
            assert_eq!(order(session, "7B", contenders, block), second);
        }
    }

    /// Of two, each goes first in two of four rounds; of three, six rounds are all orders there are.
    #[test]
    fn a_cycle_has_every_contender_in_every_place() {
        for session in SESSIONS {
            for cycle in 0..3 {
                let rounds = |count: u32| (1..=count).map(move |round| cycle * count + round);
                let first = rounds(4).filter(|round| order(session, "7B", 2, *round)[0] == 0).count();
                assert_eq!(first, 2);
                let orders: BTreeSet<_> = rounds(6).map(|round| order(session, "7B", 3, round)).collect();
                assert_eq!(orders.len(), 6);
            }
        }
    }

    #[test]
    fn what_is_drawn_differs_by_session_and_is_the_same_again() {
        let ids: Vec<String> = (0..64).map(|id| id.to_string()).collect();
        let first = |of: &dyn Fn(&str) -> usize| ids.iter().map(|id| of(id)).collect::<BTreeSet<_>>().len();
        assert_eq!(first(&|id| order(id, "7B", 3, 1)[0]), 3);
        assert_eq!(first(&|id| order("one", id, 3, 1)[0]), 3, "nor do all models begin alike");
        assert!(first(&|id| padding(id, "base", "7B", 1)) > 60);
        assert_eq!(padding("one", "base", "7B", 1), padding("one", "base", "7B", 1));
    }
}
