//! Which processes belong to what is measured: they may use its cards, and their memory is its memory.

use std::collections::BTreeSet;

/// Processes that were started for a measurement, with all that they started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ours {
    roots: BTreeSet<u32>,
}

/// What Linux knows about a process's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lineage {
    parent: u32,
    group: u32,
}

impl Ours {
    /// Nothing of ours runs: whoever uses a card is foreign.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// This process and what it started.
    pub fn this_process() -> Self {
        Self::started_by(std::process::id())
    }

    /// `root`, its process group if it leads one, and its descendants.
    pub fn started_by(root: u32) -> Self {
        Self { roots: BTreeSet::from([root]) }
    }

    /// Those of ours that run now.
    pub fn running(&self) -> Vec<u32> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|&pid| self.contains(pid) && !is_dead(pid)).collect()
    }

    /// Is that process one of ours?
    pub fn contains(&self, pid: u32) -> bool {
        !self.roots.is_empty() && self.is_among(pid, lineage)
    }

    fn is_among(&self, pid: u32, lineage: impl Fn(u32) -> Option<Lineage>) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = Some(pid);
        // Process ids are used again: a chain of parents that is read while they end could lead in a circle.
        while let Some(pid) = next.filter(|pid| seen.insert(*pid)) {
            let origin = lineage(pid);
            if self.roots.contains(&pid) || origin.is_some_and(|origin| self.roots.contains(&origin.group)) {
                return true;
            }
            next = origin.map(|origin| origin.parent);
        }
        false
    }
}

/// It has ended, and its parent hasn't heard of that.
fn is_dead(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

fn lineage(pid: u32) -> Option<Lineage> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `pid (name) state parent group ...`, where the name may hold spaces and brackets (`man 5 proc`).
fn parse(stat: &str) -> Option<Lineage> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(1);
    Some(Lineage { parent: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_its_origin() {
        assert_eq!(parse("42 (a) S 1 1 (b) S 7 9 0"), Some(Lineage { parent: 7, group: 9 }));
        assert_eq!(parse("42 (python3) S"), None);
    }

    /// 10 started 11, which started 12; 13 left for another parent but stayed in 10's group; 20 is foreign.
    #[test]
    fn descendants_and_the_group_belong_to_it() {
        let lineage = |pid| {
            let (parent, group) = match pid {
                10 => (1, 10),
                11 => (10, 10),
                12 => (11, 12),
                13 => (1, 10),
                20 => (1, 20),
                30 => (31, 30),
                31 => (30, 30),
                _ => return None,
            };
            Some(Lineage { parent, group })
        };
        let ours = Ours::started_by(10);
        let belong = [1, 10, 11, 12, 13, 20, 30, 99].map(|pid| ours.is_among(pid, lineage));
        assert_eq!(belong, [false, true, true, true, true, false, false, false]);
        assert!(!Ours::nobody().is_among(10, lineage));
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "a child of a test")]
    fn a_child_belongs_to_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (ours, foreign) = (Ours::this_process(), Ours::started_by(child.id()));
        assert!(ours.contains(child.id()) && ours.contains(std::process::id()));
        assert!(foreign.contains(child.id()) && !foreign.contains(std::process::id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
