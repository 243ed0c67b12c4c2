//! NVTX ranges of the program as phases: the outermost ones that are open, of NVTX's default domain.
//!
//! NVTX is headers in the program that load what `NVTX_INJECTION64_PATH` names, and let it fill tables of functions. Libraries
//! mark what they do in domains of their own, which say nothing about the program.

use std::cell::Cell;
use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{lock, tracer};

/// More names of a program's own aren't told apart.
const MOST_NAMES: usize = 4096;
/// More ranges that are open at once aren't noticed.
const MOST_OPEN: usize = 4096;
/// Characters of a name that are kept, and of a wide string that are looked at.
const NAME: usize = 100;

thread_local! {
    /// Ranges that this thread has open.
    static DEPTH: Cell<c_int> = const { Cell::new(0) };
}

static OPEN: Mutex<Open> = Mutex::new(Open { ranges: Vec::new(), last: 0 });
static NAMES: Mutex<Option<HashSet<CString>>> = Mutex::new(None);
/// Whose ranges these are. A child that was forked while another thread held a lock would wait for it for ever.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Outermost ranges that are open, the newest last.
struct Open {
    ranges: Vec<(Range, String)>,
    /// The number of the last one that has one.
    last: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    /// Of a thread, which ends it.
    Pushed(usize),
    /// Ended by whoever has its number.
    Started(u64),
}

/// NVTX's functions that fill a table: the module's functions, each at its number, as pointers to where they are called from.
type Tables = unsafe extern "C" fn(module: u32, table: *mut *mut *mut *const c_void, size: *mut u32) -> c_int;

#[repr(C)]
struct Callbacks {
    size: usize,
    tables: Option<Tables>,
}

/// Numbers of NVTX's headers; `nvtx_layout.c` holds them against these.
const CALLBACKS: u32 = 1;
const CORE: u32 = 1;
const CORE_2: u32 = 5;

/// What an event says of itself: where its kind of name stands, and the name.
const MESSAGE_KIND: usize = 32;
const MESSAGE: usize = 40;
const ATTRIBUTES: u16 = 48;

/// NVTX calls this at the program's first range. 0 is no.
///
/// # Safety
/// NVTX's own promise: `export` gives a table of the number that it is asked for, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn InitializeInjectionNvtx2(export: unsafe extern "C" fn(u32) -> *const c_void) -> c_int {
    // SAFETY: NVTX's function takes any number.
    let callbacks = unsafe { export(CALLBACKS) }.cast::<Callbacks>();
    // SAFETY: by the caller's promise it is null, or what NVTX has under this number, which stays.
    let callbacks = unsafe { callbacks.as_ref() };
    let Some(tables) = callbacks.and_then(|callbacks| callbacks.tables) else { return 0 };
    // A name is cast to what NVTX calls it as; each is of the type in NVTX's headers.
    let core = [
        (4, start_ex as *const c_void),
        (5, start as *const c_void),
        (6, start_wide as *const c_void),
        (7, end as *const c_void),
        (8, push_ex as *const c_void),
        (9, push as *const c_void),
        (10, push_wide as *const c_void),
        (11, pop as *const c_void),
    ];
    let of_domains = [
        (2, domain_start_ex as *const c_void),
        (3, domain_end as *const c_void),
        (4, domain_push_ex as *const c_void),
        (5, domain_pop as *const c_void),
        (10, register as *const c_void),
        (11, register_wide as *const c_void),
        (12, create_domain as *const c_void),
        (13, create_domain as *const c_void),
    ];
    PROCESS.store(std::process::id(), Ordering::SeqCst);
    let filled = fill(tables, CORE, &core) && fill(tables, CORE_2, &of_domains);
    c_int::from(filled)
}

