//! An engine of somebody's own that speaks the engine protocol and knows nothing of bench-diff's tracer. It launches so many
//! kernels for a prompt, and so many for each further token; with `varies` one more each time.

mod fake_loading;

use std::ffi::{CString, c_int};
use std::io::Write;
use std::time::Duration;

use fake_loading::{function, load};

/// What CUDA would do, where somebody traces.
struct Gpu {
    add: unsafe extern "C" fn(*const u8),
    time: extern "C" fn(u64),
    now: u64,
}

impl Gpu {
    fn open() -> Option<Self> {
        let injected = load("CUDA_INJECTION64_PATH")?;
        let initialize: extern "C" fn() -> c_int = function(injected, "InitializeInjection");
        assert_eq!(initialize(), 1);
        let cupti = load("BENCH_DIFF_CUPTI")?;
        Some(Self { add: function(cupti, "fake_record"), time: function(cupti, "fake_time"), now: 1000 })
    }

    /// A record in CUPTI's layout, of so many nanoseconds.
    fn record(&mut self, mut record: [u8; 224], length: u64) {
        record[16..24].copy_from_slice(&self.now.to_ne_bytes());
        record[24..32].copy_from_slice(&(self.now + length).to_ne_bytes());
        unsafe { (self.add)(record.as_ptr()) };
        self.now += 2 * length;
        (self.time)(self.now);
    }

    fn launch(&mut self, name: &str) {
        let name = CString::new(name).unwrap().into_raw() as u64;
        let mut record = of_kind(10);
        for (at, blocks) in [(52, 132_u32), (56, 1), (60, 1), (64, 256), (68, 1), (72, 1)] {
            record[at..at + 4].copy_from_slice(&blocks.to_ne_bytes());
        }
        record[104..112].copy_from_slice(&name.to_ne_bytes());
        self.record(record, 100);
    }

    /// To the host.
    fn copy(&mut self, bytes: u64) {
        let mut record = of_kind(1);
        record[4] = 2;
        record[8..16].copy_from_slice(&bytes.to_ne_bytes());
        self.record(record, 10);
    }
}

fn of_kind(kind: u32) -> [u8; 224] {
    let mut record = [0; 224];
    record[..4].copy_from_slice(&kind.to_ne_bytes());
    record
}

fn say(answer: &str) {
    println!("{answer}");
    std::io::stdout().flush().unwrap();
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| args[place].parse::<usize>().unwrap();
    let (prefill, decode, varies) = (number(0), number(1), args.iter().any(|arg| arg == "varies"));
    if args.iter().any(|arg| arg == "drops") {
        // SAFETY: there is one thread.
        unsafe { std::env::set_var("FAKE_CUPTI_DROPS", "1") };
    }
    let mut gpu = Gpu::open();
    let mut generations = 0;
    say(r#"{"answer":"hello","protocol":1,"name":"fake","version":"1.0"}"#);
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let asks = |word: &str| line.contains(&format!(r#""request":"{word}""#));
        if asks("load") {
            say(r#"{"answer":"loaded"}"#);
        } else if asks("memory") {
            say(r#"{"answer":"memory"}"#);
        } else if asks("quit") {
            return;
        } else if asks("generate") {
            let tokens: usize = line.split(r#""tokens":"#).nth(1).unwrap().trim_end_matches('}').parse().unwrap();
            generations += 1;
            for token in 0..tokens {
                let launches = if token == 0 { prefill } else { decode };
                if let Some(gpu) = &mut gpu {
                    (0..launches).for_each(|_| gpu.launch("_Z4gemvPf"));
                    (0..generations).filter(|_| varies).for_each(|_| gpu.launch("poll"));
                    gpu.copy(4);
                }
                std::thread::sleep(Duration::from_micros(500));
                say(r#"{"answer":"chunk","tokens":1}"#);
            }
            let ids = vec!["7"; tokens].join(",");
            say(&format!(r#"{{"answer":"generated","token_ids":[{ids}]}}"#));
        }
    }
}
