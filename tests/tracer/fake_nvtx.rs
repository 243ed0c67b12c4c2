//! NVTX as the headers in a program do it: what `NVTX_INJECTION64_PATH` names fills tables, through which ranges are told.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

use super::fake_loading::{function, load};

const CORE: u32 = 1;
const CORE_2: u32 = 5;
const SIZE: usize = 16;

static mut FUNCTIONS: [[*const c_void; SIZE]; 2] = [[null(); SIZE]; 2];
static mut TABLES: [[*mut *const c_void; SIZE]; 2] = [[null_mut(); SIZE]; 2];

#[repr(C)]
struct Callbacks {
    size: usize,
    tables: unsafe extern "C" fn(u32, *mut *mut *mut *const c_void, *mut u32) -> c_int,
}

static CALLBACKS: Callbacks = Callbacks { size: 16, tables };

unsafe extern "C" fn tables(module: u32, table: *mut *mut *mut *const c_void, size: *mut u32) -> c_int {
    let at = match module {
        CORE => 0,
        CORE_2 => 1,
        _ => return 0,
    };
    unsafe {
        for number in 1..SIZE {
            TABLES[at][number] = &raw mut FUNCTIONS[at][number];
        }
        *table = (&raw mut TABLES[at]).cast();
        *size = SIZE as u32;
    }
    1
}

unsafe extern "C" fn export(id: u32) -> *const c_void {
    if id == 1 { (&raw const CALLBACKS).cast() } else { null() }
}

/// As the first range does. False where nobody wants to know.
pub fn initialize() -> bool {
    let Some(injected) = load("NVTX_INJECTION64_PATH") else { return false };
    let initialize: extern "C" fn(unsafe extern "C" fn(u32) -> *const c_void) -> c_int =
        function(injected, "InitializeInjectionNvtx2");
    initialize(export) == 1
}

/// What stands at a number of a table, where it was filled.
fn filled<T: Copy>(module: u32, number: usize) -> T {
    let function = unsafe { FUNCTIONS[usize::from(module == CORE_2)][number] };
    assert!(!function.is_null(), "{module} {number}");
    unsafe { std::mem::transmute_copy(&function) }
}

fn c(text: &str) -> *const c_char {
    CString::new(text).unwrap().into_raw()
}

/// An event with a name of that kind, in NVTX's layout.
fn event(kind: i32, name: *const c_void) -> *const c_void {
    let mut event = vec![0_u8; 48];
    event[0] = 3;
    event[2] = 48;
    event[32..36].copy_from_slice(&kind.to_ne_bytes());
    event[40..48].copy_from_slice(&name.addr().to_ne_bytes());
    event.leak().as_ptr().cast()
}

type Push = extern "C" fn(*const c_void) -> c_int;
type PushEx = extern "C" fn(*const c_void, *const c_void) -> c_int;
type Register = extern "C" fn(*const c_void, *const c_char) -> *const c_void;

/// `push NAME`, `pop`, `start NAME`, `end NUMBER`, `wide NAME`, `event NAME`, `registered NAME`, `library NAME`.
pub fn range(words: &[&str]) {
    let name = || c(words[1]).cast::<c_void>();
    match words[0] {
        "push" => drop(filled::<Push>(CORE, 9)(name())),
        "wide" => {
            let wide: Vec<u32> = words[1].chars().map(u32::from).chain([0]).collect();
            filled::<Push>(CORE, 10)(wide.leak().as_ptr().cast());
        }
        "event" => drop(filled::<Push>(CORE, 8)(event(1, name()))),
        "registered" => {
            let registered = filled::<Register>(CORE_2, 10)(null(), c(words[1]));
            filled::<PushEx>(CORE_2, 4)(null(), event(3, registered));
        }
        "library" => {
            let domain = filled::<extern "C" fn(*const c_char) -> *const c_void>(CORE_2, 12)(c("NCCL"));
            filled::<PushEx>(CORE_2, 4)(domain, event(1, name()));
        }
        "pop" => drop(filled::<extern "C" fn() -> c_int>(CORE, 11)()),
        "start" => drop(filled::<extern "C" fn(*const c_void) -> u64>(CORE, 5)(name())),
        "end" => filled::<extern "C" fn(u64)>(CORE, 7)(words[1].parse().unwrap()),
        other => panic!("no range {other}"),
    }
}
