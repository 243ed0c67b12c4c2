//! How the programs of these tests load a library that a variable names, as the CUDA driver loads the tracer.

use std::ffi::{CString, c_char, c_int, c_void};

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

pub fn load(variable: &str) -> Option<*mut c_void> {
    let path = CString::new(std::env::var(variable).ok()?).unwrap();
    let library = unsafe { dlopen(path.as_ptr(), 2) };
    (!library.is_null()).then_some(library)
}

pub fn function<T: Copy>(library: *mut c_void, name: &str) -> T {
    let name = CString::new(name).unwrap();
    let address = unsafe { dlsym(library, name.as_ptr()) };
    assert!(!address.is_null(), "{name:?}");
    unsafe { std::mem::transmute_copy(&address) }
}
