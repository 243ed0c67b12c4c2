//! What to send to a server: OpenAI's completions, with as much of what makes a run exact as the server takes.
//!
//! No two servers take the same (ids as a prompt, `ignore_eos`, `min_tokens`), so short requests find out what this one
//! takes.

use std::cell::Cell;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::counting;
use super::http_client::Client;
use super::prompts::Prompts;
use super::refused::Refused;
use crate::engine::{EngineError, Wait};

/// Prompt and generated tokens of the requests that find out.
const TRIED: (usize, usize) = (16, 4);
/// What EvalScope sends where nobody says otherwise.
const EVALSCOPES_SEED: u32 = 42;
/// How long a server that asks us to wait is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// How this server wants to be asked.
pub struct Dialect {
    model: String,
    manner: Manner,
    form: Form,
    extras: Extras,
    prompts: Prompts,
    /// Requests so far.
    asked: Cell<u64>,
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

/// As whom it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Greedily, with prompts that no other request has.
    Ours,
    /// As EvalScope's speed benchmark does: one prompt for all requests, as text; how to sample is left to the server.
    Evalscope,
}

impl Manner {
    fn forms(self) -> &'static [Form] {
        match self {
            Self::Ours => &[Form::Ids, Form::Text, Form::Chat],
            Self::Evalscope => &[Form::Text],
        }
    }
}

/// How it is asked for an exact length, greedily, and without a cache of prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extras {
    /// The fields of vLLM, SGLang and llama.cpp, which pass over each other's.
    Fields,
    /// Those of vLLM and SGLang alone.
    Vllm,
    /// As `transformers serve` takes it.
    GenerationConfig,
    /// With OpenAI's own fields there is no exact length.
    Openai,
    /// Of those, what the oldest servers know: no count of tokens.
    Oldest,
}

impl Dialect {
    /// The first of all that the server takes, and that gives as many tokens as it should.
    pub fn find(client: &Client, model: &str, manner: Manner, wait: Wait) -> Result<Self, EngineError> {
        wait(&format!("the server {} hasn't answered a request for {} tokens in full", client.name(), TRIED.1));
        let extras = [Extras::Fields, Extras::Vllm, Extras::GenerationConfig, Extras::Openai, Extras::Oldest];
        let mut why = None;
        for (form, extras) in manner.forms().iter().flat_map(|&form| extras.map(|extras| (form, extras))) {
            let (model, prompts, asked) = (model.to_owned(), Prompts::default(), Cell::new(0));
            let dialect = Self { model, manner, form, extras, prompts, asked };
            match dialect.try_out(client, wait) {
                Ok(()) => return Ok(dialect),
                Err(Trial::Refused(refused)) if !refused.is_about_the_request() => return Err(client.explain(refused)),
                // The first refusal is of what most servers take; an answer that isn't right says more.
                Err(Trial::Refused(refused)) => why = why.or_else(|| Some(client.explain(refused))),
                Err(Trial::Answered(error)) => why = Some(error),
            }
            why.iter().for_each(|why| wait(&why.to_string()));
        }
        Err(why.unwrap_or_else(|| EngineError::Failed("the server takes no request".to_owned())))
    }

    fn try_out(&self, client: &Client, wait: Wait) -> Result<(), Trial> {
        let prompt = [Prompts::PLAIN; TRIED.0];
        let body = self.request(&prompt, TRIED.1).map_err(Trial::Answered)?;
        let mut later = |refused: &Refused| wait(&client.explain(refused.clone()).to_string());
        let stream = patiently(|| client.stream(self.path(), &body), &mut later).map_err(Trial::Refused)?;
        counting::count(&stream, prompt.len(), TRIED.1).map(drop).map_err(Trial::Answered)
    }

