//! The repository that this is run in.

use std::path::Path;

use super::found::{Check, short};
use crate::error::{Advice, sentence};
use crate::git;

const GIT: &str = "git";

pub fn checks(has_token: bool) -> Vec<Check> {
    let mut checks = vec![work_tree()];
    checks.extend(depth());
    checks.extend(token(has_token));
    checks
}

fn work_tree() -> Check {
    let here = Path::new(".");
    let commit = match git::commit(here, "HEAD") {
        Ok(commit) => commit,
        Err(why) => {
            let check = Check::missing(GIT, format!("no commit to measure: {}", sentence(&why)));
            return check.hint("run this in a clone of the repository whose pull requests are to be measured");
        }
    };
    match git::head_commit(here) {
        Ok(state) if state.ends_with("-dirty") => {
            Check::note(GIT, format!("at {}, with changes that aren't committed", short(&commit)))
        }
        Ok(_) => Check::fine(GIT, format!("at {}, without local changes", short(&commit))),
        Err(why) => Check::note(GIT, format!("at {}; {}", short(&commit), why.in_one_line())),
    }
}

fn depth() -> Option<Check> {
    git::is_shallow(Path::new(".")).unwrap_or(false).then(|| {
        let said = "a shallow clone: the Action fetches what it lacks of the history";
        Check::note(GIT, said).hint("where it may not fetch, check out with `fetch-depth: 0`")
    })
}

fn token(has_token: bool) -> Option<Check> {
    has_token.then(|| {
        Check::note("token", "this environment holds a token of GitHub's, and measuring needs none")
            .hint("measure without it: what is measured runs as the same user")
    })
}
