//! Flags over a model's settings over its suite's over the file's: the one place where they meet.

mod engine_settings;
mod suite_settings;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::file::{DeviceChoice, File, MAX_LENGTH, ModelEntry, ModelSettings, Selection, SuiteSettings, SuiteTable};
use super::plain_name::is_plain_name;
use super::source::{Problem, Source};
use super::{Suite, SuiteModel, candle_source, engines};
use crate::case::{Case, DeviceKind, Quantization, WeightsSource};
use crate::device::{Gpus, Machine};
use crate::engine::{self, ENGINES, EngineKind, ModelSpec};
use crate::error::Advice;
use crate::metric::Metric;
use crate::results::Settings;
use crate::thresholds::Thresholds;
use crate::{hub, models, suggest};

mod refusing;

/// Tokens that a warm-up generates where the configuration doesn't say.
const WARMUP_LENGTH: u32 = 128;

/// All suites, and everything that is wrong with them.
pub struct Resolved {
    pub suites: Vec<Suite>,
    pub problems: Vec<Problem>,
    /// By suite, what its engines can't do: no fault of the file, and no matter to those who measure another suite.
    pub refusals: BTreeMap<String, Vec<Problem>>,
}

/// Settings in which something is wrong are left out: then nothing is said that could be their absence's fault.
pub struct LeftOut {
    /// None is.
    pub complete: bool,
    /// One of `candle` is.
    pub candle: bool,
}

/// `directory` is what the file's relative paths start from.
pub fn resolve(
    file: &File,
    source: &Source,
    directory: &Path,
    selection: &Selection,
    machine: &Machine,
    left_out: &LeftOut,
) -> Resolved {
    let mut names: Vec<_> = file.suites.keys().collect();
    names.sort_by_key(|name| source.offset(&["suites", name]));
    let none = (SuiteSettings::default(), Vec::new());
    let (mut problems, mut refusals) = (Vec::new(), BTreeMap::new());
    let complete = left_out.complete;
    let candle = file.candle.as_ref().filter(|_| !left_out.candle).and_then(|table| {
        candle_source::resolve(table, source, directory).map_err(|problem| problems.push(problem)).ok()
    });
    let mut suites = Vec::new();
    for name in names {
        let selected = selection.suite.as_ref() == Some(name);
        let (flags, models) = if selected { (&selection.settings, &selection.models) } else { (&none.0, &none.1) };
        let (top, suite) = (&file.settings, &file.suites[name]);
        let found = Vec::new();
        let mut resolver = Resolver {
            source,
            directory,
            machine,
            selected,
            complete,
            name,
            top,
            suite,
            flags,
            problems,
            refusals: found,
        };
        suites.extend(resolver.suite(models).map(|suite| Suite { candle: candle.clone(), ..suite }));
        problems = resolver.problems;
        if !resolver.refusals.is_empty() {
            refusals.insert(name.clone(), resolver.refusals);
        }
    }
    if file.suites.is_empty() && complete {
        problems.push(Problem { line: source.find(&["suites"]), reason: "`suites` is empty".into() });
    }
    Resolved { suites, problems, refusals }
}

/// One suite and the layers of its settings.
struct Resolver<'a> {
    source: &'a Source<'a>,
    directory: &'a Path,
    machine: &'a Machine,
    /// This is the suite that is wanted: what it needs must be there.
    selected: bool,
    /// No setting is missing that the file has.
    complete: bool,
    name: &'a str,
    top: &'a SuiteSettings,
    suite: &'a SuiteTable,
    flags: &'a SuiteSettings,
    problems: Vec<Problem>,
    refusals: Vec<Problem>,
}

/// One model of the suite.
struct Entry<'a> {
    /// As the person wrote it.
    model: &'a str,
    settings: Option<&'a ModelSettings>,
    /// The last part of its cases' ids, if it has one.
    name: Option<&'a str>,
    /// In the file; `None` for one from the command line.
    index: Option<String>,
}

