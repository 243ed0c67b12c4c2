//! The commits that a pull request is compared with: the tip of the branch that it goes into, and where it left that
//! branch.
//!
//! The tip is the first of these that there is: the caller's, the event's, that of the pull request on GitHub, that of the
//! default branch. A clone that lacks a commit fetches it.

use std::path::Path;
use std::sync::Arc;

use super::base_error::BaseError;
use crate::git::{self, GitError, Remote};
use crate::github::event::Context;
use crate::github::{ApiError, Client};

/// What the search starts from.
pub struct Search<'a> {
    /// The workflow run; absent outside of one.
    pub context: Option<&'a Context>,
    /// Where there is a token. Without one, only the event and git are asked.
    pub client: Option<&'a Client>,
    /// The branch or commit that the caller names.
    pub base_ref: Option<&'a str>,
    /// The pull request that the caller names.
    pub pr_number: Option<u64>,
    /// The clone.
    pub repository: &'a Path,
}

/// What was found, or why it wasn't.
#[derive(Debug, Clone)]
pub struct BaseCommits {
    /// The tip of the branch that the pull request goes into, in the clone: its baselines count.
    pub tip: Result<String, BaseError>,
    /// Where the measured commit left that branch, in the clone: what is built as the base.
    pub merge_base: Result<String, BaseError>,
}

impl BaseCommits {
    /// Neither, for the same reason.
    pub fn unknown(why: BaseError) -> Self {
        Self { tip: Err(why.clone()), merge_base: Err(why) }
    }
}

impl Search<'_> {
    /// Fails only if the base that the caller named doesn't exist. Everything else can continue without a base.
    pub fn run(&self) -> Result<BaseCommits, BaseError> {
        if let Some(base_ref) = self.base_ref {
            let absent = |why| BaseError::Absent { name: base_ref.to_owned(), source: Box::new(why) };
            let tip = self.resolve(base_ref).map_err(absent)?;
            return Ok(BaseCommits { merge_base: self.merge_base(&tip), tip: Ok(tip) });
        }
        let Some(context) = self.context else { return Ok(BaseCommits::unknown(BaseError::Unsaid)) };
        let tip = match self.named_tip(context) {
            Ok(Some(tip)) => self.ensure_commit(&tip).map(|()| tip),
            Ok(None) => self.default_tip(context),
            Err(error) => self.default_tip(context).map_err(|why| BaseError::from(error).and(why)),
        };
        let merge_base = tip.clone().and_then(|tip| self.merge_base(&tip));
        Ok(BaseCommits { tip, merge_base })
    }

    /// The tip that the event or the pull request names, if one does.
    fn named_tip(&self, context: &Context) -> Result<Option<String>, ApiError> {
        let of_event = context.base_sha().map(str::to_owned);
        if of_event.is_some() && self.pr_number.is_none_or(|number| context.pull_request_number() == Some(number)) {
            return Ok(of_event);
        }
        let pull = match self.client {
            Some(client) => context.pull_request(client, self.pr_number, None)?,
            None => None,
        };
        Ok(pull.map(|pull| pull.base_sha).or(of_event))
    }

    fn default_tip(&self, context: &Context) -> Result<String, BaseError> {
        match &context.default_branch {
            Some(branch) if git::is_revision(branch) => self.remote_branch(branch),
            _ => Err(BaseError::Unnamed),
        }
    }

    /// A branch or commit of the clone, of its remote as the clone knows it, or as the remote has it now.
    fn resolve(&self, name: &str) -> Result<String, BaseError> {
        if !git::is_revision(name) {
            return Err(BaseError::NoName);
        }
        git::commit(self.repository, name).or_else(|_| self.remote_branch(name))
    }

    fn remote_branch(&self, name: &str) -> Result<String, BaseError> {
        git::commit(self.repository, &format!("refs/remotes/origin/{name}")).or_else(|_| Ok(self.fetch(name)?))
    }

    /// Makes sure that the clone has the commit.
    fn ensure_commit(&self, commit: &str) -> Result<(), BaseError> {
        if git::commit(self.repository, commit).is_ok() {
            return Ok(());
        }
        let lacking = |source| BaseError::Lacking { commit: commit.to_owned(), source: Arc::new(source) };
        self.fetch(commit).map(drop).map_err(lacking)
    }

    fn fetch(&self, name: &str) -> Result<String, GitError> {
        git::fetch(self.repository, &self.remote()?, name)
    }

    /// Where to fetch from: with a token GitHub itself, without one the clone's `origin`.
    fn remote(&self) -> Result<Remote<'_>, GitError> {
        match self.client.zip(self.context) {
            Some((client, context)) => Ok(client.remote(context)),
            None => Remote::origin(self.repository),
        }
    }

    /// In a shallow clone, GitHub may know it. If not, fetching more of the history may help.
    fn merge_base(&self, tip: &str) -> Result<String, BaseError> {
        let head = git::commit(self.repository, "HEAD")?;
        let commit = self.find_merge_base(tip, &head)?;
        if commit == head {
            return Err(BaseError::Merged(tip.to_owned()));
        }
        Ok(commit)
    }

    fn find_merge_base(&self, tip: &str, head: &str) -> Result<String, BaseError> {
        let here = match git::merge_base(self.repository, tip) {
            Ok(commit) => return Ok(commit),
            Err(why) => Arc::new(why),
        };
        let deeper = || {
            git::deepen(self.repository, &self.remote()?)?;
            git::merge_base(self.repository, tip)
        };
        let found = match self.client.zip(self.context) {
            Some((client, context)) => {
                let asked = self.ask(client, context, tip, head);
                asked.or_else(|why| deeper().map_err(|also| why.and(also)))
            }
            None => deeper().map_err(BaseError::from),
        };
        let (repository, tip) = (self.repository.to_owned(), tip.to_owned());
        found.map_err(|beyond| BaseError::MergeBaseUnknown { repository, tip, here, beyond: Box::new(beyond) })
    }

    fn ask(&self, client: &Client, context: &Context, tip: &str, head: &str) -> Result<String, BaseError> {
        let commit = context.merge_base(client, tip, head)?;
        self.ensure_commit(&commit).map(|()| commit)
    }
}
