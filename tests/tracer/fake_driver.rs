//! Makes any program one that uses "CUDA": preloaded, it loads what CUDA_INJECTION64_PATH names before the program begins.

use std::ffi::{CString, c_char, c_int, c_void};

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = at_start;

extern "C" fn at_start() {
    let path = CString::new(std::env::var("CUDA_INJECTION64_PATH").unwrap()).unwrap();
    unsafe {
        let library = dlopen(path.as_ptr(), 2);
        let initialize: extern "C" fn() -> c_int = std::mem::transmute(dlsym(library, c"InitializeInjection".as_ptr()));
        initialize();
    }
}