impl<'a> Resolver<'a> {
    fn suite(&mut self, flag_models: &'a [String]) -> Option<Suite> {
        let found = self.problems.len();
        self.check_name();
        let choice = self.pick(|settings| settings.device).unwrap_or(DeviceChoice::Auto);
        let device = choice.kind(self.machine);
        let entries = self.entries(flag_models);
        let gpus = self.gpus(choice, device);
        let models = entries.iter().filter_map(|entry| Some((entry, self.model(entry, device, &gpus)?)));
        let models: Vec<(&Entry, SuiteModel)> = models.collect();
        self.check_unique(&models);
        self.report_refused(&models);
        let models: Vec<SuiteModel> = models.into_iter().map(|(_, model)| model).collect();
        let longest = models.iter().flat_map(|model| &model.cases).map(|case| case.generated_length).max();
        let (thresholds, limits) = (self.thresholds(), self.limits());
        self.check_seed_protocol();
        let prompt_ids = self.prompt_ids();
        let kept = (thresholds != Thresholds::default()).then(|| Box::new(thresholds.clone()));
        let settings = self.settings(longest.unwrap_or(WARMUP_LENGTH), prompt_ids.as_deref());
        let settings = Settings { thresholds: kept, ..settings };
        let name = self.name.to_owned();
        let counters = self.pick(|settings| settings.counters).unwrap_or(device == DeviceKind::Cuda);
        let suite = Suite { name, settings, gpus, models, thresholds, limits, counters, prompt_ids, candle: None };
        (self.problems.len() == found).then_some(suite)
    }

    /// The names of suites are also names of directories.
    fn check_name(&mut self) {
        if !is_plain_name(self.name) {
            let reason =
                format!("a suite's name has up to 64 letters, digits, `-`, `_` and `.`, unlike {:?}", self.name);
            self.report(&["suites", self.name], reason);
        }
    }

