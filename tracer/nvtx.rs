//! Hears of the [ranges](super::ranges) that the program marks with NVTX, in NVTX's default domain.
//!
//! NVTX is headers in the program that load what `NVTX_INJECTION64_PATH` names, and let it fill tables of functions. Libraries
//! mark what they do in domains of their own, which say nothing about the program.

use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null;
use std::sync::Mutex;

use super::{lock, ranges};

/// More names of a program's own aren't told apart.
const MOST_NAMES: usize = 4096;
/// Characters of a name that are kept, and of a wide string that are looked at.
const NAME: usize = 100;

static NAMES: Mutex<Option<HashSet<CString>>> = Mutex::new(None);

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
    ranges::begin_here();
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

/// Nothing of ours may unwind into the program.
fn harmless<T>(of_no_use: T, act: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or(of_no_use)
}

extern "C" fn push(name: *const c_char) -> c_int {
    harmless(-1, || ranges::push(|| narrow(name)))
}

extern "C" fn push_wide(name: *const u32) -> c_int {
    harmless(-1, || ranges::push(|| wide(name)))
}

extern "C" fn push_ex(event: *const u8) -> c_int {
    harmless(-1, || ranges::push(|| message(event)))
}

extern "C" fn pop() -> c_int {
    harmless(-1, ranges::pop)
}

extern "C" fn start(name: *const c_char) -> u64 {
    harmless(0, || ranges::start(|| narrow(name)))
}

extern "C" fn start_wide(name: *const u32) -> u64 {
    harmless(0, || ranges::start(|| wide(name)))
}

extern "C" fn start_ex(event: *const u8) -> u64 {
    harmless(0, || ranges::start(|| message(event)))
}

extern "C" fn end(number: u64) {
    harmless((), || ranges::end(number));
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
    (&raw const NAMES).cast()
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
    if ranges::are_of_a_parent() {
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
        // The third is what we gave out ourselves.
        1 | 3 => narrow(name),
        2 => wide(name.cast()),
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
