//! Streaming requests, one or several at once, and when their bytes arrived.
//!
//! What arrives is only cut into events while it arrives. It is understood afterwards: that takes time in which the bytes of
//! other requests would wait for theirs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::events::{Events, Told};
use super::in_words::in_words;
use super::quick_ack::QuickAck;
use super::refused::{Refused, encoding_of, message};

/// Bytes of a whole stream: a server that never ends must not fill our memory.
const MAX_STREAM: usize = 256 << 20;
/// How long the end of a connection is waited for after the last event, so that it can be used again.
const END: Duration = Duration::from_millis(100);
/// How long connections are looked at before a request.
const SETTLING: Duration = Duration::from_millis(2);

/// What was streamed.
pub struct Stream {
    /// From the request's last byte to each event, and what it says.
    pub events: Vec<(Duration, Value)>,
    /// Until the last event.
    pub end_to_end: Duration,
}

/// What was streamed, not understood yet.
pub struct Arrived {
    asked: Instant,
    /// From the request's last byte to each event, and what it tells.
    events: Vec<(Duration, Told)>,
}

/// A request that can be sent once more.
pub struct Outgoing {
    /// Over any connection.
    pub request: RequestBuilder,
    /// The same over a new connection, where it can be repeated.
    pub again: Option<RequestBuilder>,
    /// How many events its answer may have.
    pub most: usize,
}

/// Requests that nobody has taken yet.
type Queue = Arc<Mutex<Vec<Outgoing>>>;

/// Sends requests until none is left, each as soon as the last has ended; how many do so at once is the concurrency.
pub async fn closed_loop(
    requests: Vec<Outgoing>,
    concurrency: u32,
    silence: Duration,
) -> Vec<Result<Arrived, Refused>> {
    let queue: Queue = Arc::new(Mutex::new(requests));
    let mut senders = JoinSet::new();
    for _ in 0..concurrency {
        senders.spawn(one_after_another(Arc::clone(&queue), silence));
    }
    senders.join_all().await.into_iter().flatten().collect()
}

async fn one_after_another(queue: Queue, silence: Duration) -> Vec<Result<Arrived, Refused>> {
    let mut answers = Vec::new();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(outgoing) = next else { return answers };
        answers.push(arrived(outgoing, silence).await);
    }
}

/// Lets connections notice that the server has closed them: between requests nobody looks, and a request on a connection that
/// is closed is lost.
pub async fn settle() {
    sleep(SETTLING).await;
}

/// Sends a request and takes down what arrives, and when.
pub async fn arrived(outgoing: Outgoing, silence: Duration) -> Result<Arrived, Refused> {
    let most = outgoing.most;
    let (asked, mut answer) = sent(outgoing, silence).await?;
    if !answer.status().is_success() {
        return Err(timeout(silence, Refused::status(answer))
            .await
            .unwrap_or_else(|_| Refused::Unreachable(silent(silence))));
    }
    if let Some(encoding) = encoding_of(&answer) {
        return Err(Refused::Streamed(format!("answered with Content-Encoding {encoding}, which wasn't asked for")));
    }
    let mut arrived = Arrived { asked, events: Vec::new() };
    let (mut reader, mut size) = (Events::default(), 0);
    let acknowledge = QuickAck::of(&answer);
    acknowledge.now();
    // What keeps a connection open is no event: the silence goes on.
    let mut last = Duration::ZERO;
    loop {
        let left = (last + silence).saturating_sub(asked.elapsed());
        let bytes = timeout(left, answer.chunk()).await.map_err(|_| arrived.broke_off(silent(silence)))?;
        let Some(bytes) = bytes.map_err(|error| arrived.broke_off(in_words(error)))? else { break };
        let at = asked.elapsed();
        acknowledge.now();
        size += bytes.len();
        if size > MAX_STREAM {
            return Err(Refused::Streamed(format!("streamed more than {} MiB", MAX_STREAM >> 20)));
        }
        for told in reader.push(&bytes).map_err(Refused::Streamed)? {
            last = at;
            arrived.events.push((at, told));
        }
        if arrived.is_done() {
            end(answer).await;
            return Ok(arrived);
        }
        if arrived.events.len() > most {
            let events = arrived.events.len();
            return Err(Refused::Streamed(format!("streamed {events} events, and goes on: it ends no answer in time")));
        }
    }
    let at = asked.elapsed();
    arrived.events.extend(reader.end().map(|told| (at, told)));
    Ok(arrived)
}

