//! In what hardware and settings differ: numbers from different machines or different work can't be compared.
//!
//! What is unknown on a side is no difference. The measured program is no difference either: it is what is compared.

use std::collections::BTreeSet;

use super::side::{CaseSide, SessionFacts, Side};
use super::{Difference, model_of_case};
use crate::case::{Case, DeviceKind};
use crate::results::{Environment, Program, Settings};

/// A card's memory is reported with or without what the driver reserves.
const MEMORY_TOLERANCE: f64 = 0.02;

/// Fields of machine and settings that differ, for all cases.
pub(super) fn differences(base: &Side, head: &Side) -> Vec<Difference> {
    let mut found = Vec::new();
    let on_cpu = |side: &Side| {
        side.cases.iter().filter_map(|case| case.case.as_ref()).any(|case| case.device == DeviceKind::Cpu)
    };
    let cpu_matters = on_cpu(base) && on_cpu(head);
    for field in fields(cpu_matters) {
        let values = |side: &Side| -> BTreeSet<String> {
            side.sessions.iter().filter_map(|session| (field.get)(&session.environment)).collect()
        };
        found.extend(difference(field.name, field.blocks, values(base), values(head)));
    }
    // Of an engine, another commit is what is compared.
    let named = |engine: &Program| Program { commit: None, ..engine.clone() }.describe();
    let engines = |side: &Side| side.cases.iter().flat_map(|case| case.engines.iter().map(named)).collect();
    found.extend(difference("engine_program", false, engines(base), engines(head)));
    if let (Some(base), Some(head)) = (&base.settings, &head.settings) {
        found.extend(settings_differences(base, head));
    }
    found
}

/// Settings that make numbers mean something else.
pub fn settings_differences(base: &Settings, head: &Settings) -> Vec<Difference> {
    let or = |value: Option<u32>, word: &str| value.map_or(word.to_owned(), |value| value.to_string());
    let settings = [
        ("warmup", base.warmup.to_string(), head.warmup.to_string()),
        ("warmup_length", or(base.warmup_length, "whole"), or(head.warmup_length, "whole")),
        ("iterations", base.iterations.to_string(), head.iterations.to_string()),
        ("threads", or(base.threads, "any"), or(head.threads, "any")),
        ("prompt", base.prompt.to_string(), head.prompt.to_string()),
        ("prompt_sha256", own_prompt(base), own_prompt(head)),
        ("seed_protocol", seed_protocol(base), seed_protocol(head)),
    ];
    let differing = |(name, base, head)| difference(name, true, BTreeSet::from([base]), BTreeSet::from([head]));
    settings.into_iter().filter_map(differing).collect()
}

/// Ids of one's own; the rule says what others are.
fn own_prompt(settings: &Settings) -> String {
    settings.prompt_sha256.clone().unwrap_or_else(|| "by rule".to_owned())
}

fn seed_protocol(settings: &Settings) -> String {
    settings.seed_protocol.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
}

/// Why the runs of both sides can't be compared, or belong to one history; empty when they can.
pub fn obstacles(base: &Side, head: &Side) -> Vec<String> {
    let blocking = differences(base, head).into_iter().filter(|difference| difference.blocks);
    let mut found: Vec<_> = blocking.map(|differing| differing.in_words()).collect();
    let base_cases = base.by_id();
    for case_side in &head.cases {
        let same = base_cases.get(case_side.id.as_str());
        let differing = same.map(|base| case(base, case_side)).unwrap_or_default();
        found.extend(differing.iter().map(|what| format!("{} of {}", what.in_words(), case_side.id)));
    }
    found
}

/// In what a case differs: its settings or, if these agree, what ran. Plain samples have neither.
pub(super) fn case(base: &CaseSide, head: &CaseSide) -> Vec<Difference> {
    let (Some(base_case), Some(head_case)) = (&base.case, &head.case) else { return Vec::new() };
    let mut found = case_differences(base_case, head_case);
    // What goes by another name or quantization has another shape as well.
    if found.is_empty() {
        found.extend(model_of_case::other_shape(base_case, head_case));
    }
    if base_case.implementation == head_case.implementation {
        found.extend(differing("implementation that ran", &base.implementations, &head.implementations));
    }
    // A server's answer as a client sees it holds more than a device's work does.
    found.extend(differing("clock of the times", &base.clocks, &head.clocks));
    found
}

