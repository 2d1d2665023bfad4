//! Cancellation: one flag, set by Ctrl-C, looked at by everything that waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that says the user wants to stop. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
}

impl Cancel {
    /// A flag that nobody has set yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everything that looks at this flag to stop.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// Whether somebody asked to stop, which is then forgotten: for work whose
    /// usual end that is, and which must hear it if they ask again.
    pub fn take(&self) -> bool {
        self.flag.swap(false, Ordering::SeqCst)
    }

    /// The flag itself, for a signal handler.
    pub fn as_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }
}
