//! The few functions of CUPTI that we call.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

use super::libcupti::{self, Library};
use super::records::{Raw, Record, kind};

/// What the records lie in. CUPTI wants a few at a time for each context.
const BUFFER: Layout = match Layout::from_size_align(1 << 20, 8) {
    Ok(layout) => layout,
    Err(_) => panic!("no layout"),
};

/// CUDA 12.0; before it, records look different.
const OLDEST: u32 = 18;
/// CUPTI of CUDA 13 and later has the version of CUDA, with four more digits. Nobody has seen records of 14.
const TOO_NEW: u32 = 140_000;
const FORCED: u32 = 1;

/// What CUPTI gives are pointers, which are never null.
pub type Request = extern "C" fn(&mut *mut u8, &mut usize, &mut usize);
pub type Complete = extern "C" fn(*mut c_void, u32, *mut u8, usize, usize);

/// A CUPTI that this process has loaded.
pub struct Cupti {
    pub library: String,
    pub version: u32,
    functions: Functions,
}

#[derive(Clone, Copy)]
struct Functions {
    register: unsafe extern "C" fn(Request, Complete) -> c_int,
    enable: unsafe extern "C" fn(u32) -> c_int,
    next: unsafe extern "C" fn(*mut u8, usize, *mut *mut u8) -> c_int,
    dropped: unsafe extern "C" fn(*mut c_void, u32, *mut usize) -> c_int,
    flush: unsafe extern "C" fn(u32) -> c_int,
    timestamp: unsafe extern "C" fn(*mut u64) -> c_int,
    name: unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int,
    /// Not before CUDA 12.2.
    all_synchronizations: Option<unsafe extern "C" fn(u8) -> c_int>,
}

impl Cupti {
    /// Why there is none, in a sentence.
    pub fn open() -> Result<Self, String> {
        let library = libcupti::open()?;
        let version = version(&library)?;
        let functions =
            Functions::of(&library).ok_or_else(|| format!("{} isn't CUPTI: it lacks functions", library.name))?;
        Ok(Self { library: library.name, version, functions })
    }

    /// Asks for records: buffers for them are requested, and come back with records in them.
    pub fn listen(&self, request: Request, complete: Complete) -> Result<(), String> {
        // SAFETY: CUPTI's function, with two of the kind that it wants.
        self.check(unsafe { (self.functions.register)(request, complete) })?;
        for kind in kind::ALL {
            // SAFETY: CUPTI's function; an unknown number is an error.
            self.check(unsafe { (self.functions.enable)(kind) })?;
        }
        if let Some(all) = self.functions.all_synchronizations {
            // How often something unfinished is asked for says how fast the host is.
            // SAFETY: CUPTI's function.
            unsafe { all(0) };
        }
        Ok(())
    }

    fn check(&self, result: c_int) -> Result<(), String> {
        if result == 0 {
            return Ok(());
        }
        let mut name = std::ptr::null();
        // SAFETY: CUPTI's function; it leaves null, or a string that stays.
        unsafe { (self.functions.name)(result, &raw mut name) };
        if name.is_null() {
            return Err(format!("CUPTI ({}) refused to trace: error {result}", self.library));
        }
        // SAFETY: it isn't null.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        Err(format!("CUPTI ({}) refused to trace: {name}", self.library))
    }

    /// The time that records have.
    pub fn now(&self) -> u64 {
        let mut time = 0;
        // SAFETY: CUPTI's function writes a number.
        unsafe { (self.functions.timestamp)(&raw mut time) };
        time
    }

    /// Brings what is complete.
    pub fn flush(&self) {
        // SAFETY: CUPTI's function, which may be called at any time.
        unsafe { (self.functions.flush)(0) };
    }

    /// Brings everything.
    pub fn flush_all(&self) {
        // SAFETY: as above.
        unsafe { (self.functions.flush)(FORCED) };
    }

    /// What CUPTI wrote into its buffer, which isn't freed before the records.
    pub fn records<'a>(&self, buffer: *mut u8, valid: usize) -> Vec<Record<'a>> {
        let (mut record, mut found) = (null_mut(), Vec::new());
        // SAFETY: CUPTI's function goes from each record to the next within what is valid, and fails at its end.
        while valid > 0 && unsafe { (self.functions.next)(buffer, valid, &raw mut record) } == 0 {
            // SAFETY: CUPTI wrote it, and the caller frees the buffer later.
            found.extend(unsafe { Raw::new(record) }.read());
        }
        found
    }

    /// Records that had no room since this was asked.
    pub fn dropped(&self, context: *mut c_void, stream: u32) -> u64 {
        let mut count = 0;
        // SAFETY: CUPTI's function writes a number.
        unsafe { (self.functions.dropped)(context, stream, &raw mut count) };
        count as u64
    }
}

fn version(library: &Library) -> Result<u32, String> {
    type Version = unsafe extern "C" fn(*mut u32) -> c_int;
    let mut version = 0;
    // SAFETY: CUPTI's function is of this type.
    let function: Option<Version> = unsafe { library.function(c"cuptiGetVersion") };
    if let Some(function) = function {
        // SAFETY: it writes a number.
        unsafe { function(&raw mut version) };
    }
    match version {
        0 => Err(format!("{} isn't CUPTI: it doesn't tell its version", library.name)),
        OLDEST..TOO_NEW => Ok(version),
        _ => Err(format!(
            "{} has version {version}, and this tracer knows CUDA 12.0 to 13: set BENCH_DIFF_CUPTI to another",
            library.name
        )),
    }
}

impl Functions {
    #[expect(clippy::multiple_unsafe_ops_per_block, reason = "all are functions of the types in CUPTI's headers")]
    fn of(library: &Library) -> Option<Self> {
        // SAFETY: CUPTI's functions are of these types.
        unsafe {
            Some(Self {
                register: library.function(c"cuptiActivityRegisterCallbacks")?,
                enable: library.function(c"cuptiActivityEnable")?,
                next: library.function(c"cuptiActivityGetNextRecord")?,
                dropped: library.function(c"cuptiActivityGetNumDroppedRecords")?,
                flush: library.function(c"cuptiActivityFlushAll")?,
                timestamp: library.function(c"cuptiGetTimestamp")?,
                name: library.function(c"cuptiGetResultString")?,
                all_synchronizations: library.function(c"cuptiActivityEnableAllSyncRecords"),
            })
        }
    }
}

/// CUPTI asks for a buffer, and for how many records: 0 is as many as fit.
pub extern "C" fn request(buffer: &mut *mut u8, size: &mut usize, records: &mut usize) {
    // SAFETY: the size isn't 0.
    *buffer = unsafe { alloc(BUFFER) };
    // Where there is no memory, CUPTI drops records and says so.
    *size = if buffer.is_null() { 0 } else { BUFFER.size() };
    *records = 0;
}

/// Gives back what [`request`] made.
pub fn free(buffer: *mut u8) {
    if !buffer.is_null() {
        // SAFETY: CUPTI hands back each buffer once.
        unsafe { dealloc(buffer, BUFFER) };
    }
}

/// Calls it when the program ends in good order.
pub fn at_exit(function: extern "C" fn()) {
    unsafe extern "C" {
        fn atexit(function: extern "C" fn()) -> c_int;
    }
    // SAFETY: a function of C's library, and one that stays: nobody unloads us.
    unsafe { atexit(function) };
}
