//! Between memory and schema 2, both ways. The types in memory serialize as schema 2 says, so that what leaves the
//! program (a plan, an event of a worker, a report) has one form for one thing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{model, v2};
use crate::case::{Case, ModelIdentity, Traffic};
use crate::thresholds::{NoiseThreshold, Thresholds};

/// Structs of the same names: fields of the same type, fields whose types differ as well, and options and lists of such.
macro_rules! same_fields {
    ($($disk:ident = $memory:path {
        $($field:ident),*; types $($nested:ident),*; options $($option:ident),*; lists $($list:ident),*
    })+) => {$(
        impl From<v2::$disk> for $memory {
            fn from(disk: v2::$disk) -> Self {
                Self {
                    $($field: disk.$field,)*
                    $($nested: disk.$nested.into(),)*
                    $($option: disk.$option.map(Into::into),)*
                    $($list: disk.$list.into_iter().map(Into::into).collect(),)*
                }
            }
        }

        impl From<&$memory> for v2::$disk {
            fn from(memory: &$memory) -> Self {
                Self {
                    $($field: memory.$field.clone(),)*
                    $($nested: (&memory.$nested).into(),)*
                    $($option: memory.$option.as_ref().map(Into::into),)*
                    $($list: memory.$list.iter().map(Into::into).collect(),)*
                }
            }
        }
    )+};
}

same_fields! {
    Case = Case {
        id, model, revision, weights, quantization, dtype, engine, implementation, device, gpus, batch_size,
        context_length, generated_length; types; options identity, traffic; lists
    }
    ModelIdentity = ModelIdentity { shape, weights_sha256; types; options; lists }
    Traffic = Traffic { concurrency, requests; types; options; lists }
    Settings = model::Settings {
        runs, warmup, warmup_length, iterations, threads, prompt, prompt_sha256, seed_protocol; types; options thresholds;
        lists
    }
    Discarded = model::Discarded { why; types run; options; lists }
    Component = model::Component { version, commit; types; options; lists }
    Environment = model::Environment {
        driver_version, cuda_version, cpu, cpu_cores, memory_mib, os, kernel; types; options; lists gpus
    }
    Gpu = model::Gpu {
        name, uuid, memory_mib, compute_capability, power_limit_w, ecc, max_sm_clock_mhz, max_memory_clock_mhz;
        types; options; lists
    }
    Ceilings = model::Ceilings { bandwidth_gb_s, matmul_tflop_s; types; options; lists }
    Measurement = model::Measurement {
        metrics, token_hash, implementation, clock, shared_process, load_ms, warnings; types;
        options itl, program, device, roofline; lists by_card
    }
    Distribution = model::Distribution { count, mean, min, max, quantiles, histogram; types; options; lists }
    DeviceState = model::DeviceState {
        sm_clock_mhz, memory_clock_mhz, temperature_c, power_w, throttle_reasons; types; options; lists
    }
    CardState = model::CardState { uuid, peak_memory_mib, energy_j; types state; options; lists }
    Roofline = model::Roofline { decode, prefill; types; options; lists }
    Failure = model::Failure { reason; types kind; options; lists }
    Run = model::Run { case, round, started; types outcome; options; lists }
}

impl From<v2::Thresholds> for Box<Thresholds> {
    fn from(disk: v2::Thresholds) -> Self {
        let fixed = disk.noise_thresholds.into_iter().map(|(name, share)| (name, NoiseThreshold::Fixed(share)));
        let auto = disk.auto_noise_thresholds.into_iter().map(|name| (name, NoiseThreshold::Auto));
        let v2::Thresholds { alpha, metrics, gate_at_threshold, counters_floor, .. } = disk;
        let noise_thresholds = fixed.chain(auto).collect();
        Self::new(Thresholds { alpha, metrics, noise_thresholds, gate_at_threshold, counters_floor })
    }
}

impl From<&Box<Thresholds>> for v2::Thresholds {
    fn from(memory: &Box<Thresholds>) -> Self {
        let Thresholds { alpha, metrics, noise_thresholds, gate_at_threshold, counters_floor } = (**memory).clone();
        let mut disk = Self {
            alpha,
            metrics,
            noise_thresholds: BTreeMap::new(),
            auto_noise_thresholds: Vec::new(),
            gate_at_threshold,
            counters_floor,
        };
        for (name, threshold) in noise_thresholds {
            match threshold {
                NoiseThreshold::Fixed(share) => drop(disk.noise_thresholds.insert(name, share)),
                NoiseThreshold::Auto => disk.auto_noise_thresholds.push(name),
            }
        }
        disk
    }
}

impl From<v2::Outcome> for model::Outcome {
    fn from(disk: v2::Outcome) -> Self {
        match disk {
            v2::Outcome::Ok(measurement) => Self::Ok(measurement.into()),
            v2::Outcome::Failed(failure) => Self::Failed(failure.into()),
        }
    }
}

