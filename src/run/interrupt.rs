//! Signals that ask to stop, while networks are trained.

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXCPU};
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

/// Ctrl-C; the end that programs ask for; the terminal or the connection is gone; what batch systems send before the time is up.
const SIGNALS: [i32; 5] = [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGXCPU];

/// While this is true, a signal ends the process at once, as it does to any other.
static AT_ONCE: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));
/// After the first Ctrl-C; then another one does so too.
static AFTER_FIRST: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// The signal that has come, or 0.
static ASKED: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// While it lives, the first of [`SIGNALS`] only asks to stop ([`asked`]); a second Ctrl-C ends the process at once. A second one of the
/// others does not: what sends them is a program, and some send them twice (`timeout` does, to the process and to its group).
pub(super) struct Listening;

impl Listening {
    pub fn start() -> Result<Listening> {
        static REGISTERED: LazyLock<std::io::Result<()>> = LazyLock::new(|| {
            for signal in SIGNALS.into_iter().filter(|signal| *signal != SIGHUP || !is_ignored(SIGHUP)) {
                flag::register_conditional_default(signal, AT_ONCE.clone())?;
                flag::register_usize(signal, ASKED.clone(), signal as usize)?;
            }
            flag::register_conditional_default(SIGINT, AFTER_FIRST.clone())?;
            // After the others: the first Ctrl-C passes them and then sets this, the second one does not pass.
            flag::register(SIGINT, AFTER_FIRST.clone())?;
            Ok(())
        });
        REGISTERED.as_ref().map_err(|error| anyhow::anyhow!("{error}")).context("cannot listen for signals")?;
        ASKED.store(0, Ordering::SeqCst);
        AFTER_FIRST.store(false, Ordering::SeqCst);
        AT_ONCE.store(false, Ordering::SeqCst);
        Ok(Listening)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        AT_ONCE.store(true, Ordering::SeqCst);
    }
}

/// Whether this program was started so that it does not get `signal`, as `nohup` starts it for SIGHUP.
fn is_ignored(signal: i32) -> bool {
    // SAFETY: all zeros are a valid sigaction; where no new one is given, the present one is only read.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// The signal that asked to stop.
pub(super) fn asked() -> Option<i32> {
    Some(ASKED.load(Ordering::Relaxed) as i32).filter(|signal| *signal != 0)
}
