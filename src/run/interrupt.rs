//! Ctrl-C and SIGTERM, while networks are trained.

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

/// While this is true, a signal ends the process at once, as it does to any other.
static AT_ONCE: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));
/// The signal that has come, or 0.
static ASKED: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// While it lives, the first Ctrl-C or SIGTERM only asks to stop ([`asked`]); a second Ctrl-C ends the process at once. A second
/// SIGTERM does not: what sends that is a program, and some send it twice (`timeout` does, to the process and to its group).
pub(super) struct Listening;

impl Listening {
    pub fn start() -> Result<Listening> {
        static REGISTERED: LazyLock<std::io::Result<()>> = LazyLock::new(|| {
            for signal in [SIGINT, SIGTERM] {
                flag::register_conditional_default(signal, AT_ONCE.clone())?;
                flag::register_usize(signal, ASKED.clone(), signal as usize)?;
            }
            // After the others: the first Ctrl-C passes the first of them and then sets this, the second one does not pass.
            flag::register(SIGINT, AT_ONCE.clone())?;
            Ok(())
        });
        REGISTERED.as_ref().map_err(|error| anyhow::anyhow!("{error}")).context("cannot listen for Ctrl-C")?;
        ASKED.store(0, Ordering::SeqCst);
        AT_ONCE.store(false, Ordering::SeqCst);
        Ok(Listening)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        AT_ONCE.store(true, Ordering::SeqCst);
    }
}

/// The signal that asked to stop.
pub(super) fn asked() -> Option<i32> {
    Some(ASKED.load(Ordering::Relaxed) as i32).filter(|signal| *signal != 0)
}
