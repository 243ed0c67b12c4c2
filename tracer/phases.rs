//! What the program said it was doing, and since when.

/// More are counted as one, the last.
const MOST_PHASES: usize = 32;
const FURTHER: &str = "(further phases)";
/// More changes between them aren't noticed.
const MOST_CHANGES: usize = 200_000;
/// Longer names are cut.
const NAME: usize = 100;

/// The phases, and when each began. At first there is one without a name.
#[derive(Debug)]
pub struct Phases {
    names: Vec<String>,
    /// In the order of their times.
    changes: Vec<(u64, usize)>,
}

impl Default for Phases {
    fn default() -> Self {
        Self { names: vec![String::new()], changes: vec![(0, 0)] }
    }
}

/// A stretch of time between two changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub phase: usize,
    pub number: usize,
}

impl Phases {
    pub fn begin(&mut self, name: &str, at: u64) {
        let phase = self.number(name);
        let last = self.changes.last().copied().unwrap_or_default();
        if self.changes.len() < MOST_CHANGES && last.1 != phase {
            self.changes.push((at.max(last.0), phase));
        }
    }

    fn number(&mut self, name: &str) -> usize {
        let name: String = name.chars().take(NAME).collect();
        match self.names.iter().position(|known| *known == name) {
            Some(phase) => phase,
            None if self.names.len() < MOST_PHASES => {
                self.names.push(if self.names.len() + 1 < MOST_PHASES { name } else { FURTHER.to_owned() });
                self.names.len() - 1
            }
            None => MOST_PHASES - 1,
        }
    }

    /// Where something belongs that began then.
    pub fn at(&self, time: u64) -> Window {
        let number = self.changes.partition_point(|(begin, _)| *begin <= time).saturating_sub(1);
        Window { phase: self.changes[number].1, number }
    }

    /// By their numbers.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_in_a_phase_belongs_to_it() {
        let mut phases = Phases::default();
        phases.begin("load", 10);
        phases.begin("decode", 20);
        phases.begin("load", 30);
        let names = [0, 9, 10, 19, 20, 29, 30, 99].map(|time| phases.names()[phases.at(time).phase].as_str());
        assert_eq!(names, ["", "", "load", "load", "decode", "decode", "load", "load"]);
        assert_ne!(phases.at(10), phases.at(30), "two windows of one phase");
    }

    #[test]
    fn there_are_never_too_many() {
        let mut phases = Phases::default();
        for number in 0..300_000_u64 {
            phases.begin(&format!("{number:0200}"), number);
            phases.begin(&number.to_string(), number);
        }
        assert_eq!((phases.names.len(), phases.changes.len()), (MOST_PHASES, phases.changes.len().min(MOST_CHANGES)));
        assert!(phases.names.iter().all(|name| name.len() <= NAME));
        assert_eq!(phases.names.last().map(String::as_str), Some(FURTHER));
    }
}
