//! Writes a large file to compare, for measuring `bench-diff compare` itself.
//!
//! ```text
//! cargo run --release --example make_samples -- samples 20000 10 1 > old.json
//! cargo run --release --example make_samples -- samples 20000 10 2 > new.json
//! ```
//!
//! The arguments are the format (`samples` or `results`), the number of cases, runs, and a seed. Eight metrics a case.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program for us"
)]

use std::io::{self, BufWriter, Write};

const METRICS: [(&str, &str, &str, f64); 8] = [
    ("decode_throughput", "tok/s", "higher", 100.0),
    ("ttft", "ms", "lower", 12.0),
    ("itl_p99", "ms", "lower", 9.0),
    ("itl_p50", "ms", "lower", 8.0),
    ("tpot", "ms", "lower", 8.2),
    ("e2e_latency", "ms", "lower", 20000.0),
    ("speed", "tok/s", "higher", 95.0),
    ("peak_memory", "MiB", "lower", 9000.0),
];

/// SplitMix64: a different, repeatable value each time.
struct Random(u64);

impl Random {
    /// About 1, give or take 1%.
    fn factor(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        0.99 + 0.02 * ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [format, cases, runs, seed] = arguments.as_slice() else {
        eprintln!("usage: make_samples samples|results CASES RUNS SEED");
        std::process::exit(2);
    };
    let number = |text: &str| text.parse::<u64>().map_err(|error| io::Error::other(format!("{text}: {error}")));
    let (cases, runs, seed) = (number(cases)?, number(runs)?, number(seed)?);
    let mut out = BufWriter::new(io::stdout().lock());
    match format.as_str() {
        "results" => results(&mut out, cases, runs, seed)?,
        _ => samples(&mut out, cases, runs, &mut Random(seed))?,
    }
    out.flush()
}

fn samples(out: &mut impl Write, cases: u64, runs: u64, random: &mut Random) -> io::Result<()> {
    write!(out, "[")?;
    for case in 0..cases {
        for (index, (metric, unit, better, level)) in METRICS.iter().enumerate() {
            let comma = if case == 0 && index == 0 { "" } else { ",\n" };
            write!(out, r#"{comma}{{"case":"case-{case}","metric":"{metric}","unit":"{unit}","better":"{better}""#)?;
            let values: Vec<String> = (0..runs).map(|_| (level * random.factor()).to_string()).collect();
            write!(out, r#","samples":[{}]}}"#, values.join(","))?;
        }
    }
    writeln!(out, "]")
}

fn results(out: &mut impl Write, cases: u64, runs: u64, seed: u64) -> io::Result<()> {
    let mut random = Random(seed);
    write!(out, r#"{{"schema":1,"suite":"large","settings":{{"runs":{runs},"warmup":1,"prompt":"x"}},"cases":["#)?;
    for case in 0..cases {
        let comma = if case == 0 { "" } else { ",\n" };
        write!(
            out,
            r#"{comma}{{"id":"case-{case}","model":"m","weights":"generated","quantization":"none","dtype":"bf16","#
        )?;
        write!(out, r#""engine":"candle","implementation":"plain","device":"cpu","gpus":0,"batch_size":1,"#)?;
        write!(out, r#""context_length":1,"generated_length":32}}"#)?;
    }
    write!(
        out,
        r#"],"sessions":[{{"id":"session-{seed}","started":"2026-01-01T00:00:00Z","finished":"2026-01-02T00:00:00Z","#
    )?;
    write!(out, r#""program":{{"name":"p","version":"1","candle_version":"0.11.1"}},"environment":{{}},"runs":["#)?;
    for round in 1..=runs {
        for case in 0..cases {
            let comma = if round == 1 && case == 0 { "" } else { ",\n" };
            write!(
                out,
                r#"{comma}{{"case":"case-{case}","round":{round},"started":"2026-01-01T00:00:00Z","status":"ok","#
            )?;
            let metrics = METRICS.map(|(metric, .., level)| format!(r#""{metric}":{}"#, level * random.factor()));
            write!(out, r#""metrics":{{{}}},"token_hash":"{case:064x}"}}"#, metrics.join(","))?;
        }
    }
    writeln!(out, "]}}]}}")
}
