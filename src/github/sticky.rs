//! One comment for each suite and GPU, created once and updated ever after.
//!
//! GitHub has no "create unless it exists", and what was created is listed only after a while. So: look for ours, update
//! it or create one, and after creating look again until ours is listed. A list that holds ours holds all that came
//! before. Among several of ours the one with the lowest id stays, which racing jobs agree on without talking.
//!
//! A comment is ours by its marker *and* its author: anybody may write a marker, and who wrote a comment may change it
//! again. Who we are says `GET /user`, or, as an app may not ask that, GraphQL; an answer to creating says it for certain.
//! Until one of these has, we go for `github-actions[bot]`; if another app's comment has the marker and nothing has told
//! who we are, we create a comment to learn it, and fold the others of that author then.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{ApiError, Client, Repository};
use crate::hex::hex;
use crate::report::Subject;
use crate::word::words;

/// Who comments with the token that every workflow run gets.
const ACTIONS_BOT: &str = "github-actions[bot]";
/// How often creating is tried when the answers get lost.
const CREATE_ATTEMPTS: u32 = 3;
/// The longest suite's or hardware's name in a marker, encoded. Real ones have up to 64 characters.
const MAX_NAME: usize = 200;
/// The pauses before looking for a comment that was created, in ms: it may take a while to be listed.
const LOOKS: [u64; 7] = [0, 250, 500, 1000, 1500, 2000, 2500];
/// With those of the first pauses an answer that was lost is looked for, before the comment is created again.
const LOST: std::ops::Range<usize> = 1..5;

/// The hidden first line by which a comment is found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    prefix: String,
    run: u64,
}

impl Marker {
    /// `run` is the id of the workflow run that measured; ids grow, so an older run never replaces a newer one's.
    pub fn new(suite: &str, hardware: &str, run: u64) -> Self {
        Self { prefix: format!("<!-- bench-diff suite={} gpu={} run=", encode(suite), encode(hardware)), run }
    }

    /// What a marked comment is about, and the run that wrote it. None for a name that was too long for a marker.
    fn read(body: &str) -> Option<(Subject, u64)> {
        let line = body.lines().next()?.strip_prefix("<!-- bench-diff suite=")?;
        let (suite, rest) = line.split_once(" gpu=")?;
        let (hardware, _) = rest.split_once(" run=")?;
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned);
        let subject = Subject { suite: decode(suite)?, hardware: decode(hardware)? };
        let run = Self::new(&subject.suite, &subject.hardware, 0).find(body)?;
        Some((subject, run))
    }

    fn line(&self) -> String {
        format!("{}{} -->", self.prefix, self.run)
    }

    /// The run that wrote `body`, if it carries this marker.
    fn find(&self, body: &str) -> Option<u64> {
        let rest = body.strip_prefix(&self.prefix)?;
        rest.split(" -->").next()?.parse().ok()
    }
}

/// Letters, digits and `-_.` as they are, anything else as %XX: nothing can end the HTML comment. A long name, which only
/// a hostile report has, is cut and told apart by its hash: the marker counts for the comment's length.
fn encode(text: &str) -> String {
    const SET: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-');
    // Two hyphens are not allowed inside an HTML comment.
    let mut name = percent_encoding::utf8_percent_encode(text, SET).to_string().replace("--", "-%2D");
    if name.len() > MAX_NAME {
        let hash = hex(&Sha256::digest(text)[..8]);
        name.truncate(MAX_NAME);
        name = format!("{name}~{hash}");
    }
    name
}

words! {
    /// When to comment.
    When {
        /// On every run.
        Always = "always",
        /// When something changed, or when there is a comment to bring up to date.
        Changed = "changed",
        /// Not at all.
        Never = "never",
    }
}

/// What became of the comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// There was none: it is new.
    Created {
        /// Where it is.
        url: String,
    },
    /// There was one, which says something else now.
    Updated {
        /// Where it is.
        url: String,
    },
    /// A newer run has reported already.
    Superseded {
        /// Where it is.
        url: String,
    },
    /// Nothing to say.
    Skipped,
}

impl Posted {
    /// Where the comment is, if there is one.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Created { url } | Self::Updated { url } | Self::Superseded { url } => Some(url),
            Self::Skipped => None,
        }
    }
}

/// A comment on an issue or pull request.
#[derive(Debug, Clone, Deserialize)]
pub struct Comment {
    /// GitHub's number of it.
    pub id: u64,
    /// Where people read it.
    #[serde(default)]
    pub html_url: String,
    /// Its text. Anybody may have written it.
    #[serde(default)]
    pub body: Option<String>,
    /// Who wrote it; absent for an account that is gone.
    #[serde(default)]
    pub user: Option<User>,
    /// What the author is to the repository, such as `OWNER` or `CONTRIBUTOR`.
    #[serde(default)]
    pub author_association: Option<String>,
}

/// An account.
#[derive(Debug, Clone, Deserialize)]
pub struct User {
    /// Its name; an app's ends in `[bot]`.
    pub login: String,
}

