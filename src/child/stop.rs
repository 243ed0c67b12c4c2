//! Stopping: the first Ctrl-C ends measuring in good order, a second one at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once, read often.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

static SIGNALLED: Stop = Stop::new();

/// Has a signal asked to stop? Never before somebody listens ([`Stop::on_signals`]): until then a signal ends us.
pub(super) fn was_signalled() -> bool {
    SIGNALLED.is_requested()
}

impl Stop {
    /// A flag that nothing has set yet.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// The flag that Ctrl-C, SIGTERM and SIGHUP set in this process from now on.
    pub fn on_signals() -> &'static Self {
        static HANDLER: OnceLock<()> = OnceLock::new();
        HANDLER.get_or_init(|| {
            let handler = ctrlc::set_handler(|| {
                if SIGNALLED.0.swap(true, Ordering::SeqCst) {
                    // The guards of our children end them.
                    std::process::exit(crate::error::Exit::Interrupted as i32);
                }
            });
            if let Err(error) = handler {
                tracing::warn!("Ctrl-C will end measuring at once: {error}");
            }
        });
        &SIGNALLED
    }

    /// Asks to stop. There is no way back.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Has anything asked to stop?
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
