//! Settings: the file `bench-diff.toml` and the flags become validated values here, once.

mod candle_source;
mod check;
pub(crate) mod engines;
mod file;
mod percent;
mod plain_name;
mod prompt_ids;
mod resolve;
mod selection_flags;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use candle_source::CandleSource;
pub use file::{File, ModelSettings, Selection, SuiteSettings};
pub use plain_name::is_plain_name;

use crate::case::{Case, DeviceKind};
use crate::device::{Gpus, Machine};
use crate::engine::{ModelSpec, Refusal, server};
use crate::error::{Error, Result};
use crate::files;
use crate::hub::HubName;
use crate::results::Settings;
use crate::suggest;
use crate::thresholds::Thresholds;
use check::Checked;
use file::DeviceChoice;
use serde::Deserialize;
use source::{Problems, Source};

/// Looked for in the working directory and its parents.
pub const FILE_NAME: &str = "bench-diff.toml";

/// What `bench-diff init` writes.
pub const STARTER: &str = include_str!("starter.toml");

/// The configuration that holds without a file.
const BUILT_IN: &str = include_str!("built-in.toml");

/// What it is called in messages.
const BUILT_IN_NAME: &str = "the built-in configuration";

/// A validated configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// In the order of the file; at least one.
    pub suites: Vec<Suite>,
    /// The file it came from; `None` for the built-in configuration.
    pub path: Option<PathBuf>,
    /// The hub of models that no suite names.
    pub hub: HubName,
    /// By suite, why it can't be measured by this build.
    refusals: BTreeMap<String, Problems>,
}

/// One suite: what to measure, how, and what counts as a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    /// As the file names it.
    pub name: String,
    /// How to measure.
    pub settings: Settings,
    /// What all its models run on; none on a CPU.
    pub gpus: Gpus,
    /// In the order of the configuration; each model with its cases.
    pub models: Vec<SuiteModel>,
    /// What counts as a change.
    pub thresholds: Thresholds,
    /// When to give up.
    pub limits: TimeLimits,
    /// Count what its cases do on the GPU, beside the timed runs.
    pub counters: bool,
    /// The prompt of one's own, which is repeated or cut to each context length; a rule's when absent.
    pub prompt_ids: Option<Vec<u32>>,
    /// The candle that the measured program is built against; the released one when absent.
    pub candle: Option<CandleSource>,
}

/// A model and the cases that share its loaded weights.
#[derive(Debug, Clone, PartialEq)]
pub struct SuiteModel {
    /// What an engine loads.
    pub spec: ModelSpec,
    /// What is then measured, in this order.
    pub cases: Vec<Case>,
    /// What builds the engine `command` from this repository; empty where nothing has to be built. Absent where it isn't said
    /// to be of this repository.
    pub build: Option<Vec<String>>,
    /// Why the engine can't run the model: its cases fail without being tried, and the rest of the suite goes on.
    pub refused: Option<Refusal>,
}

impl SuiteModel {
    /// What builds its program before that can be started, if anything has to.
    pub fn first_built(&self) -> Option<&[String]> {
        self.build.as_deref().filter(|build| !build.is_empty())
    }
}

/// When to give up.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeLimits {
    /// For one case in one run, loading excluded.
    pub case_seconds: u64,
    /// For loading a model.
    pub load_seconds: u64,
    /// How long to wait for an idle GPU.
    pub idle_wait_seconds: u64,
}

impl Suite {
    /// Where the suite runs; all its models run on one kind of device.
    pub fn device(&self) -> DeviceKind {
        self.models[0].spec.device
    }

    /// Some of its models run on programs of others, which are the same whatever build of bench-diff measures them.
    pub fn has_engines_of_others(&self) -> bool {
        let of_others = |name| crate::engine::find(name).is_ok_and(|engine| engine.is_of_others());
        self.models.iter().any(|model| of_others(&model.spec.engine))
    }

    /// Nothing of bench-diff's runs any of its models.
    pub fn has_only_engines_of_others(&self) -> bool {
        let of_others = |name| crate::engine::find(name).is_ok_and(|engine| engine.is_of_others());
        self.models.iter().all(|model| of_others(&model.spec.engine))
    }

    /// Some of its models run on this machine, and not on servers that were there before.
    pub fn runs_here(&self) -> bool {
        self.models.iter().any(|model| !server::runs_already(&model.spec))
    }

    /// Those of all models.
    pub fn cases(&self) -> impl Iterator<Item = &Case> {
        self.models.iter().flat_map(|model| &model.cases)
    }

    /// The suite with only the cases that `wanted` says.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&Case) -> bool) -> Self {
        let mut suite = self.clone();
        for model in &mut suite.models {
            model.cases.retain(&wanted);
        }
        suite.models.retain(|model| !model.cases.is_empty());
        suite
    }
}

impl Config {
    /// The configuration that `selection` names, with its flags applied to the suite it names.
    ///
    /// `machine` tells what `device = "auto"` stands for, and has the GPUs of the suite that `selection` names.
    pub fn load(selection: &Selection, machine: &Machine) -> Result<Self> {
        let Some(path) = source::locate(selection.config.as_deref()) else {
            return Self::parse(BUILT_IN, BUILT_IN_NAME.into(), Path::new(""), selection, machine);
        };
        let text = text(&path)
            .map_err(|error| Error::usage(format!("can't read the configuration {}", path.display())).because(error))?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let config = Self::parse(&text, path.display().to_string(), directory, selection, machine)?;
        Ok(Self { path: Some(path), ..config })
    }

