//! A program that uses "CUDA": it loads what CUDA_INJECTION64_PATH names, as the driver does, and then does what its
//! arguments say, one after the other.

mod fake_loading;
mod fake_nvtx;

use std::ffi::{CString, c_char, c_int};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use fake_loading::{function, load};

unsafe extern "C" {
    fn fork() -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn _exit(code: c_int) -> !;
    fn signal(number: c_int, action: usize) -> usize;
    fn kill(pid: c_int, number: c_int) -> c_int;
    fn sigwait(set: *const [u64; 16], got: *mut c_int) -> c_int;
    fn pthread_sigmask(how: c_int, new: *const [u64; 16], old: *mut [u64; 16]) -> c_int;
}

/// A record in CUPTI's layout.
struct Record([u8; 224]);

impl Record {
    fn of(kind: u32) -> Self {
        Self([0; 224]).with(0, &kind.to_ne_bytes())
    }

    fn with(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn u32(self, at: usize, value: u64) -> Self {
        self.with(at, &(value as u32).to_ne_bytes())
    }

    fn u64(self, at: usize, value: u64) -> Self {
        self.with(at, &value.to_ne_bytes())
    }
}

fn record(words: &[&str]) -> Record {
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    match words[0] {
        // kernel NAME DEVICE START END GRID BLOCK GRAPH LAUNCH
        "kernel" => {
            let name = CString::new(words[1]).unwrap().into_raw() as u64;
            let record =
                Record::of(10).with(6, &40_u16.to_ne_bytes()).u32(40, number(2)).u64(16, number(3)).u64(24, number(4));
            let record = record.u32(48, 7).u32(52, number(5)).u32(56, 1).u32(60, 1).u32(64, number(6)).u32(68, 1).u32(72, 1);
            record.u32(76, 1024).u32(80, 512).u32(92, number(8)).u64(104, name).u32(156, number(7))
        }
        // copy DEVICE KIND BYTES START END
        "copy" => {
            let record =
                Record::of(1).with(4, &[number(2) as u8]).u64(8, number(3)).u64(16, number(4)).u64(24, number(5));
            record.u32(32, number(1)).u32(40, 7)
        }
        // set DEVICE BYTES START END
        "set" => Record::of(2).u64(8, number(2)).u64(16, number(3)).u64(24, number(4)).u32(32, number(1)).u32(40, 7),
        // sync KIND START END
        "sync" => Record::of(38).u32(4, number(1)).u64(8, number(2)).u64(16, number(3)),
        // memory DEVICE OPERATION KIND BYTES AT
        "memory" => {
            let record = Record::of(49).u32(4, number(2)).u32(8, number(3)).u64(24, number(4)).u64(32, number(5));
            record.u32(52, number(1))
        }
        other => panic!("no record {other}"),
    }
}

/// Until the trace holds what was recorded, as a program that works on gives it the time.
fn wait_for(text: &str) {
    let folder = std::env::var("BENCH_DIFF_TRACE_DIRECTORY").unwrap();
    let holds = |path: std::path::PathBuf| std::fs::read_to_string(path).is_ok_and(|found| found.contains(text));
    while !std::fs::read_dir(&folder).unwrap().any(|entry| holds(entry.unwrap().path())) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asks the tracer, as another process could.
fn ask(order: &str) {
    let mut client = socket();
    client.write_all(format!("{order}\n").as_bytes()).unwrap();
    let mut answer = [0; 3];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ok\n");
}

/// Doesn't wait for the answers, in a program that a broken pipe ends, as it ends most programs.
fn ask_and_leave() {
    unsafe { signal(13, 0) };
    for _ in 0..20 {
        drop(socket().write_all(&b"write\n".repeat(50)));
    }
}

/// As servers do: blocked in every thread that they know of, and waited for in one.
fn wait_for_a_signal() {
    const USER: c_int = 10;
    let (set, mut got) = ([1_u64 << (USER - 1); 16], 0);
    unsafe {
        signal(USER, 0);
        pthread_sigmask(0, &set, std::ptr::null_mut());
        kill(std::process::id() as c_int, USER);
        // Any other thread that takes it has done so by then.
        std::thread::sleep(Duration::from_millis(200));
        sigwait(&set, &mut got);
    }
    assert_eq!(got, USER);
}

fn socket() -> UnixStream {
    let folder = std::env::var("BENCH_DIFF_TRACE_DIRECTORY").unwrap();
    let mut paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let socket = paths.find(|path| path.extension().is_some_and(|kind| kind == "socket")).unwrap();
    UnixStream::connect(socket).unwrap()
}

fn main() {
    let injected = load("CUDA_INJECTION64_PATH");
    if let Some(injected) = injected {
        let initialize: extern "C" fn() -> c_int = function(injected, "InitializeInjection");
        assert_eq!(initialize(), 1);
    }
    let cupti = load("BENCH_DIFF_CUPTI");
    let hears_ranges = fake_nvtx::initialize();
    for command in std::env::args().skip(1) {
        let words: Vec<&str> = command.split(' ').collect();
        match (words[0], cupti, injected) {
            ("say", ..) => println!("{}", words[1..].join(" ")),
            ("fail", ..) => std::process::exit(7),
            ("_exit", ..) => unsafe { _exit(0) },
            ("wait", ..) => wait_for(words[1]),
            ("ask", ..) => ask(&words[1..].join(" ")),
            ("leave", ..) => ask_and_leave(),
            ("signal", ..) => wait_for_a_signal(),
            ("range", ..) if hears_ranges => fake_nvtx::range(&words[1..]),
            ("range", ..) => println!("nobody hears ranges"),
            ("sleep", ..) => std::thread::sleep(Duration::from_secs(600)),
            ("fork", ..) => unsafe {
                let child = fork();
                if child == 0 {
                    std::process::exit(0);
                }
                waitpid(child, &mut 0, 0);
            },
            ("threads", Some(cupti), _) => {
                let add: unsafe extern "C" fn(*const u8) = function(cupti, "fake_record");
                std::thread::scope(|scope| {
                    for thread in 0..4_u64 {
                        scope.spawn(move || {
                            for number in 0..1000 {
                                let start = (number * 4 + thread) * 100;
                                let words = format!("kernel threaded 0 {} {} 1 32 0 {number}", start + 1, start + 51);
                                unsafe { add(record(&words.split(' ').collect::<Vec<_>>()).0.as_ptr()) };
                            }
                        });
                    }
                });
            }
            ("time", Some(cupti), _) => {
                let time: extern "C" fn(u64) = function(cupti, "fake_time");
                time(words[1].parse().unwrap());
            }
            ("phase", _, Some(injected)) => {
                let phase: unsafe extern "C" fn(*const c_char) = function(injected, "bench_diff_trace_phase");
                unsafe { phase(CString::new(words[1]).unwrap().as_ptr()) };
            }
            (_, Some(cupti), _) => {
                let add: unsafe extern "C" fn(*const u8) = function(cupti, "fake_record");
                unsafe { add(record(&words).0.as_ptr()) };
            }
            _ => {}
        }
    }
}
