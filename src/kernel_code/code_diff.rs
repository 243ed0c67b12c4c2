//! Two programs: which of their kernels have the same code, other code, or are gone or new.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Form, KernelCode};

/// What became of the kernels' code.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CodeDiff {
    /// How many have the same code.
    pub same: usize,
    /// In the order of their names.
    pub changed: Vec<Row>,
    /// Those with the same code.
    #[serde(skip)]
    same_code: BTreeSet<(String, Form)>,
}

/// A kernel whose code isn't the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub what: What,
    pub name: String,
    pub target: String,
    pub form: Form,
    pub old: Option<KernelCode>,
    pub new: Option<KernelCode>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    OtherCode,
    Gone,
    New,
}

/// What there is to say of the code of a kernel that ran in both programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "code")]
pub enum Evidence<'a> {
    /// Whatever changed its time, it wasn't this.
    Same,
    /// For one kind of GPU; there may be others.
    Changed(&'a Row),
}

impl CodeDiff {
    pub fn of(old: &BTreeSet<KernelCode>, new: &BTreeSet<KernelCode>) -> Self {
        let (old, mut new) = (by_kernel(old), by_kernel(new));
        let mut diff = Self::default();
        for (kernel, codes) in old {
            let others = new.remove(&kernel).unwrap_or_default();
            diff.add(codes, others);
        }
        new.into_values().for_each(|codes| diff.add(Vec::new(), codes));
        diff.changed.sort_by(|a, b| (&a.name, &a.target, a.form).cmp(&(&b.name, &b.target, b.form)));
        diff
    }

    /// Several kernels may have one name: those with equal code are a pair, and the others are in their order.
    fn add(&mut self, old: Vec<&KernelCode>, new: Vec<&KernelCode>) {
        let hashes = |codes: &[&KernelCode]| codes.iter().map(|code| code.hash.clone()).collect::<BTreeSet<_>>();
        let (old_hashes, new_hashes) = (hashes(&old), hashes(&new));
        let (same, old): (Vec<_>, Vec<_>) = old.into_iter().partition(|code| new_hashes.contains(&code.hash));
        let new: Vec<_> = new.into_iter().filter(|code| !old_hashes.contains(&code.hash)).collect();
        self.same += same.len();
        self.same_code.extend(same.iter().map(|code| (code.name.clone(), code.form)));
        for at in 0..old.len().max(new.len()) {
            self.changed.extend(Row::of(old.get(at).copied(), new.get(at).copied()));
        }
    }

    /// Of a kernel by the name that traces show; nothing of one that neither program has. PTX only counts where there is no
    /// machine code; of several kinds of GPU whose code changed it is the newest.
    pub fn evidence(&self, name: &str) -> Option<Evidence<'_>> {
        [Form::MachineCode, Form::Ptx].iter().find_map(|form| self.of_form(name, *form))
    }

    fn of_form(&self, name: &str, form: Form) -> Option<Evidence<'_>> {
        let start = self.changed.partition_point(|row| row.name.as_str() < name);
        let rows = self.changed[start..].iter().take_while(|row| row.name == name).filter(|row| row.form == form);
        let changed = rows.max_by_key(|row| (row.what == What::OtherCode, number(&row.target)));
        let same = || self.same_code.contains(&(name.to_owned(), form)).then_some(Evidence::Same);
        changed.map(Evidence::Changed).or_else(same)
    }
}

/// `sm_100` is newer than `sm_90a`.
fn number(target: &str) -> u32 {
    let digits: String = target.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

type Kernel<'a> = (&'a str, &'a str, Form);

fn by_kernel(codes: &BTreeSet<KernelCode>) -> BTreeMap<Kernel<'_>, Vec<&KernelCode>> {
    let mut found: BTreeMap<Kernel, Vec<&KernelCode>> = BTreeMap::new();
    for code in codes {
        found.entry((&code.name, &code.target, code.form)).or_default().push(code);
    }
    found
}

impl Row {
    fn of(old: Option<&KernelCode>, new: Option<&KernelCode>) -> Option<Self> {
        let KernelCode { name, target, form, .. } = old.or(new)?;
        let what = match (old, new) {
            (Some(_), Some(_)) => What::OtherCode,
            (Some(_), None) => What::Gone,
            (None, _) => What::New,
        };
        let (old, new) = (old.cloned(), new.cloned());
        Some(Self { what, name: name.clone(), target: target.clone(), form: *form, old, new })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Resources;
    use super::*;

    fn code(name: &str, target: &str, form: Form, hash: &str) -> KernelCode {
        let resources = (form == Form::MachineCode).then_some(Resources { registers: 64, ..Resources::default() });
        let [name, target, symbol, hash] = [name, target, name, hash].map(str::to_owned);
        KernelCode { name, target, form, symbol, hash, code_bytes: 128, resources }
    }

    fn said(diff: &CodeDiff) -> Vec<(What, &str, &str)> {
        diff.changed.iter().map(|row| (row.what, row.name.as_str(), row.target.as_str())).collect()
    }

    #[test]
    fn kernels_are_matched_by_name_target_and_form() {
        let machine = |name, hash| code(name, "sm_90", Form::MachineCode, hash);
        let old = [machine("a", "1"), machine("b", "1"), machine("c", "1"), code("a", "sm_80", Form::MachineCode, "1")];
        let new = [machine("a", "1"), machine("b", "2"), machine("d", "1"), code("a", "sm_80", Form::Ptx, "1")];
        let diff = CodeDiff::of(&old.into(), &new.into());
        let expected = [
            (What::Gone, "a", "sm_80"),
            (What::New, "a", "sm_80"),
            (What::OtherCode, "b", "sm_90"),
            (What::Gone, "c", "sm_90"),
            (What::New, "d", "sm_90"),
        ];
        assert_eq!((diff.same, said(&diff)), (1, expected.to_vec()));
    }

    /// Overloads have one readable name, and a header's kernel is in several places.
    #[test]
    fn several_of_one_name_are_paired_by_their_code() {
        let machine = |hash| code("a", "sm_90", Form::MachineCode, hash);
        let diff = CodeDiff::of(&["1", "2", "3"].map(machine).into(), &["2", "4"].map(machine).into());
        assert_eq!((diff.same, said(&diff)), (1, vec![(What::OtherCode, "a", "sm_90"), (What::Gone, "a", "sm_90")]));
    }

    #[test]
    fn the_evidence_of_a_kernel_is_its_code_in_both() {
        let old = [code("a", "sm_90", Form::MachineCode, "1"), code("b", "sm_90", Form::MachineCode, "1")];
        let new = [old[0].clone(), code("b", "sm_90", Form::MachineCode, "2"), code("a", "sm_90", Form::Ptx, "1")];
        let diff = CodeDiff::of(&old.into(), &new.into());
        assert_eq!(diff.evidence("a"), Some(Evidence::Same));
        assert_eq!(diff.evidence("nobody"), None);
        let Some(Evidence::Changed(row)) = diff.evidence("b") else { panic!("it has other code") };
        assert_eq!((row.what, row.form), (What::OtherCode, Form::MachineCode));
    }
}