    /// Parses and validates `text`; `directory` is what its relative paths start from.
    fn parse(text: &str, name: String, directory: &Path, selection: &Selection, machine: &Machine) -> Result<Self> {
        let source = Source::parse(name, text)?;
        let Checked { mut problems, settings } = check::check(&source, schemars::schema_for!(File).as_value());
        let complete = problems.is_empty();
        let left_out = resolve::LeftOut {
            complete,
            candle: settings.iter().any(|path| path.first().is_some_and(|key| key == "candle")),
        };
        // What has a problem already is left out, so that the rest can be judged as well.
        match File::deserialize(toml::Deserializer::from(source.without(&settings))) {
            Ok(file) => {
                let resolved = resolve::resolve(&file, &source, directory, selection, machine, &left_out);
                problems.extend(resolved.problems);
                if problems.is_empty() {
                    let of_suite = |(name, refusals)| (name, source.problems(refusals));
                    let refusals = resolved.refusals.into_iter().map(of_suite).collect();
                    let hub = file.settings.model.hub.unwrap_or_default();
                    return Ok(Self { suites: resolved.suites, path: None, hub, refusals });
                }
                // All at one look.
                problems.extend(resolved.refusals.into_values().flatten());
                Err(source.error(problems))
            }
            Err(error) if complete => {
                let line = error.span().map(|span| source.line(span.start));
                Err(source.error(vec![source::Problem { line, reason: error.message().to_owned() }]))
            }
            Err(_) => Err(source.error(problems)),
        }
    }

    /// The hub that has a model, by its id: as the first suite that measures it says.
    pub fn hub_of(&self, id: &str) -> HubName {
        let models = self.suites.iter().flat_map(|suite| &suite.models);
        let mut specs = models.map(|model| &model.spec).filter(|spec| spec.directory.is_none());
        specs.find(|spec| spec.model == id).map_or(self.hub, |spec| spec.hub)
    }

    /// The suite that is selected: by its name; without a name, the first one that fits the device that is asked for, or this
    /// machine's. This build can measure it.
    fn suite(&self, selection: &Selection, machine: &Machine) -> Result<&Suite> {
        let suite = self.find(selection, machine)?;
        self.refusals.get(&suite.name).map_or(Ok(suite), |refusals| Err(refusals.error()))
    }

    fn find(&self, selection: &Selection, machine: &Machine) -> Result<&Suite> {
        let Some(name) = selection.suite.as_deref() else {
            let device = selection.settings.device.unwrap_or(DeviceChoice::Auto).kind(machine);
            let fits = self.suites.iter().find(|suite| suite.device() == device);
            return Ok(fits.unwrap_or(&self.suites[0]));
        };
        self.suites.iter().find(|suite| suite.name == name).ok_or_else(|| {
            let names: Vec<_> = self.suites.iter().map(|suite| suite.name.as_str()).collect();
            Error::usage(format!("no suite `{name}`")).hint(suggest::hint(name, &names))
        })
    }
}

/// The configuration file, if there is one.
pub fn path(selection: &Selection) -> Option<PathBuf> {
    source::locate(selection.config.as_deref())
}

/// Where baselines and what `ci` keeps lie unless another place is named: the directory of the configuration file; without
/// one, the working directory.
pub fn directory(config: Option<&Path>) -> PathBuf {
    source::locate(config).and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default()
}

/// The configuration as it is, without any flags.
pub fn load(config: Option<&Path>) -> Result<Config> {
    Config::load(&Selection { config: config.map(Path::to_owned), ..Selection::default() }, &Machine::here())
}

/// The selected suite, with the flags applied: what most commands need.
pub fn load_suite(selection: &Selection, machine: &Machine) -> Result<Suite> {
    // Which suite the flags hold for is only known once the file is read without them.
    let config = Config::load(&Selection { config: selection.config.clone(), ..Selection::default() }, machine)?;
    // What it can't do without the flags, it may do with them.
    let name = config.find(selection, machine)?.name.clone();
    let selection = Selection { suite: Some(name), ..selection.clone() };
    Config::load(&selection, machine)?.suite(&selection, machine).cloned()
}

/// The text of a configuration, whoever wrote it.
pub fn text(path: &Path) -> std::io::Result<String> {
    files::text_at_most(path, source::MOST_BYTES)
}

/// The suite that the same selection means in a configuration of another commit; `directory` is what its relative paths
/// start from.
pub fn suite_in(text: &str, name: &str, directory: &Path, selection: &Selection, machine: &Machine) -> Result<Suite> {
    let parse = |selection: &Selection| Config::parse(text, name.to_owned(), directory, selection, machine);
    let suite = parse(&Selection::default())?.find(selection, machine)?.name.clone();
    let selection = Selection { suite: Some(suite), ..selection.clone() };
    parse(&selection)?.suite(&selection, machine).cloned()
}

/// The candle that a configuration of another commit names; `directory` is what its relative paths start from.
pub fn candle_in(text: &str, name: String, directory: &Path) -> Result<Option<CandleSource>> {
    let source = Source::parse(name, text)?;
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| source.line(span.start));
        source.error(vec![source::Problem { line, reason: error.message().to_owned() }])
    })?;
    let resolved = file.candle.as_ref().map(|table| candle_source::resolve(table, &source, directory));
    resolved.transpose().map_err(|problem| source.error(vec![problem]))
}
