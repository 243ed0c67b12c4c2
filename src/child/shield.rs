//! Keeping others from looking into this process.

use std::sync::Once;

/// Keeps other processes of this user, the measured program among them, from reading our environment and memory in
/// `/proc`, where a token may be.
///
/// It can't keep out root: a runner that measures untrusted code must not run as root.
pub fn shield() {
    static ONCE: Once = Once::new();
    ONCE.call_once(hide);
}

fn hide() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!("other processes can read this one's environment: {error}");
    }
}