    fn entries(&self, flag_models: &'a [String]) -> Vec<Entry<'a>> {
        if !flag_models.is_empty() {
            return flag_models.iter().map(|model| Entry { model, settings: None, name: None, index: None }).collect();
        }
        let entries = self.suite.models.iter().enumerate();
        entries
            .map(|(index, entry)| {
                let (model, settings, name) = match entry {
                    ModelEntry::Id(model) => (model, None, None),
                    ModelEntry::Table(table) => (&table.model, Some(&table.settings), table.name.as_deref()),
                };
                Entry { model, settings, name, index: Some(index.to_string()) }
            })
            .collect()
    }

    fn model(&mut self, entry: &Entry<'a>, device: DeviceKind, gpus: &Gpus) -> Option<SuiteModel> {
        let engine = self.engine(entry);
        let directory = self.model_directory(entry);
        let (name, published) = match &directory {
            Some(directory) => self.published(entry, engine, directory),
            None => self.find_id(entry).map(|model| (models::whole_name(model, entry.model), model.quantization))?,
        };
        let weights = self.weights(entry, directory.as_deref());
        let (usual_implementation, usual_dtype) = engine.usual(device);
        let spec = ModelSpec {
            directory,
            revision: self
                .pick_model(entry, |settings| settings.revision.clone())
                .filter(|_| weights == WeightsSource::Hub),
            hub: self.pick_model(entry, |settings| settings.hub).unwrap_or_default(),
            weights,
            quantization: self.pick_model(entry, |settings| settings.quantization).unwrap_or(published),
            dtype: self.pick_model(entry, |settings| settings.dtype).unwrap_or(usual_dtype),
            engine: engine.name().into(),
            command: engines::words_of(self.pick_model(entry, |settings| settings.command.clone()).unwrap_or_default()),
            start_directory: self.start_directory(),
            server: self.pick_model(entry, |settings| settings.server.clone()),
            implementation: self
                .pick_model(entry, |settings| settings.implementation.clone())
                .unwrap_or_else(|| usual_implementation.into()),
            gpus: gpus.ordinals(),
            batch_size: self.pick_model(entry, |settings| settings.batch_size).unwrap_or(1),
            seed_protocol: self.pick(|settings| settings.seed_protocol),
            ..ModelSpec::generated(name, device)
        };
        let refused = self.refused(entry, engine::refusals(engine, &spec));
        let (contexts, generated_length) = self.lengths(entry);
        let name = self.case_name(entry);
        let named =
            |case: Case| Case { id: name.map_or(case.id.clone(), |name| format!("{}/{name}", case.id)), ..case };
        let under_traffic = self.under_traffic(entry, engine);
        let cases = contexts.iter().flat_map(|&context| under_traffic(spec.case(context, generated_length)));
        let cases: Vec<Case> = cases.map(named).collect();
        let max_length = cases.iter().map(Case::length).max().unwrap_or(0) as usize;
        let build = self.build(entry);
        Some(SuiteModel { spec: ModelSpec { max_length, ..spec }, cases, build, refused })
    }

    fn case_name(&mut self, entry: &Entry<'a>) -> Option<&'a str> {
        if let Some(name) = entry.name.filter(|name| !is_plain_name(name)) {
            let reason = format!("a name has up to 64 letters, digits, `-`, `_` and `.`, unlike {name:?}");
            self.report_entry(entry, reason);
        }
        entry.name
    }

    /// The engine that an entry names: the flags and the schema let only known names pass.
    fn engine(&mut self, entry: &Entry) -> &'static dyn EngineKind {
        let Some(name) = self.engine_name(entry) else { return ENGINES[0] };
        engine::find(&name).unwrap_or_else(|error| {
            self.report_model(entry, "engine", |settings| settings.engine.is_some(), error.in_one_line());
            ENGINES[0]
        })
    }

    /// The directory or GGUF file that an entry names: it starts with `.` or `/`, as no id does, or is there and no id.
    fn model_directory(&self, entry: &Entry) -> Option<PathBuf> {
        // Paths in the file start from the file, those of flags from the working directory.
        let from = if entry.index.is_some() { self.directory } else { Path::new("") };
        let directory: PathBuf = from.join(entry.model).components().collect();
        let is_meant = || !entry.model.is_empty() && models::find(entry.model).is_none() && hub::is_model(&directory);
        (entry.model.starts_with(['.', '/']) || is_meant()).then_some(directory)
    }

    /// Paths of a program in the file start from the file, those of flags from the working directory.
    fn start_directory(&self) -> Option<PathBuf> {
        let of_flags = &self.flags.model;
        let of_file = of_flags.command.is_none() && of_flags.server.is_none() && !self.directory.as_os_str().is_empty();
        of_file.then(|| std::path::absolute(self.directory).unwrap_or_else(|_| self.directory.to_owned()))
    }

    /// What the model of a directory is called, and how its weights are quantized.
    fn published(&mut self, entry: &Entry, engine: &dyn EngineKind, directory: &Path) -> (String, Quantization) {
        let name = file_name(directory);
        let shape = engine.shape(&name, Some(directory)).unwrap_or_else(|error| {
            self.report_entry(entry, format!("no model in `{}`: {}", entry.model, error.in_one_line()));
            None
        });
        shape.map_or((name, Quantization::None), |shape| (shape.id, shape.quantization))
    }

    fn find_id(&mut self, entry: &Entry) -> Option<&'static models::Model> {
        if entry.model.is_empty() && !self.complete {
            return None; // The file lacks it, which is said.
        }
        let Some(model) = models::find(entry.model) else {
            let ids: Vec<_> = models::all().iter().map(|model| model.id.as_str()).collect();
            let hint = match suggest::nearest(entry.model, ids) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "use an id of the Qwen2.5 collection such as `Qwen/Qwen2.5-0.5B-Instruct`, or a directory such \
                         as `./my-model`"
                        .into()
                }
            };
            self.report_entry(entry, format!("unknown model `{}`: {hint}", entry.model));
            return None;
        };
        Some(model)
    }

    fn weights(&mut self, entry: &Entry, directory: Option<&Path>) -> WeightsSource {
        let usual = if directory.is_some() { WeightsSource::Local } else { WeightsSource::Hub };
        // Who names files of their own means them.
        let chosen = match self.source.is_built_in() && directory.is_some_and(hub::has_weights) {
            true => self.flags.model.weights,
            false => self.pick_model(entry, |settings| settings.weights),
        };
        let weights = chosen.unwrap_or(usual);
        let reason = match (weights, directory.is_some()) {
            (WeightsSource::Hub, true) => "the hub has no weights for a directory: use `local` or `generated`",
            (WeightsSource::Local, false) => "local weights need the model's directory, such as `./my-model`",
            _ => return weights,
        };
        if self.complete {
            self.report_model(entry, "weights", |settings| settings.weights.is_some(), reason.into());
        }
        weights
    }

    /// Context lengths and the generated length.
    fn lengths(&mut self, entry: &Entry) -> (Vec<u32>, u32) {
        let contexts = self.pick_model(entry, |settings| settings.context_lengths.clone());
        let mut contexts = contexts.unwrap_or_else(|| vec![1, 6144]);
        let generated = self.pick_model(entry, |settings| settings.generated_length).unwrap_or(2048);
        let too_long = contexts.iter().find(|&&context| context.saturating_add(generated) > MAX_LENGTH);
        if let Some(context) = too_long.filter(|_| self.complete) {
            let reason = format!(
                "a context of {context} and {generated} generated tokens are more than the {MAX_LENGTH} that Qwen2.5 supports"
            );
            self.report_model(entry, "context-lengths", |settings| settings.context_lengths.is_some(), reason);
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = contexts.iter().find(|context| !seen.insert(**context)) {
            let reason = format!("`{twice}` is there twice");
            self.report_model(entry, "context-lengths", |settings| settings.context_lengths.is_some(), reason);
        }
        contexts.retain(|context| seen.remove(context));
        (contexts, generated)
    }

    fn gpus(&mut self, choice: DeviceChoice, device: DeviceKind) -> Gpus {
        let wanted = self.pick(|settings| settings.gpus.clone()).unwrap_or_default();
        let found = match (wanted.check(), device) {
            (Err(reason), _) => Err(reason),
            (_, DeviceKind::Cpu) if self.flags.gpus.is_some() && self.flags.device == Some(DeviceChoice::Cpu) => {
                Err("a CPU is asked for with `--device cpu`: leave out one of both".to_owned())
            }
            (_, DeviceKind::Cpu) if self.flags.gpus.is_some() && self.is_cpu_by_chance(choice) => {
                Err(self.no_gpu().to_owned())
            }
            (_, DeviceKind::Cpu) if self.flags.gpus.is_some() && self.selected => Err(format!(
                "suite `{}` is for a CPU: leave it out, name another suite with `--suite`, or add `--device cuda`",
                self.name
            )),
            (_, DeviceKind::Cpu) if self.selected && self.is_cpu_beside_gpus() => {
                Err(format!("suite `{}` says `device = \"cpu\"` as well: leave out one of both", self.name))
            }
            // A suite of a file may be for any machine.
            (_, DeviceKind::Cpu) => Ok(Gpus::default()),
            (_, DeviceKind::Cuda) if self.selected => self.machine.select(&wanted),
            // The cards of a suite for another machine may be in the file, too.
            (_, DeviceKind::Cuda) => Ok(Gpus::Unknown((0..wanted.names().len() as u32).collect())),
        };
        found.unwrap_or_else(|reason| {
            self.report_suite("gpus", |settings| settings.gpus.is_some(), reason);
            Gpus::default()
        })
    }

    /// The machine made it one, and nobody's word: without a file, by the suite that fits.
    fn is_cpu_by_chance(&self, choice: DeviceChoice) -> bool {
        self.machine.kind() == DeviceKind::Cpu && (choice == DeviceChoice::Auto || self.source.is_built_in())
    }

    /// Of one suite, by its own lines.
    fn is_cpu_beside_gpus(&self) -> bool {
        let SuiteSettings { gpus, device, .. } = &self.suite.settings;
        self.flags.device.is_none() && gpus.is_some() && *device == Some(DeviceChoice::Cpu)
    }

    /// Why `auto` is a CPU.
    fn no_gpu(&self) -> &'static str {
        if self.machine.has_gpu() {
            "this build of bench-diff can't use a GPU: leave it out, or add `--device cuda` for a program that can"
        } else {
            "there is no GPU here: leave it out (`bench-diff plan --device cuda` assumes GPUs)"
        }
    }

    /// Cases are compared by id, so it must say which case is meant.
    fn check_unique(&mut self, models: &[(&Entry, SuiteModel)]) {
        let mut seen = BTreeSet::new();
        for (entry, case) in models.iter().flat_map(|(entry, model)| model.cases.iter().map(move |case| (entry, case)))
        {
            if !seen.insert(&case.id) && self.complete {
                let reason = match entry.index {
                    Some(_) => format!(
                        "suite `{}` has the case {} twice: give one of its models a `name`, or put it into another suite",
                        self.name, case.id
                    ),
                    None => format!("the case {} is there twice", case.id),
                };
                self.report_entry(entry, reason);
            }
        }
    }

    /// The innermost layer that has the setting.
    fn pick<T>(&self, get: impl Fn(&SuiteSettings) -> Option<T>) -> Option<T> {
        [self.flags, &self.suite.settings, self.top].into_iter().find_map(get)
    }

    fn pick_model<T>(&self, entry: &Entry, get: impl Fn(&ModelSettings) -> Option<T>) -> Option<T> {
        let own = entry.settings.and_then(&get);
        get(&self.flags.model).or(own).or_else(|| get(&self.suite.settings.model)).or_else(|| get(&self.top.model))
    }

    fn report(&mut self, path: &[&str], reason: String) {
        self.problems.push(Problem { line: self.source.find(path), reason });
    }

    fn report_entry(&mut self, entry: &Entry, reason: String) {
        match &entry.index {
            Some(index) => self.report(&["suites", self.name, "models", index], reason),
            None => self.problems.push(Problem { line: None, reason: format!("--model: {reason}") }),
        }
    }

    /// A problem with the value of `key`, reported where the value comes from: `set` tells which layer has it.
    fn report_suite(&mut self, key: &str, set: impl Fn(&SuiteSettings) -> bool, reason: String) {
        if set(self.flags) {
            self.problems.push(Problem { line: None, reason: format!("--{key}: {reason}") });
        } else if set(&self.suite.settings) {
            self.report(&["suites", self.name, key], reason);
        } else if set(self.top) {
            self.report(&[key], reason);
        } else {
            self.report(&["suites", self.name], reason);
        }
    }

    fn report_model(&mut self, entry: &Entry, key: &str, set: impl Fn(&ModelSettings) -> bool, reason: String) {
        let own = entry.settings.is_some_and(&set) && !set(&self.flags.model);
        match &entry.index {
            Some(index) if own => self.report(&["suites", self.name, "models", index, key], reason),
            _ => self.report_suite(key, |settings| set(&settings.model), reason),
        }
    }
}

/// What is wrong with a metric's name.
fn unknown_metric(name: &str) -> Option<String> {
    let names: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    (!names.contains(&name)).then(|| format!("unknown metric `{name}`: {}", suggest::hint(name, &names)))
}

/// The last part of a path, as a name for what is there.
fn file_name(directory: &Path) -> String {
    let named = directory.file_name().map(ToOwned::to_owned);
    // `.` and `..` have no name until they are resolved.
    let named = named.or_else(|| directory.canonicalize().ok()?.file_name().map(ToOwned::to_owned));
    named.map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}
