//! A selection as the flags that say it, for a command that measures the same again.

use std::fmt::Display;
use std::path::Path;

use clap::ValueEnum;

use super::file::{DeviceChoice, ModelSettings, Selection, SuiteSettings};
use crate::device::GpuList;

/// Flags with their values, in the order of the help.
#[derive(Default)]
struct Flags(Vec<String>);

impl Flags {
    fn add(&mut self, flag: &str, value: Option<&(impl Display + ?Sized)>) {
        self.0.extend(value.iter().flat_map(|value| [flag.to_owned(), value.to_string()]));
    }
}

impl Selection {
    /// Words such as `--suite`, `small`, `--runs`, `5`.
    pub fn flags(&self) -> Vec<String> {
        let Self { config, suite, models, settings } = self;
        let mut flags = Flags::default();
        flags.add("--config", config.as_deref().map(Path::display).as_ref());
        flags.add("--suite", suite.as_ref());
        models.iter().for_each(|model| flags.add("--model", Some(model)));
        add_settings(settings, &mut flags);
        flags.0
    }
}

/// Named one by one: a setting that is new has to be thought of here.
fn add_settings(settings: &SuiteSettings, flags: &mut Flags) {
    let SuiteSettings {
        model,
        device,
        gpus,
        runs,
        warmup,
        warmup_length,
        iterations,
        threads,
        prompt,
        prompt_ids,
        seed_protocol,
        alpha,
        counters,
        // These have no flags: only a file has them.
        metrics: _,
        noise_thresholds: _,
        gate_at_threshold: _,
        counters_floor: _,
        limits: _,
    } = settings;
    add_model_settings(model, flags);
    flags.add("--device", device.and_then(name).as_ref());
    flags.add("--gpus", gpus.as_ref().map(listed).as_ref());
    flags.add("--runs", runs.as_ref());
    flags.add("--warmup", warmup.as_ref());
    flags.add("--warmup-length", warmup_length.as_ref());
    flags.add("--iterations", iterations.as_ref());
    flags.add("--threads", threads.as_ref());
    flags.add("--prompt", prompt.as_ref());
    flags.add("--prompt-ids", prompt_ids.as_deref().map(Path::display).as_ref());
    flags.add("--seed-protocol", seed_protocol.as_ref());
    flags.add("--alpha", alpha.as_ref());
    flags.0.extend(counters.map(|counters| format!("--counters={counters}")));
}

fn add_model_settings(settings: &ModelSettings, flags: &mut Flags) {
    let ModelSettings {
        weights,
        revision,
        hub,
        quantization,
        dtype,
        engine,
        implementation,
        command,
        // No flag says it.
        build: _,
        server,
        context_lengths,
        batch_size,
        generated_length,
        concurrency,
        requests,
    } = settings;
    flags.add("--weights", weights.as_ref());
    flags.add("--revision", revision.as_ref());
    flags.add("--hub", hub.as_ref());
    flags.add("--quantization", quantization.as_ref());
    flags.add("--dtype", dtype.as_ref());
    flags.add("--engine", engine.as_ref());
    flags.add("--implementation", implementation.as_ref());
    flags.add("--command", command.as_ref().map(|words| words.join(" ")).as_ref());
    // A table has no flag; its address has.
    flags.add("--server", server.as_ref().map(|server| &server.url));
    let numbers = |numbers: &Vec<u32>| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    flags.add("--context-lengths", context_lengths.as_ref().map(numbers).as_ref());
    flags.add("--batch-size", batch_size.as_ref());
    flags.add("--generated-length", generated_length.as_ref());
    flags.add("--concurrency", concurrency.as_ref().map(numbers).as_ref());
    flags.add("--requests", requests.as_ref());
}

fn name(device: DeviceChoice) -> Option<String> {
    device.to_possible_value().map(|value| value.get_name().to_owned())
}

fn listed(gpus: &GpuList) -> String {
    gpus.names().iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