fn fill(tables: Tables, module: u32, functions: &[(usize, *const c_void)]) -> bool {
    let (mut table, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: NVTX's function leaves a table and how many entries it has.
    let found = unsafe { tables(module, &raw mut table, &raw mut size) };
    if found == 0 || table.is_null() {
        return false;
    }
    for (number, function) in functions.iter().filter(|(number, _)| *number < size as usize) {
        // SAFETY: it is within the table.
        let place = unsafe { table.wrapping_add(*number).read() };
        if !place.is_null() {
            // SAFETY: NVTX calls the function from there.
            unsafe { place.write(*function) };
        }
    }
    true
}

/// The phase that the open ranges say, once there is somebody to tell.
pub fn tell_open() {
    let newest = lock(&OPEN).newest();
    if !newest.is_empty() {
        tell(&newest);
    }
}

fn tell(phase: &str) {
    if let Some(tracer) = tracer() {
        tracer.begin_range(phase);
    }
}

impl Open {
    fn newest(&self) -> String {
        self.ranges.last().map(|(_, name)| name.clone()).unwrap_or_default()
    }

    fn open(&mut self, range: Range, name: String) -> bool {
        let has_room = self.ranges.len() < MOST_OPEN;
        if has_room {
            self.ranges.push((range, name));
        }
        has_room
    }

    /// Whether it was open.
    fn close(&mut self, range: Range) -> bool {
        let place = self.ranges.iter().rposition(|(open, _)| *open == range);
        place.is_some_and(|place| {
            self.ranges.remove(place);
            true
        })
    }
}

fn is_of_a_parent() -> bool {
    PROCESS.load(Ordering::SeqCst) != std::process::id()
}

fn opened(range: Range, name: String) {
    if is_of_a_parent() {
        return;
    }
    if lock(&OPEN).open(range, name.clone()) {
        tell(&name);
    }
}

fn closed(range: Range) {
    if is_of_a_parent() {
        return;
    }
    let newest = {
        let mut open = lock(&OPEN);
        if !open.close(range) {
            return;
        }
        open.newest()
    };
    tell(&newest);
}

/// Nothing of ours may unwind into the program.
fn harmless<T>(of_no_use: T, act: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or(of_no_use)
}

/// A range of this thread begins; how many it has open.
fn pushed(name: impl FnOnce() -> String) -> c_int {
    harmless(-1, || {
        let depth = DEPTH.get();
        DEPTH.set(depth.saturating_add(1));
        // What lies within another is part of it.
        if depth == 0 {
            opened(Range::Pushed(this_thread()), name());
        }
        depth
    })
}

fn popped() -> c_int {
    harmless(-1, || {
        let depth = DEPTH.get() - 1;
        if depth >= 0 {
            DEPTH.set(depth);
        }
        if depth == 0 {
            closed(Range::Pushed(this_thread()));
        }
        depth
    })
}

fn started(name: impl FnOnce() -> String) -> u64 {
    harmless(0, || {
        if is_of_a_parent() {
            return 0;
        }
        let number = {
            let mut open = lock(&OPEN);
            open.last += 1;
            open.last
        };
        opened(Range::Started(number), name());
        number
    })
}

/// No two threads have it while both live.
fn this_thread() -> usize {
    DEPTH.with(|depth| std::ptr::from_ref(depth).addr())
}

extern "C" fn push(name: *const c_char) -> c_int {
    pushed(|| narrow(name))
}

extern "C" fn push_wide(name: *const u32) -> c_int {
    pushed(|| wide(name))
}

extern "C" fn push_ex(event: *const u8) -> c_int {
    pushed(|| message(event))
}

extern "C" fn pop() -> c_int {
    popped()
}

extern "C" fn start(name: *const c_char) -> u64 {
    started(|| narrow(name))
}

extern "C" fn start_wide(name: *const u32) -> u64 {
    started(|| wide(name))
}

extern "C" fn start_ex(event: *const u8) -> u64 {
    started(|| message(event))
}

extern "C" fn end(number: u64) {
    harmless((), || closed(Range::Started(number)));
}

/// The default domain is null.
extern "C" fn domain_push_ex(domain: *const c_void, event: *const u8) -> c_int {
    if domain.is_null() { push_ex(event) } else { 0 }
}

extern "C" fn domain_pop(domain: *const c_void) -> c_int {
    if domain.is_null() { pop() } else { 0 }
}

extern "C" fn domain_start_ex(domain: *const c_void, event: *const u8) -> u64 {
    if domain.is_null() { start_ex(event) } else { 0 }
}

extern "C" fn domain_end(domain: *const c_void, number: u64) {
    if domain.is_null() {
        end(number);
    }
}

/// Any domain but the default one, of which nothing is noticed.
extern "C" fn create_domain(_name: *const c_void) -> *const c_void {
    (&raw const OPEN).cast()
}

extern "C" fn register(_domain: *const c_void, name: *const c_char) -> *const c_char {
    harmless(null(), || kept(narrow(name)))
}

extern "C" fn register_wide(_domain: *const c_void, name: *const u32) -> *const c_char {
    harmless(null(), || kept(wide(name)))
}

/// A string that stays, and is the same for the same name.
fn kept(name: String) -> *const c_char {
    let Ok(name) = CString::new(name) else { return null() };
    if is_of_a_parent() {
        return null();
    }
    let mut names = lock(&NAMES);
    let names = names.get_or_insert_default();
    if names.len() >= MOST_NAMES && !names.contains(&name) {
        return c"(further ranges)".as_ptr();
    }
    names.insert(name.clone());
    // A string of C stays where it is when the set moves it.
    names.get(&name).map_or(null(), |name| name.as_ptr())
}

fn message(event: *const u8) -> String {
    if event.is_null() {
        return String::new();
    }
    // SAFETY: NVTX's event begins with its version and its size.
    if unsafe { event.wrapping_add(2).cast::<u16>().read_unaligned() } < ATTRIBUTES {
        return String::new();
    }
    // SAFETY: it is as large as the struct in NVTX's headers.
    let kind = unsafe { event.wrapping_add(MESSAGE_KIND).cast::<i32>().read_unaligned() };
    // SAFETY: as above.
    let name = unsafe { event.wrapping_add(MESSAGE).cast::<*const c_char>().read_unaligned() };
    match kind {
        1 => narrow(name),
        2 => wide(name.cast()),
        // What we gave out ourselves.
        3 => narrow(name),
        _ => String::new(),
    }
}

fn narrow(name: *const c_char) -> String {
    if name.is_null() {
        return String::new();
    }
    // SAFETY: a string of C, as NVTX promises.
    let name = unsafe { CStr::from_ptr(name) };
    name.to_string_lossy().chars().take(NAME).collect()
}

/// `wchar_t` is 32 bits where CUDA runs.
fn wide(name: *const u32) -> String {
    if name.is_null() {
        return String::new();
    }
    // SAFETY: it ends with 0, and nobody looks behind that.
    let characters =
        (0..NAME).map(|at| unsafe { name.wrapping_add(at).read_unaligned() }).take_while(|character| *character != 0);
    characters.map(|character| char::from_u32(character).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