impl Comment {
    fn author(&self) -> Option<&str> {
        self.user.as_ref().map(|user| user.login.as_str())
    }

    /// Its text; empty where there is none.
    pub fn body(&self) -> &str {
        self.body.as_deref().unwrap_or_default()
    }
}

/// Who we comment as.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Me {
    Known(String),
    /// Some app: most likely the one whose token every workflow run gets.
    App,
    /// Some app, and GraphQL doesn't say which.
    UnknownApp,
}

impl Me {
    fn wrote(&self, comment: &Comment) -> bool {
        let me = if let Self::Known(login) = self { login } else { ACTIONS_BOT };
        comment.author().is_some_and(|author| author.eq_ignore_ascii_case(me))
    }

    /// No person's login has brackets.
    fn may_have_written(&self, comment: &Comment) -> bool {
        let is_app = |author: &str| author.ends_with("[bot]");
        self.wrote(comment) || (!matches!(self, Self::Known(_)) && comment.author().is_some_and(is_app))
    }
}

/// The comments of one pull request.
pub struct Conversation<'a> {
    client: &'a Client,
    repository: &'a Repository,
    number: u64,
    me: Me,
}

impl<'a> Conversation<'a> {
    /// Those of pull request `number`. Asks GitHub who we are.
    pub fn open(client: &'a Client, repository: &'a Repository, number: u64) -> Result<Self, ApiError> {
        Ok(Self { client, repository, number, me: who_am_i(client)? })
    }

    /// All of them, oldest first.
    pub fn comments(&self) -> Result<Vec<Comment>, ApiError> {
        self.client.list(&self.address())
    }

    /// Posts `body`, or brings the comment that carries `marker` up to date.
    pub fn upsert(&mut self, marker: &Marker, body: &str, when: When, changed: bool) -> Result<Posted, ApiError> {
        if when == When::Never {
            return Ok(Posted::Skipped);
        }
        let body = self.client.redact(&format!("{}\n{body}", marker.line()));
        let (own, perhaps) = self.marked(marker)?;
        if let Some(posted) = self.update(marker, &own, &body)? {
            return Ok(posted);
        }
        if when == When::Changed && !changed && perhaps.is_empty() {
            return Ok(Posted::Skipped);
        }
        self.create(marker, &body)
    }

    /// What all comments that are ours, or may be, are about, and the runs that wrote them.
    pub fn subjects(&mut self) -> Result<Vec<(Subject, u64)>, ApiError> {
        let (own, perhaps) = self.where_body(|body| Marker::read(body).is_some())?;
        Ok(own.iter().chain(&perhaps).filter_map(|comment| Marker::read(comment.body())).collect())
    }

    /// The comments with this marker, oldest first: ours, and those that may be ours.
    fn marked(&mut self, marker: &Marker) -> Result<(Vec<Comment>, Vec<Comment>), ApiError> {
        self.where_body(|body| marker.find(body).is_some())
    }

    fn where_body(&mut self, fits: impl Fn(&str) -> bool) -> Result<(Vec<Comment>, Vec<Comment>), ApiError> {
        let mut marked = self.comments()?;
        marked.retain(|comment| fits(comment.body()));
        marked.sort_by_key(|comment| comment.id);
        marked.dedup_by_key(|comment| comment.id);
        let doubtful = |comment: &Comment| self.me.may_have_written(comment) && !self.me.wrote(comment);
        if self.me == Me::App && marked.iter().any(doubtful) {
            self.me = which_app(self.client);
        }
        marked.retain(|comment| self.me.may_have_written(comment));
        Ok(marked.into_iter().partition(|comment| self.me.wrote(comment)))
    }

