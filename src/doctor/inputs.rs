//! What the workflow tells the Action, as far as it can be read before the workflow runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::found::Check;
use super::workflow::Step;
use crate::config::Selection;
use crate::git;

/// The inputs of the step that measures; none without one.
pub struct Inputs {
    plain: BTreeMap<String, String>,
    /// Those that an expression makes.
    computed: Vec<String>,
    root: PathBuf,
}

/// Those that decide what is measured, and against what.
const DECIDING: [&str; 8] =
    ["config", "suite", "baseline", "candle", "build-command", "head-binary", "base-binary", "base-ref"];

impl Inputs {
    pub fn of(step: Option<&Step>, root: &Path) -> Self {
        let (mut plain, mut computed) = (BTreeMap::new(), Vec::new());
        for (name, value) in step.iter().flat_map(|step| &step.with).filter(|(_, value)| !value.trim().is_empty()) {
            if value.contains("${{") {
                computed.push(name.clone());
            } else {
                plain.insert(name.clone(), value.trim().to_owned());
            }
        }
        Self { plain, computed, root: root.to_owned() }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.plain.get(name).map(String::as_str)
    }

    /// What the Action builds bench-diff for, where it builds it itself.
    pub fn builds_for(&self) -> Option<&str> {
        self.get("build").filter(|&device| device != "never" && self.get("binary-path").is_none())
    }

    pub fn builds_for_gpu(&self) -> bool {
        self.builds_for() == Some("cuda")
    }

    /// Paths start from the repository's root, where a workflow runs.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(|path| self.root.join(path).components().collect())
    }

    pub fn allows_unrelated(&self) -> bool {
        self.get("allow-unrelated") == Some("true")
    }

    /// Flags outweigh the workflow.
    pub fn selection(&self, flags: &Selection) -> Selection {
        Selection {
            config: flags.config.clone().or_else(|| self.path("config")),
            suite: flags.suite.clone().or_else(|| self.get("suite").map(str::to_owned)),
            ..flags.clone()
        }
    }

    pub fn checks(&self) -> Vec<Check> {
        let deciding = |name: &&String| DECIDING.contains(&name.as_str());
        let computed: Vec<String> = self.computed.iter().filter(deciding).map(|name| format!("`{name}`")).collect();
        let unknown = (!computed.is_empty()).then(|| {
            let said = format!("the workflow computes {} when it runs: not looked at here", computed.join(", "));
            Check::note("inputs", said)
        });
        unknown.into_iter().chain(self.half_a_command()).chain(self.no_name()).collect()
    }

    /// It builds something, and then measures something else.
    fn half_a_command(&self) -> Option<Check> {
        self.get("build-command").filter(|_| self.get("head-binary").is_none() && !self.is_computed("head-binary"))?;
        let said = "the workflow's `build-command` builds a program, and no `head-binary` says which is to be measured";
        Some(Check::missing("inputs", said).hint("set `head-binary` to the path of the program that it builds"))
    }

    fn no_name(&self) -> Option<Check> {
        let name = self.get("base-ref").filter(|name| !git::is_revision(name))?;
        Some(
            Check::missing("inputs", format!("the workflow's `base-ref` ({name}) is no branch, tag or commit"))
                .hint("leave it out: the event of a pull request names its base"),
        )
    }

    fn is_computed(&self, name: &str) -> bool {
        self.computed.iter().any(|computed| computed == name)
    }
}
