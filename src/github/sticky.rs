//! One comment for each suite and GPU, created once and updated ever after.
//!
//! GitHub has no "create unless it exists". So: look for ours, update it or create one, and after creating look again.
//! Among several of ours the one with the lowest id stays, which two racing jobs agree on without talking.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{ApiError, Client, Repository};

/// Who comments with the token that every workflow run gets.
const ACTIONS_BOT: &str = "github-actions[bot]";
/// How often creating is tried when the answers get lost.
const CREATE_ATTEMPTS: u32 = 3;
/// The longest suite's or hardware's name in a marker, encoded. Real ones have up to 64 characters.
const MAX_NAME: usize = 200;
/// How long a comment that was created may take to be listed.
const SETTLE: Duration = Duration::from_secs(1);

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
        let hash: String = Sha256::digest(text)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        name.truncate(MAX_NAME);
        name = format!("{name}~{hash}");
    }
    name
}

/// When to comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    Always,
    /// When something changed, or when there is a comment to bring up to date.
    Changed,
    Never,
}

/// What became of the comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    Created {
        url: String,
    },
    Updated {
        url: String,
    },
    /// A newer run has reported already.
    Superseded {
        url: String,
    },
    /// Nothing to say.
    Skipped,
}

impl Posted {
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
    pub id: u64,
    #[serde(default)]
    pub html_url: String,
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default)]
    pub user: Option<User>,
    #[serde(default)]
    pub author_association: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct User {
    pub login: String,
}

impl Comment {
    fn author(&self) -> Option<&str> {
        self.user.as_ref().map(|user| user.login.as_str())
    }

    pub fn body(&self) -> &str {
        self.body.as_deref().unwrap_or_default()
    }
}

/// The comments of one pull request.
pub struct Conversation<'a> {
    client: &'a Client,
    repository: &'a Repository,
    number: u64,
    /// Who we comment as: only a comment of that author is ours, whatever it contains.
    me: String,
}

impl<'a> Conversation<'a> {
    pub fn open(client: &'a Client, repository: &'a Repository, number: u64) -> Result<Self, ApiError> {
        Ok(Self { client, repository, number, me: who_am_i(client)? })
    }

    pub fn comments(&self) -> Result<Vec<Comment>, ApiError> {
        self.client.list(&format!("/repos/{}/issues/{}/comments", self.repository, self.number))
    }

    /// Posts `body`, or brings the comment that carries `marker` up to date.
    pub fn upsert(&mut self, marker: &Marker, body: &str, when: When, changed: bool) -> Result<Posted, ApiError> {
        if when == When::Never {
            return Ok(Posted::Skipped);
        }
        let body = format!("{}\n{body}", marker.line());
        let own = self.own(marker)?;
        if !own.is_empty() {
            match self.update(marker, &own, &body) {
                // Somebody deleted it just now.
                Err(error) if error.status() == Some(404) => {}
                result => return result,
            }
        }
        if when == When::Changed && !changed {
            return Ok(Posted::Skipped);
        }
        self.create(marker, &body)
    }

    /// Our comments with this marker, oldest first.
    fn own(&self, marker: &Marker) -> Result<Vec<Comment>, ApiError> {
        let mut own = self.comments()?;
        own.retain(|comment| {
            marker.find(comment.body()).is_some()
                && comment.author().is_some_and(|author| author.eq_ignore_ascii_case(&self.me))
        });
        own.sort_by_key(|comment| comment.id);
        own.dedup_by_key(|comment| comment.id);
        Ok(own)
    }

    fn create(&mut self, marker: &Marker, body: &str) -> Result<Posted, ApiError> {
        let address = format!("/repos/{}/issues/{}/comments", self.repository, self.number);
        let mut attempt = 0;
        let created: Comment = loop {
            attempt += 1;
            match self.client.post(&address, &json!({ "body": body })) {
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
        // The answer says for certain who we are: an app's token can't ask.
        if let Some(author) = created.author() {
            self.me = author.to_owned();
        }
        self.settle(marker, created, body)
    }

    /// The comment that a request created although its answer was lost: it is word for word ours, run id included.
    fn find_created(&self, body: &str) -> Result<Option<Comment>, ApiError> {
        for _ in 0..2 {
            self.client.pause(SETTLE);
            let created = self.comments()?.into_iter().find(|comment| {
                same_text(comment.body(), body) && comment.author().is_some_and(|author| self.may_be_me(author))
            });
            if created.is_some() {
                return Ok(created);
            }
        }
        Ok(None)
    }

    /// `github-actions[bot]` stands for any app's token: which one it is shows only when creating is answered.
    fn may_be_me(&self, author: &str) -> bool {
        author.eq_ignore_ascii_case(&self.me) || (self.me == ACTIONS_BOT && author.ends_with("[bot]"))
    }

    /// After creating: if another job was faster, its comment gets our text and ours goes.
    fn settle(&self, marker: &Marker, created: Comment, body: &str) -> Result<Posted, ApiError> {
        let own = match self.own(marker) {
            Ok(own) => own,
            // The comment is there. A duplicate, if any, is folded by the next run.
            Err(error) => {
                tracing::warn!("can't check for a second comment: {error}");
                Vec::new()
            }
        };
        match own.first() {
            Some(oldest) if oldest.id < created.id => self.update(marker, &own, body),
            _ => Ok(Posted::Created { url: created.html_url }),
        }
    }

    /// The oldest gets the text, unless a newer run wrote it already; the others go.
    fn update(&self, marker: &Marker, own: &[Comment], body: &str) -> Result<Posted, ApiError> {
        let (oldest, rest) = own.split_first().expect("called with at least one comment");
        let newest = own.iter().filter(|comment| marker.find(comment.body()).is_some_and(|run| run > marker.run));
        let posted = match newest.max_by_key(|comment| marker.find(comment.body())) {
            Some(newer) if newer.id == oldest.id => Posted::Superseded { url: oldest.html_url.clone() },
            Some(newer) => {
                self.edit(oldest.id, newer.body())?;
                Posted::Superseded { url: oldest.html_url.clone() }
            }
            None => {
                self.edit(oldest.id, body)?;
                Posted::Updated { url: oldest.html_url.clone() }
            }
        };
        for duplicate in rest {
            if let Err(error) = self.client.delete(&self.comment(duplicate.id)) {
                tracing::warn!("can't delete a duplicate comment: {error}");
            }
        }
        Ok(posted)
    }

    fn edit(&self, id: u64, body: &str) -> Result<(), ApiError> {
        self.client.patch::<serde_json::Value>(&self.comment(id), &json!({ "body": body })).map(drop)
    }

    fn comment(&self, id: u64) -> String {
        format!("/repos/{}/issues/comments/{id}", self.repository)
    }
}

/// The login behind the token. An app's installation token, such as a workflow's own, may not ask: then it is most
/// likely `github-actions[bot]`, and [`Conversation::create`] corrects that guess.
fn who_am_i(client: &Client) -> Result<String, ApiError> {
    match client.get::<User>("/user") {
        Ok(user) => Ok(user.login),
        Err(ApiError::Refused { status: 403 | 404, .. }) => Ok(ACTIONS_BOT.to_owned()),
        Err(error) => Err(error),
    }
}

/// Equal but for line endings and white space at the end, which GitHub may change.
fn same_text(a: &str, b: &str) -> bool {
    a.replace("\r\n", "\n").trim_end() == b.replace("\r\n", "\n").trim_end()
}