/// What the runs of both sides report, if it isn't the same.
fn differing(what: &str, base: &BTreeSet<impl ToString>, head: &BTreeSet<impl ToString>) -> Option<Difference> {
    let (base, head) = (joined(base), joined(head));
    let known = !base.is_empty() && !head.is_empty();
    (known && base != head).then(|| Difference::new(what, true, base, head))
}

fn joined(words: &BTreeSet<impl ToString>) -> String {
    words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// The settings in which a case differs.
pub fn case_differences(base: &Case, head: &Case) -> Vec<Difference> {
    let revision = |case: &Case| case.revision.clone().unwrap_or_default();
    let in_flight = |case: &Case| case.traffic.map_or(1, |traffic| traffic.concurrency);
    let requests = |case: &Case| case.traffic.map_or(1, |traffic| traffic.requests);
    let mut fields = vec![
        ("model", base.model.clone(), head.model.clone()),
        ("weights", base.weights.to_string(), head.weights.to_string()),
        ("quantization", base.quantization.to_string(), head.quantization.to_string()),
        ("dtype", base.dtype.to_string(), head.dtype.to_string()),
        ("engine", base.engine.to_string(), head.engine.to_string()),
        ("implementation", base.implementation.to_string(), head.implementation.to_string()),
        ("device", base.device.to_string(), head.device.to_string()),
        ("gpus", base.gpus.to_string(), head.gpus.to_string()),
        ("batch_size", base.batch_size.to_string(), head.batch_size.to_string()),
        ("context_length", base.context_length.to_string(), head.context_length.to_string()),
        ("generated_length", base.generated_length.to_string(), head.generated_length.to_string()),
        ("concurrency", in_flight(base).to_string(), in_flight(head).to_string()),
        ("requests", requests(base).to_string(), requests(head).to_string()),
    ];
    if base.revision.is_some() && head.revision.is_some() {
        fields.push(("revision", revision(base), revision(head)));
    }
    let differing = fields.into_iter().filter(|(_, base, head)| base != head);
    differing.map(|(field, base, head)| Difference::new(field, true, base, head)).collect()
}

/// What the devices' measured limits say about the machines.
pub(super) enum Ceilings {
    /// A side has none.
    Unknown,
    Alike,
    Differ(Vec<DifferingLimit>),
}

/// By more than sessions on one device do.
pub(super) struct DifferingLimit {
    pub sentence: String,
    pub head_is_lower: bool,
}

/// One of a device's measured limits.
struct Limit {
    name: &'static str,
    get: fn(&SessionFacts) -> Option<f64>,
    /// A device that differs by more is another device, or a faulty one. Sessions minutes apart on the same H100 differ
    /// by up to 5% in bandwidth and 6% in the matrix rate.
    tolerance: f64,
}

const LIMITS: [Limit; 2] = [
    Limit { name: "memory bandwidth in GB/s", get: |session| Some(session.ceilings?.bandwidth_gb_s), tolerance: 0.06 },
    Limit { name: "matrix rate in TFLOP/s", get: |session| Some(session.ceilings?.matmul_tflop_s), tolerance: 0.08 },
];

pub(super) fn ceilings(base: &Side, head: &Side) -> Ceilings {
    let median = |side: &Side, limit: &Limit| {
        crate::stats::median(&side.sessions.iter().filter_map(limit.get).collect::<Vec<_>>())
    };
    let mut differing = Vec::new();
    for limit in &LIMITS {
        let (Some(base), Some(head)) = (median(base, limit), median(head, limit)) else { return Ceilings::Unknown };
        if (head / base - 1.0).abs() > limit.tolerance {
            let sentence = format!(
                "the device's measured {} differs ({base:.0} in the base, {head:.0} in the head): the machine may be the \
                 cause",
                limit.name
            );
            differing.push(DifferingLimit { sentence, head_is_lower: head < base });
        }
    }
    if differing.is_empty() { Ceilings::Alike } else { Ceilings::Differ(differing) }
}

/// What of a machine may explain a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MachinePart {
    Gpu,
    Cpu,
    Software,
}

