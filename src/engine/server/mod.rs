//! The engine `server`: an OpenAI-compatible endpoint, measured as a client sees it.
//!
//! One streaming request at a time. Times are those at which bytes arrive; tokens are counted by the server's usage and
//! checked against what streamed, as an event of the stream is no token.

mod ask;
mod counting;
mod events;
mod http_client;
mod started_server;

use std::path::Path;

use ask::{Dialect, Ids};
use http_client::Client;
use started_server::StartedServer;

use super::{Engine, EngineError, EngineKind, Generation, Loaded, ModelSpec, Needs, Progress, Refusal};
use crate::case::{Case, DeviceKind, Dtype, ImplementationName};
use crate::device::Capacity;
use crate::models::{self, Model};
use crate::results::Program;

/// What is wrong with an address, if something is.
pub fn check_address(url: &str) -> Result<(), String> {
    Client::check(url).map(drop)
}

/// The engine, before it has asked anybody.
pub struct ServerKind;

impl EngineKind for ServerKind {
    fn name(&self) -> &'static str {
        "server"
    }

    fn implementations(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn is_of_others(&self) -> bool {
        true
    }

    fn usual(&self, device: DeviceKind) -> (&'static str, Dtype) {
        let dtype = if device == DeviceKind::Cuda { Dtype::Bf16 } else { Dtype::F32 };
        (ImplementationName::UNNAMED, dtype)
    }

    fn shape(&self, model: &str, directory: Option<&Path>) -> Result<Option<Model>, EngineError> {
        Ok(directory.is_none().then(|| models::find(model).cloned()).flatten())
    }

    fn refusals(&self, spec: &ModelSpec) -> Vec<Refusal> {
        match &spec.server {
            None => {
                let reason = "the engine `server` needs `server`, with the address up to `/v1`".to_owned();
                vec![Refusal { setting: "server", reason }]
            }
            Some(server) => {
                let wrong = check_address(&server.url).err().or_else(|| forbidden(server.api_key_env.as_deref()?));
                wrong.map(|reason| Refusal { setting: "server", reason }).into_iter().collect()
            }
        }
    }

    fn needs(&self, spec: &ModelSpec, _: &Case, _: &Capacity) -> Result<Needs, EngineError> {
        let vocab_size = models::find(&spec.model).map(|model| model.vocab_size);
        Ok(Needs { vocab_size, ..Needs::default() })
    }

    fn load(&self, spec: &ModelSpec, _: Progress) -> Result<Box<dyn Engine>, EngineError> {
        Ok(Box::new(Server::load(spec)?))
    }
}

/// A configuration may be a pull request's: it doesn't get the keys of others sent anywhere.
fn forbidden(variable: &str) -> Option<String> {
    const OF_OTHERS: [&str; 7] = ["GITHUB_", "GH_", "ACTIONS_", "INPUT_", "RUNNER_", "HF_", "AWS_"];
    let is_theirs = OF_OTHERS.iter().any(|start| variable.to_ascii_uppercase().starts_with(start));
    is_theirs.then(|| {
        format!("`api-key-env = \"{variable}\"`: that variable isn't a server's key; give the key one of its own")
    })
}

/// A server that has answered.
struct Server {
    client: Client,
    dialect: Dialect,
    loaded: Loaded,
    /// Ended after the rest.
    started: Option<StartedServer>,
}

impl Server {
    fn load(spec: &ModelSpec) -> Result<Self, EngineError> {
        let Some(server) = &spec.server else {
            return Err(EngineError::refused("there is no server to ask", "name its address in `server`"));
        };
        let client = Client::of(server)?;
        let mut warnings = Vec::new();
        let started = match &server.start[..] {
            [] => None,
            command => Some(StartedServer::start(command, spec.hub_token(), &client)?),
        };
        if started.is_none() {
            warnings.push("the server ran before and goes on: its runs are of one process".to_owned());
        }
        warnings.extend(
            client.is_remote().then(|| "the server is another machine: the network is measured too".to_owned()),
        );
        let model = server.model.clone().unwrap_or_else(|| spec.model.clone());
        let dialect = Dialect::find(&client, &model)?;
        warnings.extend(dialect.warnings());
        let implementation = Some(spec.implementation.clone());
        let program = Some(Program { name: client.says_it_is(), version: String::new(), ..Program::default() });
        let loaded = Loaded { implementation, warnings, program, ..Loaded::default() };
        Ok(Self { client, dialect, loaded, started })
    }
}

impl Engine for Server {
    fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    fn runs_here(&self) -> bool {
        self.started.is_some()
    }

    fn generate(&mut self, prompt: &[u32], generated_length: usize) -> Result<Generation, EngineError> {
        let request = self.dialect.request(&Ids(prompt), generated_length)?;
        let stream = self.client.stream(self.dialect.path(), &request)?;
        let counted = counting::count(stream, prompt.len(), generated_length)?;
        for warning in counted.warnings {
            if !self.loaded.warnings.contains(&warning) {
                self.loaded.warnings.push(warning);
            }
        }
        Ok(counted.generation)
    }
}
