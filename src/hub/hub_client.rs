//! HTTP to a hub. The token goes to the hub's own address and nowhere else, wherever the hub sends us.

use std::fmt;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, COOKIE, HeaderMap, HeaderValue, LOCATION, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, Url};
use tokio::runtime::{Builder, Runtime};

use super::HubError;
use super::hub_variables::Place;
use super::trouble::Trouble;
use super::waiting_time::retry_after;
use crate::escape;
use crate::https;
use crate::redact::Secrets;

const CONNECT: Duration = Duration::from_secs(15);
/// A body that is silent for longer has been lost.
const SILENCE: Duration = Duration::from_secs(60);
const MOST_REDIRECTS: usize = 10;
/// A list of a thousand files has some hundred thousand bytes.
const MOST_ANSWER: usize = 32 << 20;
/// Characters of a server's own words.
const SAID: usize = 200;

/// A hub, and how to reach it.
pub struct HubClient {
    http: Client,
    runtime: Runtime,
    endpoint: Url,
    /// With the token in them.
    identity: HeaderMap,
    secrets: Secrets,
}

impl HubClient {
    /// `cookie` is where the hub looks for the token, too.
    pub fn new(place: &Place, cookie: Option<&str>) -> Result<Self, HubError> {
        let failed = |why: &dyn fmt::Display| HubError::new(format!("can't make an HTTP client: {why}"));
        let http = https::client_builder().connect_timeout(CONNECT).read_timeout(SILENCE).redirect(Policy::none());
        let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
        Ok(Self {
            http: http.user_agent(agent).build().map_err(|error| failed(&error))?,
            runtime: Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?,
            endpoint: place.endpoint.clone(),
            identity: identity(place.token.as_deref(), cookie)?,
            secrets: Secrets::of_environment().with(place.token.clone()),
        })
    }

