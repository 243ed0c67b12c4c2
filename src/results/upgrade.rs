//! A step from each schema to the next.

use super::{v1, v2};

impl From<v1::Results> for v2::Results {
    fn from(old: v1::Results) -> Self {
        let v1::Results { suite, label, cases, settings, sessions } = old;
        Self { schema: 2, suite, label, cases, settings, sessions: sessions.into_iter().map(Into::into).collect() }
    }
}

impl From<v1::Session> for v2::Session {
    fn from(old: v1::Session) -> Self {
        let v1::Session { id, started, finished, program, environment, ceilings, runs, discarded } = old;
        // A session that was cut off before its program spoke.
        let program = (!program.name.is_empty()).then(|| program.into());
        Self {
            id,
            started,
            finished,
            program,
            program_sha256: None,
            environment: environment.into(),
            ceilings,
            runs,
            discarded,
            counters: Vec::new(),
            step_parts: Vec::new(),
        }
    }
}

impl From<v1::Program> for v2::Program {
    fn from(old: v1::Program) -> Self {
        let v1::Program { name, version, commit, candle_version, candle_commit } = old;
        let candle = v2::Component { version: non_empty(candle_version), commit: candle_commit };
        let known = candle != v2::Component::default();
        Self { name, version, commit, components: known.then(|| ("candle".to_owned(), candle)).into_iter().collect() }
    }
}

impl From<v1::Environment> for v2::Environment {
    fn from(old: v1::Environment) -> Self {
        let v1::Environment { gpus, driver_version, cuda_version, cpu, cpu_cores, memory_mib, os, kernel } = old;
        Self {
            gpus: gpus.into_iter().map(Into::into).collect(),
            driver_version,
            cuda_version,
            cpu: non_empty(cpu),
            cpu_cores: (cpu_cores > 0).then_some(cpu_cores),
            memory_mib,
            os: non_empty(os),
            kernel: non_empty(kernel),
        }
    }
}

impl From<v1::Gpu> for v2::Gpu {
    fn from(old: v1::Gpu) -> Self {
        let v1::Gpu {
            name,
            memory_mib,
            compute_capability,
            power_limit_w,
            ecc,
            max_sm_clock_mhz,
            max_memory_clock_mhz,
        } = old;
        let memory_mib = (memory_mib > 0).then_some(memory_mib);
        Self {
            name,
            uuid: None,
            memory_mib,
            compute_capability,
            power_limit_w,
            ecc,
            max_sm_clock_mhz,
            max_memory_clock_mhz,
        }
    }
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
