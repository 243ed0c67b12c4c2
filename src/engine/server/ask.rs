//! What to send to a server: OpenAI's completions, with as much of what makes a run exact as the server takes.
//!
//! No two servers take the same (ids as a prompt, `ignore_eos`, `min_tokens`), so a short request finds out what this one
//! takes.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::counting;
use super::http_client::{Client, Refused};
use crate::engine::EngineError;

/// Tokens of the request that finds out.
const TRIED: usize = 4;
/// How long a server that asks us to wait is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// The ids of a prompt.
pub struct Ids<'a>(pub &'a [u32]);

/// How this server wants to be asked.
pub struct Dialect {
    model: String,
    form: Form,
    /// Fields beyond OpenAI's: exact lengths, and no cache of prompts.
    extended: bool,
    asked: std::cell::Cell<u64>,
}

/// Where the prompt stands, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `/completions` with token ids.
    Ids,
    /// `/completions` with text.
    Text,
    /// `/chat/completions`, where there is nothing else: a template is added to the prompt.
    Chat,
}

impl Dialect {
    /// The first of all that the server takes, and that gives as many tokens as it should.
    pub fn find(client: &Client, model: &str) -> Result<Self, EngineError> {
        let forms = [Form::Ids, Form::Text, Form::Chat];
        let dialects = forms.into_iter().flat_map(|form| [true, false].map(|extended| (form, extended)));
        let mut last = None;
        for (form, extended) in dialects {
            let dialect = Self { model: model.to_owned(), form, extended, asked: 0.into() };
            match dialect.try_out(client) {
                Ok(()) => return Ok(dialect),
                Err(error) => last = last.or(Some(error)),
            }
        }
        Err(last.unwrap_or_else(|| EngineError::Failed("the server takes no request".to_owned())))
    }

    fn try_out(&self, client: &Client) -> Result<(), EngineError> {
        let prompt = [35946; 8];
        let stream = patiently(|| {
            let body = self.request(&Ids(&prompt), TRIED).map_err(|error| Refused::Broken(error.to_string()))?;
            client.try_stream(self.path(), &body)
        });
        let stream = stream.map_err(|refused| client.explain(refused))?;
        counting::count(stream, prompt.len(), TRIED).map(drop)
    }

    /// Under the server's address.
    pub fn path(&self) -> &'static str {
        if self.form == Form::Chat { "chat/completions" } else { "completions" }
    }

    /// What a reader of the numbers must know.
    pub fn warnings(&self) -> Vec<String> {
        let form = match self.form {
            Form::Ids => None,
            Form::Text => Some("the server takes no token ids: the prompt was sent as text".to_owned()),
            Form::Chat => {
                Some("the server has only /chat/completions: its template is a part of the prompt".to_owned())
            }
        };
        let plain =
            "the server takes no `ignore_eos` and no `cache_salt`: a prompt that it has seen may come from a cache";
        form.into_iter().chain((!self.extended).then(|| plain.to_owned())).collect()
    }

    /// A request for exactly so many tokens.
    pub fn request(&self, prompt: &Ids, tokens: usize) -> Result<Value, EngineError> {
        let mut body = json!({
            "model": self.model,
            "max_tokens": tokens,
            "temperature": 0.0,
            "stream": true,
            "stream_options": { "include_usage": true },
        });
        match self.form {
            Form::Ids => body["prompt"] = json!(prompt.0),
            Form::Text => body["prompt"] = json!(prompt.text()?),
            Form::Chat => body["messages"] = json!([{ "role": "user", "content": prompt.text()? }]),
        }
        if self.extended {
            let count = self.asked.get() + 1;
            self.asked.set(count);
            body["ignore_eos"] = json!(true);
            body["min_tokens"] = json!(tokens);
            // vLLM's and llama.cpp's words for a prompt that isn't looked up.
            body["cache_salt"] = json!(format!("bench-diff-{}-{count}", std::process::id()));
            body["cache_prompt"] = json!(false);
        }
        Ok(body)
    }
}

impl Ids<'_> {
    /// The text that has these ids, of the prompts that are one character again and again.
    fn text(&self) -> Result<String, EngineError> {
        let character = match self.0.first() {
            Some(35946) => "\u{6211}",
            Some(121_673) => "\u{71b5}",
            _ => "",
        };
        if character.is_empty() || self.0.iter().any(|id| *id != self.0[0]) {
            return Err(EngineError::refused(
                "the server takes no token ids, and this prompt's text isn't known",
                "use `prompt = \"transformers\"` or `prompt = \"evalscope\"`",
            ));
        }
        Ok(character.repeat(self.0.len()))
    }
}

/// Again, as long as the server asks to be asked later: before measuring, and never inside it.
fn patiently<T>(mut ask: impl FnMut() -> Result<T, Refused>) -> Result<T, Refused> {
    let begun = Instant::now();
    loop {
        match ask() {
            Err(Refused::Status { retry_after: Some(pause), .. }) if begun.elapsed() + pause < PATIENCE => sleep(pause),
            other => return other,
        }
    }
}
