//! The engine `server`: an OpenAI-compatible endpoint, measured as a client sees it.
//!
//! Streaming requests, one after another or several in flight. Times are those at which bytes arrive; tokens are counted by the server's usage and
//! checked against what streamed, as an event of the stream is no token.

mod ask;
mod counting;
mod events;
mod http_client;
mod in_words;
mod prompts;
mod quick_ack;
mod refused;
mod started_server;
mod streaming;
mod web_servers;

use std::path::Path;
use std::time::Duration;

use ask::{Dialect, Manner};
use http_client::Client;
use refused::Refused;
use started_server::StartedServer;
use streaming::Stream;

use super::{
    Engine, EngineError, EngineKind, Generation, Loaded, ModelSpec, Needs, Progress, Refusal, Served, ServerSpec, Wait,
    cant_follow, foreign_program,
};
use crate::case::{Case, DeviceKind, Dtype, ImplementationName, SeedProtocol, Traffic};
use crate::child::Environment;
use crate::device::Capacity;
use crate::models::{self, Model};

/// What is wrong with an address, if something is.
pub fn check_address(url: &str) -> Result<(), String> {
    Client::check(url).map(drop)
}

/// Its name in the table of engines.
const NAME: &str = "server";

/// The model's server was there before and goes on: it has devices of its own, whatever this machine has.
pub fn runs_already(spec: &ModelSpec) -> bool {
    spec.engine.as_str() == NAME && spec.server.as_ref().is_some_and(|server| server.start.is_empty())
}

/// Why a server couldn't be asked, as far as its key tells.
pub fn lacking_key(server: &ServerSpec) -> Option<EngineError> {
    http_client::key_in(server.api_key_env.as_deref()?).err()
}

/// Fails if nobody answers at its address. Whoever does isn't shown the key.
pub fn reach(server: &ServerSpec) -> Result<(), EngineError> {
    Client::of(&ServerSpec { api_key_env: None, ..server.clone() })?.reach()
}

/// How long after its connections a server may end.
const DYING: Duration = Duration::from_millis(300);

/// The engine, before it has asked anybody.
pub struct ServerKind;

impl EngineKind for ServerKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn implementations(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn is_of_others(&self) -> bool {
        true
    }

    fn takes_traffic(&self) -> bool {
        true
    }

    fn usual(&self, device: DeviceKind) -> (&'static str, Dtype) {
        let dtype = if device == DeviceKind::Cuda { Dtype::Bf16 } else { Dtype::F32 };
        (ImplementationName::UNNAMED, dtype)
    }

    fn shape(&self, model: &str, directory: Option<&Path>) -> Result<Option<Model>, EngineError> {
        Ok(directory.is_none().then(|| models::find(model).cloned()).flatten())
    }

    /// EvalScope asks a server, and Qwen's scripts call their libraries.
    fn refuses_seed_protocol(&self, _: &ModelSpec, protocol: SeedProtocol) -> Option<String> {
        (protocol != SeedProtocol::Evalscope).then(|| cant_follow(self.name(), protocol))
    }

    fn refusals(&self, spec: &ModelSpec) -> Vec<Refusal> {
        match &spec.server {
            None => {
                let reason = "the engine `server` needs `server`, with the address up to `/v1`".to_owned();
                vec![Refusal { setting: "server", reason }]
            }
            Some(server) => wrong(server).map(|reason| Refusal { setting: "server", reason }).into_iter().collect(),
        }
    }

    fn needs(&self, spec: &ModelSpec, _: &Case, _: &Capacity) -> Result<Needs, EngineError> {
        let vocab_size = models::find(&spec.model).map(|model| model.vocab_size);
        let start = spec.server.as_ref().map(|server| &server.start[..]).unwrap_or_default();
        let lacking = foreign_program::lacking(start, spec.start_directory.as_deref());
        Ok(Needs { vocab_size, lacking, ..Needs::default() })
    }

    fn load(&self, spec: &ModelSpec, progress: Progress) -> Result<Box<dyn Engine>, EngineError> {
        self.load_telling(spec, progress, &mut |_| {})
    }

    fn load_telling(&self, spec: &ModelSpec, _: Progress, wait: Wait) -> Result<Box<dyn Engine>, EngineError> {
        Ok(Box::new(Server::load(spec, wait)?))
    }
}

