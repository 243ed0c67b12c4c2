//! The tracer: a shared library that the CUDA driver loads into any program that uses CUDA, because
//! `CUDA_INJECTION64_PATH` names it. It listens to CUPTI's activity records, adds them up in bounded memory, and keeps one
//! file for its process in the folder that `BENCH_DIFF_TRACE_DIRECTORY` names.
//!
//! build.rs compiles it, with nothing but the standard library, and the program carries it. It never harms the program that
//! it is in: what goes wrong is a sentence in the file.

#![expect(unsafe_code, reason = "CUPTI and the loader are C, and so is who calls us")]

mod background;
mod busy;
mod control;
mod cupti;
mod libcupti;
mod nvtx;
mod phases;
mod ranges;
mod records;
mod sum;
mod tally;
mod timeline;
mod trace_json;
mod written;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{env, process, thread};

use control::Order;
use cupti::Cupti;
use tally::Tally;
use timeline::Timelines;
use trace_json::Process;
use written::Written;

/// How often what was recorded is fetched and written: what a program that leaves by `_exit` can lose.
const PERIOD: Duration = Duration::from_millis(250);

static TRACER: OnceLock<Tracer> = OnceLock::new();

/// Everything of this process.
struct Tracer {
    /// A child that was forked from this process has a copy of all this, which isn't its own.
    process: u32,
    cupti: Cupti,
    tally: Mutex<Tally>,
    file: Mutex<Written>,
    ended: AtomicBool,
    /// Somebody tells its phases: then ranges don't.
    told: AtomicBool,
}

/// The driver calls this when CUDA is initialised. It always says that all went well: a program must not fail by us.
#[unsafe(no_mangle)]
pub extern "C" fn InitializeInjection() -> c_int {
    let _ = catch_unwind(start);
    1
}

/// From now on the program is in this phase (UTF-8, 0 at its end). For programs that tell; they find it with `dlsym`.
///
/// # Safety
/// `name` is null, or a string of C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bench_diff_trace_phase(name: *const c_char) {
    let Some(tracer) = tracer().filter(|_| !name.is_null()) else { return };
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    let _ = catch_unwind(|| tracer.begin(&name));
}

fn start() {
    let Some(directory) = env::var_os("BENCH_DIFF_TRACE_DIRECTORY").map(PathBuf::from) else { return };
    let mut file = Written::of_this_process(&directory);
    let cupti = match Cupti::open() {
        Ok(cupti) => cupti,
        Err(problem) => return file.write(&Process::without_trace(&problem).json()),
    };
    let tracer = Tracer {
        process: process::id(),
        cupti,
        tally: Mutex::new(Tally::with(asked_for_timelines())),
        file: Mutex::new(file),
        ended: AtomicBool::new(false),
        told: AtomicBool::new(false),
    };
    if TRACER.set(tracer).is_ok() {
        listen();
    }
}

/// They take memory and time: almost nobody does.
fn asked_for_timelines() -> Option<Timelines> {
    env::var_os("BENCH_DIFF_TRACE_TIMELINE").map(|_| Timelines::default())
}

fn listen() {
    let Some(tracer) = tracer() else { return };
    if let Err(problem) = tracer.cupti.listen(cupti::request, complete) {
        return lock(&tracer.file).write(&Process::without_trace(&problem).json());
    }
    ranges::tell_open();
    // What is there from now on says that we were here, however the program ends.
    tracer.write();
    cupti::at_exit(end);
    control::listen(&lock(&tracer.file).socket(), |order| {
        let _ = catch_unwind(|| tracer.obey(order));
    });
    background::spawn("bench-diff-trace", || tracer.keep_writing());
}

/// The tracer of this process, and not of one that this was forked from.
fn tracer() -> Option<&'static Tracer> {
    TRACER.get().filter(|tracer| tracer.process == process::id())
}

impl Tracer {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    fn begin(&self, phase: &str) {
        self.told.store(true, Ordering::SeqCst);
        self.begin_now(phase);
    }

    /// Where nobody tells phases, ranges are some.
    fn begin_range(&self, name: &str) {
        if !self.told.load(Ordering::SeqCst) {
            self.begin_now(name);
        }
    }

    fn begin_now(&self, phase: &str) {
        let now = self.cupti.now();
        self.tally().phases.begin(phase, now);
    }

    fn obey(&self, order: Order) {
        match order {
            Order::Phase(name) => self.begin(name),
            Order::Write => {
                self.cupti.flush();
                self.write();
            }
        }
    }

    fn keep_writing(&self) {
        let mut pause = PERIOD;
        loop {
            thread::sleep(pause);
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            let begin = Instant::now();
            self.cupti.flush();
            if self.tally().take_news() {
                self.write();
            }
            // A very large trace is written less often: at most a tenth of a processor is ours.
            pause = PERIOD.max(begin.elapsed() * 9);
        }
    }

    fn write(&self) {
        let mut file = lock(&self.file);
        let ended = self.ended.load(Ordering::SeqCst);
        let text = Process::traced(&self.cupti, &mut self.tally(), ended).json();
        file.write(&text);
    }
}

/// CUPTI hands back a buffer that has `valid` bytes of records. It may do so while it holds a lock of its own: nothing of it
/// is called while we hold ours.
extern "C" fn complete(context: *mut c_void, stream: u32, buffer: *mut u8, _size: usize, valid: usize) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let Some(tracer) = tracer() else { return };
        let records = tracer.cupti.records(buffer, valid);
        let dropped = tracer.cupti.dropped(context, stream);
        let mut tally = tracer.tally();
        records.into_iter().for_each(|record| tally.add(record));
        tally.dropped += dropped;
    }));
    cupti::free(buffer);
}

/// At the end of the program, while CUDA still works.
extern "C" fn end() {
    let Some(tracer) = tracer() else { return };
    let _ = catch_unwind(|| {
        tracer.cupti.flush_all();
        tracer.ended.store(true, Ordering::SeqCst);
        tracer.write();
        lock(&tracer.file).remove_socket();
    });
}

/// What a panic left is still a sum.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