    /// Below the hub's own address; each part is one, whatever letters it has.
    pub fn address<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.endpoint.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }

    /// The headers of an answer. Where the hub sends us to a server of others, its own answer tells all.
    pub fn head(&self, url: &Url) -> Result<HeaderMap, Trouble> {
        self.runtime.block_on(async {
            let mut url = url.clone();
            for _ in 0..MOST_REDIRECTS {
                let answer = self.ask(Method::HEAD, &url, 0).await?;
                match redirect(&answer, &url)? {
                    Some(next) if self.is_ours(&next) => url = next,
                    Some(_) => return Ok(answer.headers().clone()),
                    None => return Ok(self.accepted(answer).await?.headers().clone()),
                }
            }
            Err(Trouble::Wrong("the hub redirects without end".to_owned()))
        })
    }

    /// An answer as a whole.
    pub fn whole(&self, url: &Url) -> Result<Vec<u8>, Trouble> {
        self.runtime.block_on(async {
            let mut answer = self.get(url, 0).await?;
            let mut body = Vec::new();
            while let Some(bytes) = answer.chunk().await.map_err(|error| self.broken(&error))? {
                body.extend_from_slice(&bytes);
                if body.len() > MOST_ANSWER {
                    return Err(Trouble::Wrong(format!("the hub answers with more than {MOST_ANSWER} bytes")));
                }
            }
            Ok(body)
        })
    }

    /// The JSON of an answer.
    pub fn json(&self, url: &Url) -> Result<serde_json::Value, Trouble> {
        let body = self.whole(url)?;
        serde_json::from_slice(&body).map_err(|_| {
            let start = String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned();
            let start = escape::short_line(&self.secrets.redact(&start), 60);
            Trouble::Wrong(format!("the hub answers with something else than JSON: `{start}`"))
        })
    }

    /// A body from its byte `from` on, if the server can; each piece is told.
    pub fn stream(
        &self,
        url: &Url,
        from: u64,
        begun: impl FnOnce(&Response) -> Result<(), Trouble>,
        mut piece: impl FnMut(&[u8]) -> Result<(), Trouble>,
        stopped: impl Fn() -> bool,
    ) -> Result<(), Trouble> {
        const LOOK: Duration = Duration::from_millis(200);
        self.runtime.block_on(async {
            let mut answer = self.get(url, from).await?;
            begun(&answer)?;
            loop {
                if stopped() {
                    return Err(Trouble::Stopped);
                }
                match tokio::time::timeout(LOOK, answer.chunk()).await {
                    Err(_) => {}
                    Ok(Ok(Some(bytes))) => piece(&bytes)?,
                    Ok(Ok(None)) => return Ok(()),
                    Ok(Err(error)) => return Err(self.broken(&error)),
                }
            }
        })
    }

    async fn get(&self, url: &Url, from: u64) -> Result<Response, Trouble> {
        let mut url = url.clone();
        for _ in 0..MOST_REDIRECTS {
            let answer = self.ask(Method::GET, &url, from).await?;
            match redirect(&answer, &url)? {
                Some(next) => url = next,
                None => return self.accepted(answer).await,
            }
        }
        Err(Trouble::Wrong("the hub redirects without end".to_owned()))
    }

    async fn ask(&self, method: Method, url: &Url, from: u64) -> Result<Response, Trouble> {
        let mut request = self.http.request(method, url.clone()).header(ACCEPT_ENCODING, "identity");
        if self.is_ours(url) {
            request = request.headers(self.identity.clone());
        }
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        request.send().await.map_err(|error| self.broken(&error))
    }

    /// The token is for this address alone: scheme, host and port.
    fn is_ours(&self, url: &Url) -> bool {
        url.origin() == self.endpoint.origin()
    }

    async fn accepted(&self, answer: Response) -> Result<Response, Trouble> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let header = |name| answer.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let code = header("x-error-code").map(str::to_owned);
        let wait = header(RETRY_AFTER.as_str()).filter(|_| [429, 503].contains(&status.as_u16())).and_then(retry_after);
        let said = header("x-error-message").map(str::to_owned);
        let said = match said {
            Some(said) => said,
            None => said_in(&self.beginning(answer).await),
        };
        let said = self.shown(&said);
        Err(Trouble::Status { status: status.as_u16(), code, said, retry_after: wait })
    }

    /// The hub's own words, for a person.
    pub fn shown(&self, said: &str) -> String {
        escape::short_line(&self.secrets.redact(said), SAID)
    }

    /// Of an error's body: it may have no end.
    async fn beginning(&self, mut answer: Response) -> Vec<u8> {
        let mut body = Vec::new();
        while body.len() < 64 << 10 {
            match answer.chunk().await {
                Ok(Some(bytes)) => body.extend_from_slice(&bytes),
                _ => break,
            }
        }
        body
    }

    /// With all that is behind it: the outermost only says that something went wrong.
    fn broken(&self, error: &reqwest::Error) -> Trouble {
        let mut said = if error.is_connect() { "the hub can't be reached" } else { "the connection broke" }.to_owned();
        let mut source = std::error::Error::source(error);
        while let Some(why) = source {
            said = format!("{said}: {why}");
            source = why.source();
        }
        Trouble::Broken(self.secrets.redact(&said))
    }
}

fn identity(token: Option<&str>, cookie: Option<&str>) -> Result<HeaderMap, HubError> {
    let mut headers = HeaderMap::new();
    let Some(token) = token else { return Ok(headers) };
    let secret = |text: String| {
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    };
    let bad = || HubError::new("the hub's token has letters that no token has").hint("copy it anew");
    headers.insert(AUTHORIZATION, secret(format!("Bearer {token}")).ok_or_else(bad)?);
    if let Some(cookie) = cookie {
        headers.insert(COOKIE, secret(format!("{cookie}={token}")).ok_or_else(bad)?);
    }
    Ok(headers)
}

/// Where an answer sends us: never from a secured connection to an open one.
fn redirect(answer: &Response, from: &Url) -> Result<Option<Url>, Trouble> {
    if !answer.status().is_redirection() || answer.status().as_u16() == 304 {
        return Ok(None);
    }
    let next = answer.headers().get(LOCATION).and_then(|to| from.join(to.to_str().ok()?).ok());
    let next = next.filter(|next| next.scheme() == "https" || next.scheme() == from.scheme());
    let next = next.filter(|next| ["http", "https"].contains(&next.scheme()));
    next.map(Some).ok_or_else(|| Trouble::Wrong("the hub redirects to what is no address".to_owned()))
}

/// An error's own words: ModelScope's, Hugging Face's, or none. A page is no sentence.
fn said_in(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let fields = ["Message", "message", "error", "detail"];
    fields.iter().find_map(|field| value.get(field)?.as_str()).unwrap_or_default().to_owned()
}
