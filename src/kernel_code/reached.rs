//! What code refers to, directly or through other code.

use std::collections::BTreeSet;

/// Pieces of code of a file, by their numbers.
#[derive(Debug)]
pub struct Pieces {
    pieces: Vec<Piece>,
    /// A file may refer everywhere from everywhere: more steps than this aren't followed.
    steps_left: usize,
}

/// A function, say.
#[derive(Debug, Default, Clone)]
pub struct Piece {
    /// Of its own code.
    pub hash: String,
    /// The numbers of those that it refers to.
    pub refers_to: BTreeSet<usize>,
}

/// A kernel of any compiler takes a few of them.
const MOST_STEPS: usize = 20_000_000;

impl Pieces {
    pub fn of(pieces: Vec<Piece>) -> Self {
        Self { pieces, steps_left: MOST_STEPS }
    }

    /// The hashes of one and of all that it reaches, in an order that depends on nothing but them.
    pub fn reached_from(&mut self, first: usize) -> Vec<&str> {
        let (mut seen, mut waiting, mut hashes) = (BTreeSet::from([first]), vec![first], Vec::new());
        while let Some(piece) = waiting.pop().and_then(|at| self.pieces.get(at)) {
            hashes.push(piece.hash.as_str());
            let steps = piece.refers_to.len().min(self.steps_left);
            self.steps_left -= steps;
            waiting.extend(piece.refers_to.iter().take(steps).filter(|other| seen.insert(**other)));
        }
        if let Some(others) = hashes.get_mut(1..) {
            others.sort_unstable();
        }
        hashes
    }
}
