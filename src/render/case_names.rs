//! Names of cases in a table: what all of them share is said once, as a pattern.

use super::NAME;
use crate::page::{Line, code, name, strong, unbroken};

/// How the cases' ids are shortened. Ids are foreign text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// For each part of an id, between slashes; empty where ids are shown whole.
    parts: Vec<Part>,
}

impl Names {
    pub fn of<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut ids = ids.into_iter();
        let Some(first) = ids.next() else { return Self::default() };
        let mut parts: Vec<Part> = first.split('/').map(Part::of).collect();
        for id in ids {
            if id.split('/').count() != parts.len() {
                return Self::default();
            }
            parts.iter_mut().zip(id.split('/')).for_each(|(part, other)| part.add(other));
        }
        let worth_it = parts.iter().any(|part| part.varies) && parts.iter().any(|part| part.pattern() != "*");
        Self { parts: if worth_it { parts } else { Vec::new() } }
    }

    /// What all ids look like: `Qwen2.5-*-Instruct/bf16/*`.
    pub fn pattern(&self) -> Option<Line> {
        let parts: Vec<String> = self.parts.iter().map(Part::pattern).collect();
        (!parts.is_empty()).then(|| code(&parts.join("/"), NAME))
    }

    /// What is special about an id: **0.5B** · 6144.
    pub fn short(&self, id: &str) -> Line {
        let varying = self.parts.iter().zip(id.split('/')).filter(|(part, _)| part.varies);
        let lines: Vec<Line> = varying.map(|(part, own)| name(&part.own(own), NAME)).collect();
        match lines.split_first() {
            Some((first, others)) => {
                let apart = |line: Line| unbroken(" · ").and(line);
                others.iter().cloned().map(apart).fold(strong(first.clone()), Line::and)
            }
            None => code(id, NAME),
        }
    }
}

/// What the ids have there: words between hyphens, of which the first and the last may be the same in all.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    words: Vec<String>,
    varies: bool,
    /// How many words are the same before what varies, and after it.
    before: usize,
    after: usize,
}

impl Part {
    fn of(part: &str) -> Self {
        let words: Vec<String> = part.split('-').map(str::to_owned).collect();
        Self { varies: false, before: words.len(), after: words.len(), words }
    }

    /// Still true of one more id.
    fn add(&mut self, other: &str) {
        let settled = self.varies && self.before + self.after == 0;
        if settled || (!self.varies && self.words.iter().map(String::as_str).eq(other.split('-'))) {
            return;
        }
        let others: Vec<&str> = other.split('-').collect();
        self.varies = true;
        // Something of each is left to vary.
        let most = self.words.len().min(others.len()) - 1;
        self.before = self.before.min(alike(&self.words, &others)).min(most);
        let after = alike(self.words.iter().rev(), others.iter().rev());
        self.after = self.after.min(after).min(most - self.before);
    }

    fn pattern(&self) -> String {
        if !self.varies {
            return self.words.join("-");
        }
        let after = self.words[self.words.len() - self.after..].iter().map(String::as_str);
        let before = self.words[..self.before].iter().map(String::as_str);
        before.chain(["*"]).chain(after).collect::<Vec<_>>().join("-")
    }

    fn own(&self, part: &str) -> String {
        let words: Vec<&str> = part.split('-').collect();
        words.get(self.before..words.len().saturating_sub(self.after)).unwrap_or(&words).join("-")
    }
}

/// How many of the first words are the same.
fn alike<A: PartialEq<B>, B>(a: impl IntoIterator<Item = A>, b: impl IntoIterator<Item = B>) -> usize {
    a.into_iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::line;

    #[test]
    fn what_all_share_is_said_once() {
        let ids = ["Qwen2.5-0.5B-Instruct/bf16/1", "Qwen2.5-0.5B-Instruct/bf16/6144", "Qwen2.5-7B-Instruct/bf16/1"];
        let names = Names::of(ids);
        assert_eq!(names.pattern(), Some(code("Qwen2.5-*-Instruct/bf16/*", NAME)));
        assert_eq!(names.short(ids[1]), line![strong(name("0.5B", NAME)), unbroken(" · "), name("6144", NAME)]);
    }

    #[test]
    fn names_that_share_nothing_stay_whole() {
        for ids in [&["a"][..], &["a/b", "a"], &["a/b", "c/d"], &["a", "a"], &[]] {
            let names = Names::of(ids.iter().copied());
            assert_eq!((names.pattern(), names.short("a/b")), (None, code("a/b", NAME)), "{ids:?}");
        }
    }

    #[test]
    fn a_name_that_is_the_start_of_another_keeps_something() {
        let names = Names::of(["x/0.5B", "x/0.5B-Instruct", "x/7B-Instruct"]);
        let own: Vec<String> = ["0.5B", "0.5B-Instruct", "7B-Instruct"].map(|own| names.parts[1].own(own)).into();
        assert_eq!(own, ["0.5B", "0.5B-Instruct", "7B-Instruct"]);
    }
}
