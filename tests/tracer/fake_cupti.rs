//! A libcupti for tests: it hands over records that the fake program gives it in the layout of CUPTI's own.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

type Request = extern "C" fn(*mut *mut u8, *mut usize, *mut usize);
type Complete = extern "C" fn(*mut c_void, u32, *mut u8, usize, usize);

const RECORD: usize = 224;

static CALLBACKS: Mutex<Option<(Request, Complete)>> = Mutex::new(None);
static WAITING: Mutex<Vec<[u8; RECORD]>> = Mutex::new(Vec::new());
static TIME: AtomicU64 = AtomicU64::new(1);

/// Waits until it is fetched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fake_record(record: *const u8) {
    let mut bytes = [0; RECORD];
    unsafe { record.copy_to_nonoverlapping(bytes.as_mut_ptr(), RECORD) };
    WAITING.lock().unwrap().push(bytes);
}

#[unsafe(no_mangle)]
pub extern "C" fn fake_time(time: u64) {
    TIME.store(time, Ordering::SeqCst);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuptiGetVersion(version: *mut u32) -> c_int {
    let told = std::env::var("FAKE_CUPTI_VERSION").map_or(130_000, |version| version.parse().unwrap());
    unsafe { version.write(told) };
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn cuptiActivityRegisterCallbacks(request: Request, complete: Complete) -> c_int {
    *CALLBACKS.lock().unwrap() = Some((request, complete));
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn cuptiActivityEnable(_kind: u32) -> c_int {
    if std::env::var_os("FAKE_CUPTI_REFUSES").is_some() { 35 } else { 0 }
}

#[unsafe(no_mangle)]
pub extern "C" fn cuptiActivityFlushAll(_flag: u32) -> c_int {
    let records = std::mem::take(&mut *WAITING.lock().unwrap());
    let (request, complete) = CALLBACKS.lock().unwrap().unwrap();
    for part in records.chunks(1000) {
        let (mut buffer, mut size, mut most) = (std::ptr::null_mut::<u8>(), 0, 0);
        request(&raw mut buffer, &raw mut size, &raw mut most);
        assert!(!buffer.is_null() && size >= part.len() * RECORD && buffer.addr() % 8 == 0);
        for (index, record) in part.iter().enumerate() {
            unsafe { buffer.add(index * RECORD).copy_from_nonoverlapping(record.as_ptr(), RECORD) };
        }
        complete(std::ptr::null_mut(), 0, buffer, size, part.len() * RECORD);
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuptiActivityGetNextRecord(buffer: *mut u8, valid: usize, record: *mut *mut u8) -> c_int {
    let last = unsafe { record.read() };
    let next = if last.is_null() { buffer } else { unsafe { last.add(RECORD) } };
    if next.addr() >= buffer.addr() + valid {
        return 12;
    }
    unsafe { record.write(next) };
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuptiActivityGetNumDroppedRecords(_: *mut c_void, _: u32, count: *mut usize) -> c_int {
    unsafe { count.write(usize::from(std::env::var_os("FAKE_CUPTI_DROPS").is_some())) };
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuptiGetTimestamp(time: *mut u64) -> c_int {
    unsafe { time.write(TIME.load(Ordering::SeqCst)) };
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuptiGetResultString(_: c_int, text: *mut *const c_char) -> c_int {
    unsafe { text.write(c"CUPTI_ERROR_INSUFFICIENT_PRIVILEGES".as_ptr()) };
    0
}