/// What is wrong with the settings of a server.
fn wrong(server: &ServerSpec) -> Option<String> {
    if let Err(reason) = check_address(&server.url) {
        return Some(reason);
    }
    if let Some(reason) = server.api_key_env.as_deref().and_then(forbidden) {
        return Some(reason);
    }
    let ready = server.ready.as_deref()?;
    if !ready.starts_with('/') {
        return Some(format!("`ready = {ready:?}`: it is a path on the server, such as \"/health\""));
    }
    server.start.is_empty().then(|| "`ready` is for a server that `start` starts: name its program there".to_owned())
}

/// A configuration may be a pull request's: it doesn't get the keys of others sent anywhere.
fn forbidden(variable: &str) -> Option<String> {
    const OF_OTHERS: [&str; 8] = ["GITHUB_", "GH_", "ACTIONS_", "INPUT_", "RUNNER_", "HF_", "MODELSCOPE_", "AWS_"];
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
    /// Its tokens were seen to come all at once, which is said once: the times are others in each generation.
    buffers: bool,
    /// Ended after the rest.
    started: Option<StartedServer>,
}

impl Server {
    fn load(spec: &ModelSpec, wait: Wait) -> Result<Self, EngineError> {
        let Some(server) = &spec.server else {
            return Err(EngineError::refused("there is no server to ask", "name its address in `server`"));
        };
        let client = Client::of(server)?;
        let mut warnings = Vec::new();
        let started = match &server.start[..] {
            [] => None,
            command => {
                let environment = Environment::measured(spec.hub_token()).traced_as_this();
                let launch = foreign_program::launch(command, spec.start_directory.as_deref(), environment);
                launch.map(|launch| StartedServer::start(&launch, &client, wait)).transpose()?
            }
        };
        if started.is_none() {
            warnings.push(
                "the server ran before and goes on: its runs are of one process and count as one session".to_owned(),
            );
        }
        warnings.extend(
            client.is_remote().then(|| "the server is another machine: the network is measured too".to_owned()),
        );
        let model = server.model.clone().unwrap_or_else(|| spec.model.clone());
        let manner = if spec.seed_protocol.is_some() { Manner::Evalscope } else { Manner::Ours };
        let dialect = Dialect::find(&client, &model, manner, wait)?;
        warnings.extend(dialect.warnings());
        let implementation = Some(spec.implementation.clone());
        let loaded = Loaded { implementation, warnings, program: client.program(), ..Loaded::default() };
        Ok(Self { client, dialect, loaded, buffers: false, started })
    }

    /// A stream as a generation; what a reader must know of it is noted.
    fn counted(
        &mut self,
        stream: Result<Stream, Refused>,
        prompt: usize,
        generated_length: usize,
    ) -> Result<Generation, EngineError> {
        let stream = stream.map_err(|refused| self.explain(refused))?;
        let counted = counting::count(&stream, prompt, generated_length)?;
        let buffered = counted.buffered.filter(|_| !self.buffers);
        self.buffers |= buffered.is_some();
        for warning in counted.warnings.into_iter().chain(buffered) {
            if !self.loaded.warnings.contains(&warning) {
                self.loaded.warnings.push(warning);
            }
        }
        Ok(counted.generation)
    }

    /// A server that has ended says more than its connections.
    fn explain(&mut self, refused: Refused) -> EngineError {
        let ended = self.started.as_mut().and_then(|started| started.ended(DYING));
        ended.map_or_else(|| self.client.explain(refused), |why| self.client.concealed(&why))
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
        let request = self.dialect.request(prompt, generated_length)?;
        let stream = self.client.stream(self.dialect.path(), &request);
        self.counted(stream, prompt.len(), generated_length)
    }

    /// The same: as whom to ask was settled when the server was found.
    fn generate_sampled(&mut self, prompt: &[u32], generated_length: usize) -> Result<Generation, EngineError> {
        self.generate(prompt, generated_length)
    }

    fn serve(&mut self, traffic: Traffic, prompt: &[u32], generated_length: usize) -> Result<Served, EngineError> {
        let request = |_| self.dialect.request(prompt, generated_length);
        let requests = (0..traffic.requests).map(request).collect::<Result<Vec<_>, _>>()?;
        let (streams, took) = self.client.stream_all(self.dialect.path(), &requests, traffic.concurrency);
        let answers = streams.into_iter().map(|stream| self.counted(stream, prompt.len(), generated_length));
        Served::gather(answers, took)
    }
}
