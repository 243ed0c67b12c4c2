//! Settings that a suite has once: how it is measured, what counts as a change, when to give up.

use std::collections::BTreeMap;

use super::super::file::{NoiseThresholdSettings, SuiteSettings};
use super::super::{TimeLimits, prompt_ids};
use super::{Resolver, WARMUP_LENGTH, unknown_metric};
use crate::prompt;
use crate::results::Settings;
use crate::thresholds::{ALL, ALPHA, ALPHAS, NoiseThreshold, Thresholds};

/// Is it set?
type IsSet = fn(&SuiteSettings) -> bool;

/// The settings that a seed protocol says itself.
const OF_THE_PROTOCOL: [(&str, IsSet); 5] = [
    ("warmup", |settings| settings.warmup.is_some()),
    ("warmup-length", |settings| settings.warmup_length.is_some()),
    ("iterations", |settings| settings.iterations.is_some()),
    ("prompt", |settings| settings.prompt.is_some()),
    ("prompt-ids", |settings| settings.prompt_ids.is_some()),
];

impl Resolver<'_> {
    /// The prompt of one's own. Paths in the file start from the file, those of flags from the working directory.
    pub(super) fn prompt_ids(&mut self) -> Option<Vec<u32>> {
        // A seed protocol has a prompt of its own.
        if self.pick(|settings| settings.seed_protocol).is_some() {
            return None;
        }
        let named = self.flags.prompt_ids.clone().or_else(|| {
            let of_file = [&self.suite.settings, self.top].into_iter().find_map(|layer| layer.prompt_ids.as_ref());
            // A rule that a flag names replaces what the file has.
            of_file.filter(|_| self.flags.prompt.is_none()).map(|path| self.directory.join(path))
        })?;
        let read = prompt_ids::read(&named);
        read.map_err(|reason| self.report_suite("prompt-ids", |settings| settings.prompt_ids.is_some(), reason)).ok()
    }

    /// What a seed protocol has of its own isn't passed over where somebody asks for it: in the layer that names the protocol,
    /// or nearer to the command line.
    pub(super) fn check_seed_protocol(&mut self) {
        let layers = [self.flags, &self.suite.settings, self.top];
        let Some(place) = layers.iter().position(|layer| layer.seed_protocol.is_some()) else { return };
        for (key, set) in OF_THE_PROTOCOL {
            if layers[..=place].iter().any(|layer| set(layer)) {
                let reason = format!("`seed-protocol` says that itself: leave `{key}` out");
                self.report_suite(key, set, reason);
            }
        }
    }

    pub(super) fn settings(&self, generated_length: u32, prompt_ids: Option<&[u32]>) -> Settings {
        let settings = self.own_settings(generated_length, prompt_ids);
        let Some(protocol) = self.pick(|settings| settings.seed_protocol) else { return settings };
        Settings {
            warmup: 0,
            warmup_length: None,
            iterations: protocol.iterations(),
            prompt: protocol.prompt().into(),
            seed_protocol: Some(protocol.into()),
            ..settings
        }
    }

    fn own_settings(&self, generated_length: u32, prompt_ids: Option<&[u32]>) -> Settings {
        let by_rule = || self.pick(|settings| settings.prompt).map_or(Settings::default().prompt, Into::into);
        let warmup_length = self.pick(|settings| settings.warmup_length).unwrap_or(WARMUP_LENGTH);
        let usual = Settings::default();
        Settings {
            runs: self.pick(|settings| settings.runs).unwrap_or(usual.runs),
            warmup: self.pick(|settings| settings.warmup).unwrap_or(usual.warmup),
            warmup_length: (warmup_length < generated_length).then_some(warmup_length),
            iterations: self.pick(|settings| settings.iterations).unwrap_or(usual.iterations),
            threads: self.pick(|settings| settings.threads),
            prompt: prompt_ids.map_or_else(by_rule, |_| prompt::OWN.into()),
            prompt_sha256: prompt_ids.map(prompt::hash),
            seed_protocol: None,
            thresholds: None,
        }
    }

    pub(super) fn thresholds(&mut self) -> Thresholds {
        let alpha = self.pick(|settings| settings.alpha).unwrap_or(ALPHA);
        if !ALPHAS.contains(&alpha) {
            self.report_suite(
                "alpha",
                |settings| settings.alpha.is_some(),
                "`alpha` must be from 0.0001 to 0.5".into(),
            );
        }
        let metrics = self.pick(|settings| settings.metrics.clone()).unwrap_or_default();
        for name in &metrics {
            if let Some(reason) = unknown_metric(name) {
                self.report_suite("metrics", |settings| settings.metrics.is_some(), reason);
            }
        }
        let gate_at_threshold = self.pick(|settings| settings.gate_at_threshold).unwrap_or(false);
        let (noise_thresholds, counters_floor) = (self.noise_thresholds(), self.counters_floor());
        Thresholds { alpha, metrics, noise_thresholds, gate_at_threshold, counters_floor }
    }

    fn counters_floor(&mut self) -> f64 {
        let floor = self.pick(|settings| settings.counters_floor.clone());
        floor.map_or(Ok(0.0), |floor| floor.share()).unwrap_or_else(|reason| {
            self.report_suite("counters-floor", |settings| settings.counters_floor.is_some(), reason);
            0.0
        })
    }

    /// Tables of noise thresholds add up over the layers; one for every metric replaces what outer layers say.
    pub(super) fn noise_thresholds(&mut self) -> BTreeMap<String, NoiseThreshold> {
        let mut noise_thresholds = BTreeMap::new();
        for (layer, path) in [(self.top, &[][..]), (&self.suite.settings, &["suites", self.name])] {
            let table = match &layer.noise_thresholds {
                None => continue,
                Some(NoiseThresholdSettings::All(text)) => {
                    noise_thresholds.clear();
                    &BTreeMap::from([(ALL.to_owned(), text.clone())])
                }
                Some(NoiseThresholdSettings::ByMetric(table)) => table,
            };
            for (name, text) in table {
                let unknown = unknown_metric(name).filter(|_| name != ALL);
                match unknown.map_or_else(|| text.threshold(), Err) {
                    Ok(threshold) => drop(noise_thresholds.insert(name.clone(), threshold)),
                    Err(reason) => self.report(&[path, &["noise-thresholds", name]].concat(), reason),
                }
            }
        }
        noise_thresholds
    }

    pub(super) fn limits(&self) -> TimeLimits {
        TimeLimits {
            case_seconds: self.pick(|settings| settings.limits.case_seconds).unwrap_or(1800),
            load_seconds: self.pick(|settings| settings.limits.load_seconds).unwrap_or(3600),
            idle_wait_seconds: self.pick(|settings| settings.limits.idle_wait_seconds).unwrap_or(600),
        }
    }
}