impl From<&model::Outcome> for v2::Outcome {
    fn from(memory: &model::Outcome) -> Self {
        match memory {
            model::Outcome::Ok(measurement) => Self::Ok(measurement.into()),
            model::Outcome::Failed(failure) => Self::Failed(failure.into()),
        }
    }
}

/// The same words in the same order.
macro_rules! same_kinds {
    ($($kind:ident),+) => {
        impl From<v2::FailureKind> for model::FailureKind {
            fn from(disk: v2::FailureKind) -> Self {
                match disk { $(v2::FailureKind::$kind => Self::$kind),+ }
            }
        }

        impl From<&model::FailureKind> for v2::FailureKind {
            fn from(memory: &model::FailureKind) -> Self {
                match memory { $(model::FailureKind::$kind => Self::$kind),+ }
            }
        }
    };
}

same_kinds!(DoesNotFit, OutOfMemory, TimedOut, Crashed, Error);

impl From<v2::Program> for model::Program {
    fn from(disk: v2::Program) -> Self {
        let components = disk.components.into_iter().map(|(name, part)| (name, part.into())).collect();
        Self { name: disk.name, version: disk.version, commit: disk.commit, components }
    }
}

impl From<&model::Program> for v2::Program {
    fn from(memory: &model::Program) -> Self {
        let model::Program { name, version, commit, components } = memory.clone();
        let components = components.iter().map(|(name, part)| (name.clone(), part.into())).collect();
        Self { name, version, commit, components }
    }
}

impl From<v2::Session> for model::Session {
    fn from(disk: v2::Session) -> Self {
        Self {
            id: disk.id,
            started: disk.started,
            finished: disk.finished,
            program: disk.program.map(Into::into).unwrap_or_default(),
            program_sha256: disk.program_sha256,
            environment: disk.environment.into(),
            ceilings: disk.ceilings.map(Into::into),
            runs: disk.runs.into_iter().map(Into::into).collect(),
            discarded: disk.discarded.into_iter().map(Into::into).collect(),
            counters: disk.counters.into_iter().map(Into::into).collect(),
            step_parts: disk.step_parts,
        }
    }
}

impl From<&model::Session> for v2::Session {
    fn from(memory: &model::Session) -> Self {
        Self {
            id: memory.id.clone(),
            started: memory.started.clone(),
            finished: memory.finished.clone(),
            program: (memory.program != model::Program::default()).then(|| (&memory.program).into()),
            program_sha256: memory.program_sha256.clone(),
            environment: (&memory.environment).into(),
            ceilings: memory.ceilings.as_ref().map(Into::into),
            runs: memory.runs.iter().map(Into::into).collect(),
            discarded: memory.discarded.iter().map(Into::into).collect(),
            counters: memory.counters.iter().map(Into::into).collect(),
            step_parts: memory.step_parts.clone(),
        }
    }
}

impl From<v2::Results> for model::Results {
    fn from(disk: v2::Results) -> Self {
        Self {
            suite: disk.suite,
            label: disk.label,
            cases: disk.cases.into_iter().map(Into::into).collect(),
            settings: disk.settings.into(),
            sessions: disk.sessions.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<&model::Results> for v2::Results {
    fn from(memory: &model::Results) -> Self {
        Self {
            schema: super::SCHEMA,
            suite: memory.suite.clone(),
            label: memory.label.clone(),
            cases: memory.cases.iter().map(Into::into).collect(),
            settings: (&memory.settings).into(),
            sessions: memory.sessions.iter().map(Into::into).collect(),
        }
    }
}

/// Types in memory that are written and described as those of schema 2.
macro_rules! written_as_v2 {
    ($($disk:ident = $memory:path),+ $(,)?) => {$(
        impl Serialize for $memory {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                v2::$disk::from(self).serialize(serializer)
            }
        }

        impl JsonSchema for $memory {
            fn inline_schema() -> bool {
                v2::$disk::inline_schema()
            }

            fn schema_name() -> Cow<'static, str> {
                v2::$disk::schema_name()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                v2::$disk::json_schema(generator)
            }
        }
    )+};
}

/// And read: what doesn't name its schema has that of whatever it is part of.
macro_rules! read_as_v2 {
    ($($disk:ident = $memory:path),+ $(,)?) => {$(
        impl<'de> Deserialize<'de> for $memory {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                v2::$disk::deserialize(deserializer).map(Into::into)
            }
        }
    )+};
}

written_as_v2! {
    Results = model::Results, Case = Case, Settings = model::Settings, Program = model::Program,
    Ceilings = model::Ceilings, Measurement = model::Measurement, Failure = model::Failure,
    ModelIdentity = ModelIdentity,
}

read_as_v2! {
    Case = Case, Settings = model::Settings, Program = model::Program, Ceilings = model::Ceilings,
    Measurement = model::Measurement, Failure = model::Failure, ModelIdentity = ModelIdentity,
}
