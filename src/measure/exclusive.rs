//! One measurement at a time on a device, over all processes of this machine.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use super::halt::Halt;
use super::observer::{Observer, Update};
use crate::case::DeviceKind;
use crate::child::Stop;
use crate::config::Suite;
use crate::error::Error;
use crate::files::lock;

/// Held while measuring; the kernel frees it whatever ends the process.
#[derive(Debug)]
pub struct Exclusive {
    _locks: Vec<File>,
}

const RETRY: Duration = Duration::from_millis(200);

impl Exclusive {
    /// Waits until nobody else measures on the suite's devices.
    pub fn wait(suite: &Suite, directory: &Path, observer: &mut dyn Observer, stop: &Stop) -> Result<Self, Halt> {
        let mut locks = Vec::new();
        for name in devices(suite) {
            let path = directory.join(format!("bench-diff-{name}.lock"));
            let failed =
                |what: &str, error| Error::measurement(format!("can't {what} {}", path.display())).because(error);
            let mut file = lock::open(&path).map_err(|error| failed("open the lock file", error))?;
            let mut told = false;
            loop {
                match file.try_lock() {
                    Ok(()) => break,
                    Err(TryLockError::WouldBlock) if stop.is_requested() => return Err(Halt::Stopped),
                    Err(TryLockError::WouldBlock) => {
                        if !std::mem::replace(&mut told, true) {
                            observer.update(Update::Waiting { reason: &waiting_for(&mut file) });
                        }
                        std::thread::sleep(RETRY);
                    }
                    Err(TryLockError::Error(error)) => return Err(failed("lock", error).into()),
                }
            }
            // Only for the message above, in other processes.
            let _ =
                file.rewind().and_then(|()| file.set_len(0)).and_then(|()| writeln!(file, "{}", std::process::id()));
            locks.push(file);
        }
        Ok(Self { _locks: locks })
    }
}

/// The names of the suite's devices, always in the same order, so that two sessions can't wait for each other.
fn devices(suite: &Suite) -> Vec<String> {
    let mut names = suite.gpus.keys();
    if suite.models.iter().any(|model| model.spec.device == DeviceKind::Cpu) {
        names.push("cpu".to_owned());
    }
    names.sort();
    names
}

fn waiting_for(file: &mut File) -> String {
    let mut holder = String::new();
    let known = file.take(20).read_to_string(&mut holder).is_ok();
    let holder = match holder.trim().parse::<u32>() {
        Ok(pid) if known => format!("process {pid}"),
        _ => "another process".to_owned(),
    };
    format!("{holder} is measuring on this device; waiting for it to end")
}