/// Sends a request until there are headers of an answer; when it was sent. llama.cpp closes each connection after a stream,
/// and says that it keeps it: what is sent there a moment later is lost, and sent once more, not over another of those.
async fn sent(outgoing: Outgoing, silence: Duration) -> Result<(Instant, Response), Refused> {
    match (sent_once(outgoing.request, silence).await, outgoing.again) {
        (Err(Lost::Closed(_)), Some(again)) => sent_once(again, silence).await.map_err(Lost::into_refused),
        (sent, _) => sent.map_err(Lost::into_refused),
    }
}

async fn sent_once(request: RequestBuilder, silence: Duration) -> Result<(Instant, Response), Lost> {
    let asked = Instant::now();
    match timeout(silence, request.send()).await {
        Err(_) => Err(Lost::Other(silent(silence))),
        Ok(Ok(answer)) => Ok((asked, answer)),
        Ok(Err(error)) if error.is_connect() || error.is_timeout() => Err(Lost::Other(in_words(error))),
        Ok(Err(error)) => Err(Lost::Closed(in_words(error))),
    }
}

/// Why a request has no answer.
enum Lost {
    /// There was a connection, and it was closed before any.
    Closed(String),
    Other(String),
}

impl Lost {
    fn into_refused(self) -> Refused {
        match self {
            Self::Closed(said) | Self::Other(said) => Refused::Unreachable(said),
        }
    }
}

fn silent(silence: Duration) -> String {
    format!("it said nothing for {} s (`read-seconds`)", silence.as_secs())
}

/// Reads the end of an answer, of which nothing more is expected.
async fn end(mut answer: Response) {
    let rest = async { while answer.chunk().await.is_ok_and(|bytes| bytes.is_some()) {} };
    // A server that doesn't end it costs a connection.
    let _ = timeout(END, rest).await;
}

impl Arrived {
    /// The last event says so.
    fn is_done(&self) -> bool {
        self.events.last().is_some_and(|(_, told)| told.is_error || is_last(&told.data))
    }

    fn broke_off(&self, said: String) -> Refused {
        Refused::BrokeOff { events: self.events.len(), said }
    }

    /// From `begun` to the last event.
    pub fn end_after(&self, begun: Instant) -> Duration {
        self.asked.saturating_duration_since(begun) + self.end_to_end()
    }

    /// When it was asked for.
    pub fn asked(&self) -> Instant {
        self.asked
    }

    fn end_to_end(&self) -> Duration {
        self.events.last().map_or(Duration::ZERO, |(at, _)| *at)
    }

    /// What the events say.
    pub fn understood(self) -> Result<Stream, Refused> {
        let end_to_end = self.end_to_end();
        let events = self.events.into_iter().filter(|(_, told)| told.is_error || !is_last(&told.data));
        let events = events.map(|(at, told)| Ok((at, event(&told)?))).collect::<Result<Vec<_>, Refused>>()?;
        Ok(Stream { events, end_to_end })
    }
}

/// It says only that it is the last.
fn is_last(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]"
}

fn event(Told { is_error, data }: &Told) -> Result<Value, Refused> {
    let failed = || Refused::Streamed(format!("streamed an error: {}", message(data)));
    if *is_error {
        return Err(failed());
    }
    let value: Value = serde_json::from_slice(data).map_err(|_| {
        Refused::Streamed(format!("streamed something else than JSON: {}", String::from_utf8_lossy(data)))
    })?;
    // Under status 200, in the middle of a stream.
    let is_error = value.get("error").is_some_and(|error| !error.is_null()) || value["object"] == "error";
    if is_error { Err(failed()) } else { Ok(value) }
}
