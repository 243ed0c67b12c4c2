//! Threads of ours in somebody else's process.

use std::ffi::c_int;
use std::ptr::null_mut;
use std::thread;

/// Of Linux.
const SET_MASK: c_int = 2;

/// As large as C's `sigset_t`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Signals([u64; 16]);

unsafe extern "C" {
    fn pthread_sigmask(how: c_int, new: *const Signals, old: *mut Signals) -> c_int;
}

/// Starts one that no signal reaches: they are the program's, which may wait for them in a thread of its own, with all others
/// that it knows of blocking them.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    let (all, mut before) = (Signals([u64::MAX; 16]), Signals([0; 16]));
    // SAFETY: a function of C's library; both sets are as large as its own.
    unsafe { pthread_sigmask(SET_MASK, &raw const all, &raw mut before) };
    // It begins with what its maker has blocked.
    let _ = thread::Builder::new().name(name.to_owned()).spawn(work);
    // SAFETY: as above.
    unsafe { pthread_sigmask(SET_MASK, &raw const before, null_mut()) };
}