    fn create(&mut self, marker: &Marker, body: &str) -> Result<Posted, ApiError> {
        let mut attempt = 0;
        let created: Comment = loop {
            attempt += 1;
            match self.client.post(&self.address(), &json!({ "body": body })) {
                Ok(comment) => break comment,
                Err(error) if error.may_have_happened() => {
                    if let Some(comment) = self.find_created(body)? {
                        break comment;
                    }
                    if attempt == CREATE_ATTEMPTS {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        };
        if let Some(author) = created.author() {
            self.me = Me::Known(author.to_owned());
        }
        // What was asked for before may still happen.
        let all_came = attempt == 1;
        self.settle(marker, created, body, all_came)
    }

    /// The comment that a request created although its answer was lost: it is word for word ours, run id included.
    fn find_created(&self, body: &str) -> Result<Option<Comment>, ApiError> {
        for pause in &LOOKS[LOST] {
            self.client.pause(Duration::from_millis(*pause));
            let created = self
                .comments()?
                .into_iter()
                .find(|comment| same_text(comment.body(), body) && self.me.may_have_written(comment));
            if created.is_some() {
                return Ok(created);
            }
        }
        Ok(None)
    }

    /// After creating: looks until ours is listed, or until nothing late can come any more. If there are several of ours
    /// then, they become one.
    fn settle(&mut self, marker: &Marker, created: Comment, body: &str, all_came: bool) -> Result<Posted, ApiError> {
        let mut own = Vec::new();
        for pause in LOOKS {
            if !self.client.pause(Duration::from_millis(pause)) {
                break;
            }
            own = match self.marked(marker) {
                Ok((own, _)) => own,
                // The comment is there. A duplicate, if any, is folded by the next run.
                Err(error) => {
                    tracing::warn!("can't check for a second comment: {error}");
                    break;
                }
            };
            if all_came && own.first().is_some_and(|oldest| oldest.id <= created.id) {
                break;
            }
        }
        let url = created.html_url.clone();
        if own.iter().all(|comment| comment.id == created.id) {
            return Ok(Posted::Created { url });
        }
        if own.iter().all(|comment| comment.id != created.id) {
            own.push(created);
            own.sort_by_key(|comment| comment.id);
        }
        Ok(self.update(marker, &own, body)?.unwrap_or(Posted::Created { url }))
    }

    /// What the newest run has said, if that is a later one than ours. Every workflow of the repository comments as the
    /// same author, and may write any number into a marker: one that is no run's is not believed, and a real one is soon
    /// an older one.
    fn newer<'b>(&self, marker: &Marker, own: &'b [Comment]) -> Option<&'b Comment> {
        let run = |comment: &'b Comment| Some((marker.find(comment.body())?, comment));
        let mut later: Vec<_> = own.iter().filter_map(run).filter(|(run, _)| *run > marker.run).collect();
        later.sort_by_key(|(run, _)| Reverse(*run));
        later.into_iter().find(|(run, _)| self.may_be_a_run(*run, marker.run)).map(|(_, comment)| comment)
    }

    /// Not if GitHub tells that it doesn't know that run, while it knows `ours`: a token that may not ask about runs
    /// hears of none.
    fn may_be_a_run(&self, run: u64, ours: u64) -> bool {
        let is_known =
            |run: u64| match self.client.get::<Value>(&format!("/repos/{}/actions/runs/{run}", self.repository)) {
                Ok(_) => Some(true),
                Err(error) => error.status().filter(|status| matches!(status, 400 | 404 | 410 | 422)).map(|_| false),
            };
        is_known(run) != Some(false) || is_known(ours) != Some(true)
    }

    /// The oldest gets the text, unless a newer run wrote it already; the others go. `None` when there is none of ours
    /// after all.
    fn update(&self, marker: &Marker, own: &[Comment], body: &str) -> Result<Option<Posted>, ApiError> {
        let newer = self.newer(marker, own);
        let text = newer.map_or(body, Comment::body);
        for kept in own {
            let said_already = newer.is_some_and(|newer| newer.id == kept.id);
            match if said_already { Ok(()) } else { self.edit(kept, text) } {
                Ok(()) => {}
                // Somebody deleted it just now; or it is another app's.
                Err(error) if error.status() == Some(404) => continue,
                Err(error) if error.status() == Some(403) && !matches!(self.me, Me::Known(_)) => continue,
                Err(error) => return Err(error),
            }
            self.delete(own.iter().filter(|other| other.id != kept.id));
            let url = kept.html_url.clone();
            return Ok(Some(if newer.is_some() { Posted::Superseded { url } } else { Posted::Updated { url } }));
        }
        Ok(None)
    }

    fn edit(&self, comment: &Comment, body: &str) -> Result<(), ApiError> {
        let address = self.address_of(comment);
        self.client.patch::<Value>(&address, &json!({ "body": body })).map(drop)
    }

    fn delete<'b>(&self, duplicates: impl Iterator<Item = &'b Comment>) {
        for duplicate in duplicates {
            if let Err(error) = self.client.delete(&self.address_of(duplicate)) {
                tracing::warn!("can't delete a duplicate comment: {error}");
            }
        }
    }

    fn address(&self) -> String {
        format!("/repos/{}/issues/{}/comments", self.repository, self.number)
    }

    fn address_of(&self, comment: &Comment) -> String {
        format!("/repos/{}/issues/comments/{}", self.repository, comment.id)
    }
}

/// The login behind the token. An app's installation token, such as a workflow's own, may not ask.
fn who_am_i(client: &Client) -> Result<Me, ApiError> {
    match client.get::<User>("/user") {
        Ok(user) => Ok(Me::Known(user.login)),
        Err(ApiError::Refused { status: 403 | 404, .. }) => Ok(Me::App),
        Err(error) => Err(error),
    }
}

/// GraphQL leaves out what marks an app's login.
fn which_app(client: &Client) -> Me {
    match client.viewer() {
        Ok(login) if login.ends_with("[bot]") => Me::Known(login),
        Ok(login) => Me::Known(format!("{login}[bot]")),
        Err(error) => {
            tracing::debug!("can't ask GraphQL who we are: {error}");
            Me::UnknownApp
        }
    }
}

/// Equal but for line endings and white space at the end, which GitHub may change.
fn same_text(a: &str, b: &str) -> bool {
    a.replace("\r\n", "\n").trim_end() == b.replace("\r\n", "\n").trim_end()
}