struct Field {
    name: &'static str,
    blocks: bool,
    get: fn(&Environment) -> Option<String>,
}

/// Other hardware blocks a comparison; other software around the measured program is only a warning. The CPU is the device
/// of CPU cases.
fn fields(cpu_matters: bool) -> [Field; 12] {
    let field = |name, blocks, get| Field { name, blocks, get };
    [
        field("gpu", true, |e| Some(each(e, |gpu| Some(gpu.name.clone())).unwrap_or("none".to_owned()))),
        field("gpu_memory_mib", true, |e| each(e, |gpu| gpu.memory_mib.map(|mib| mib.to_string()))),
        field("gpu_power_limit_w", true, |e| each(e, |gpu| gpu.power_limit_w.map(|watt| format!("{watt:.0}")))),
        field("gpu_ecc", true, |e| each(e, |gpu| gpu.ecc.map(|on| on.to_string()))),
        field("gpu_max_sm_clock_mhz", false, |e| each(e, |gpu| gpu.max_sm_clock_mhz.map(|mhz| mhz.to_string()))),
        field("driver_version", false, |e| e.driver_version.clone()),
        field("cuda_version", false, |e| e.cuda_version.clone()),
        field("cpu", cpu_matters, |e| e.cpu.clone()),
        field("cpu_cores", cpu_matters, |e| e.cpu_cores.map(|cores| cores.to_string())),
        field("memory_mib", false, |e| e.memory_mib.map(|mib| mib.to_string())),
        field("os", false, |e| e.os.clone()),
        field("kernel", false, |e| e.kernel.clone()),
    ]
}

/// A property of all GPUs, such as `2 x H100`; `None` without GPUs or where one doesn't know it.
fn each(environment: &Environment, get: impl Fn(&crate::results::Gpu) -> Option<String>) -> Option<String> {
    let values: Option<Vec<String>> = environment.gpus.iter().map(get).collect();
    let values = values.filter(|values| !values.is_empty())?;
    let same = values.iter().all(|value| *value == values[0]);
    match values.len() {
        1 => values.into_iter().next(),
        count if same => Some(format!("{count} x {}", values[0])),
        _ => Some(values.join(" + ")),
    }
}

fn difference(field: &str, blocks: bool, base: BTreeSet<String>, head: BTreeSet<String>) -> Option<Difference> {
    if base.is_empty() || head.is_empty() || base == head || (field.ends_with("memory_mib") && about(&base, &head)) {
        return None;
    }
    let join = |values: BTreeSet<String>| values.into_iter().collect::<Vec<_>>().join(", ");
    Some(Difference::new(field, blocks, join(base), join(head)))
}

impl Difference {
    pub(super) fn new(field: &str, blocks: bool, base: String, head: String) -> Self {
        Self { field: field.to_owned(), base, head, blocks, cases: Vec::new() }
    }

    /// `dtype bf16 → f32`
    pub(super) fn in_words(&self) -> String {
        format!("{} {} → {}", self.field, self.base, self.head)
    }

    /// Of what was measured, or how, and not of the machine.
    pub(super) fn is_of_settings(&self) -> bool {
        !fields(true).iter().any(|field| field.name == self.field)
    }

    /// Of what the measured program runs on, and not of what was measured.
    pub(super) fn part_of_machine(&self) -> Option<MachinePart> {
        Some(match self.field.as_str() {
            "gpu" | "gpu_memory_mib" | "gpu_power_limit_w" | "gpu_ecc" | "gpu_max_sm_clock_mhz" => MachinePart::Gpu,
            "cpu" | "cpu_cores" => MachinePart::Cpu,
            "driver_version" | "cuda_version" | "os" | "kernel" => MachinePart::Software,
            _ => return None,
        })
    }
}

/// Single numbers that differ by no more than the tolerance.
fn about(base: &BTreeSet<String>, head: &BTreeSet<String>) -> bool {
    let number = |values: &BTreeSet<String>| match values.len() {
        1 => values.first().and_then(|value| value.parse::<f64>().ok()),
        _ => None,
    };
    number(base).zip(number(head)).is_some_and(|(base, head)| (head / base - 1.0).abs() <= MEMORY_TOLERANCE)
}
