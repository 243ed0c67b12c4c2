//! Settings that a suite has once: how it is measured, what counts as a change, when to give up.

use std::collections::BTreeMap;

use super::super::TimeLimits;
use super::super::file::NoiseThresholdSettings;
use super::{Resolver, WARMUP_LENGTH, unknown_metric};
use crate::results::Settings;
use crate::thresholds::{ALL, ALPHA, ALPHAS, NoiseThreshold, Thresholds};

impl Resolver<'_> {
    pub(super) fn settings(&self, generated_length: u32) -> Settings {
        let warmup_length = self.pick(|settings| settings.warmup_length).unwrap_or(WARMUP_LENGTH);
        let usual = Settings::default();
        Settings {
            runs: self.pick(|settings| settings.runs).unwrap_or(usual.runs),
            warmup: self.pick(|settings| settings.warmup).unwrap_or(usual.warmup),
            warmup_length: (warmup_length < generated_length).then_some(warmup_length),
            iterations: self.pick(|settings| settings.iterations).unwrap_or(usual.iterations),
            threads: self.pick(|settings| settings.threads),
            prompt: self.pick(|settings| settings.prompt).map_or(usual.prompt, Into::into),
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
        Thresholds { alpha, metrics, noise_thresholds: self.noise_thresholds(), gate_at_threshold }
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