    /// Under the server's address.
    pub fn path(&self) -> &'static str {
        if self.form == Form::Chat { "chat/completions" } else { "completions" }
    }

    /// What a reader of the numbers must know.
    pub fn warnings(&self) -> Vec<String> {
        let form = match self.form {
            Form::Ids => None,
            Form::Text if self.manner == Manner::Evalscope => {
                Some("all requests have one prompt, as EvalScope's do: a cache of prefixes answers the second at once")
            }
            Form::Text => Some("the server takes no token ids: the prompt was sent as text"),
            Form::Chat => Some("the server has only /chat/completions: its template is a part of the prompt"),
        };
        let extras = match self.extras {
            Extras::Fields | Extras::Vllm | Extras::GenerationConfig => None,
            Extras::Openai | Extras::Oldest => Some(
                "the server takes no `ignore_eos`: it generates as many tokens as it should only if no end comes first",
            ),
        };
        form.into_iter().chain(extras).map(str::to_owned).collect()
    }

    /// A request for exactly so many tokens.
    pub fn request(&self, prompt: &[u32], tokens: usize) -> Result<Value, EngineError> {
        self.asked.set(self.asked.get() + 1);
        let mut body = json!({ "model": self.model, "max_tokens": tokens, "stream": true });
        let prompt = match self.manner {
            Manner::Ours => {
                body["temperature"] = json!(0.0);
                self.prompts.distinct(prompt, self.asked.get())
            }
            Manner::Evalscope => {
                body["seed"] = json!(EVALSCOPES_SEED);
                prompt.to_vec()
            }
        };
        match self.form {
            Form::Ids => body["prompt"] = json!(prompt),
            Form::Text => body["prompt"] = json!(Prompts::text(&prompt)?),
            Form::Chat => body["messages"] = json!([{ "role": "user", "content": Prompts::text(&prompt)? }]),
        }
        self.extras.add(&mut body, tokens);
        if self.manner == Manner::Ours {
            self.extras.add_greedy(&mut body, tokens);
        }
        Ok(body)
    }
}

impl Extras {
    fn add(self, body: &mut Value, tokens: usize) {
        if self != Self::Oldest {
            body["stream_options"] = json!({ "include_usage": true });
        }
        match self {
            Self::Fields | Self::Vllm => {
                body["ignore_eos"] = json!(true);
                body["min_tokens"] = json!(tokens);
            }
            Self::GenerationConfig => {
                let config = json!({ "min_new_tokens": tokens, "max_new_tokens": tokens });
                body["generation_config"] = json!(config.to_string());
            }
            Self::Openai | Self::Oldest => {}
        }
    }

    /// A model's own settings may ask for a penalty, with which the likeliest token isn't chosen.
    fn add_greedy(self, body: &mut Value, tokens: usize) {
        match self {
            Self::Fields => {
                Self::Vllm.add_greedy(body, tokens);
                // llama.cpp's words for no penalty, and for a prompt that isn't looked up.
                body["repeat_penalty"] = json!(1.0);
                body["cache_prompt"] = json!(false);
            }
            Self::Vllm => body["repetition_penalty"] = json!(1.0),
            Self::GenerationConfig => {
                let config = json!({ "min_new_tokens": tokens, "max_new_tokens": tokens, "do_sample": false,
                    "repetition_penalty": 1.0 });
                body["generation_config"] = json!(config.to_string());
            }
            Self::Openai | Self::Oldest => {}
        }
    }
}

/// How a request went that should find out what the server takes.
enum Trial {
    Refused(Refused),
    /// It answered, and not with what was asked for.
    Answered(EngineError),
}

/// Again, as long as the server asks to be asked later, which `later` is told: before measuring, and never inside it.
fn patiently<T>(mut ask: impl FnMut() -> Result<T, Refused>, later: &mut dyn FnMut(&Refused)) -> Result<T, Refused> {
    let begun = Instant::now();
    loop {
        match ask() {
            Err(ref refused @ Refused::Status { retry_after: Some(pause), .. })
                if begun.elapsed() + pause < PATIENCE =>
            {
                later(refused);
                sleep(pause);
            }
            other => return other,
        }
    }
}
