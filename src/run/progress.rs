//! How far training or prediction is: a bar on a terminal, plain lines elsewhere.

use crate::history::{History, Metric, Split};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Progress over all trials of a run, shared by their threads, or over images.
pub struct Display {
    bar: ProgressBar,
    started: Instant,
    /// Steps that earlier runs had done.
    before: AtomicU64,
    /// When the last plain line was printed; none where there is a bar or nothing is to be said.
    plain: Option<Mutex<Option<Instant>>>,
    /// Whether each epoch leaves a line on a terminal, not only the last one of each trial.
    pub leaves_epochs: bool,
}

/// Plain lines come no more often than this, and at the end of each trial.
const PAUSE: Duration = Duration::from_secs(5);

impl Display {
    /// Progress towards `steps` in all: minibatches, or images.
    pub fn new(steps: u64, quiet: bool) -> Display {
        let terminal = std::io::stderr().is_terminal();
        let target = if quiet || !terminal { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
        let style = ProgressStyle::with_template("{bar:20} {percent:>3} %  {elapsed} gone, {eta} left  {wide_msg}");
        let bar = ProgressBar::with_draw_target(Some(steps), target).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let plain = (!quiet && !terminal).then(|| Mutex::new(None));
        Display { bar, started: Instant::now(), before: AtomicU64::new(0), plain, leaves_epochs: false }
    }

    /// So many minibatches were done by an earlier run.
    pub fn go_on_from(&self, minibatches: u64) {
        self.before.fetch_add(minibatches, Ordering::Relaxed);
        self.bar.inc(minibatches);
    }

    /// What is left, at the mean pace so far; the bar's own estimate goes astray where minutes pass between two words.
    fn left(&self) -> f64 {
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let own = done.saturating_sub(self.before.load(Ordering::Relaxed)).max(1);
        self.started.elapsed().as_secs_f64() * all.saturating_sub(done) as f64 / own as f64
    }

    /// So many more steps are done.
    pub fn advance(&self, steps: u64) {
        self.bar.inc(steps);
    }

    /// An epoch of `trial` ended, perhaps its last.
    pub fn epoch(&self, trial: &str, epoch: i64, epochs: i64, is_last: bool, history: &History) {
        let value = |split, metric| history.get(epoch, split, metric);
        let percent = |split| value(split, Metric::Accuracy).map(|accuracy| format!("{:.2} %", 100.0 * accuracy));
        let measured = value(Split::Validation, Metric::Loss).zip(percent(Split::Validation));
        let measured = measured.map_or(String::new(), |(loss, accuracy)| format!(", validation loss {loss:.4}, accuracy {accuracy}"));
        let others = [Split::Train, Split::Test].map(|split| percent(split).map(|accuracy| format!(", {} {accuracy}", split.name())));
        let line = format!("{trial}: epoch {epoch}/{epochs}{measured}{}", others.into_iter().flatten().collect::<String>());
        self.say(line, is_last || (self.leaves_epochs && self.plain.is_none()));
    }

    /// Shows `line` beside the bar, and above it for good if it has to be seen; where there is no bar, prints it if it has to be seen or the
    /// last one was printed some time ago.
    pub fn say(&self, line: String, has_to_be_seen: bool) {
        if let Some(last) = &self.plain {
            let mut last = last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if has_to_be_seen || last.is_none_or(|printed| printed.elapsed() >= PAUSE) {
                let percent = 100 * self.bar.position() / self.bar.length().unwrap_or(1).max(1);
                tell!("{percent:>3} %, {:.0} s left: {line}", self.left());
                *last = Some(Instant::now());
            }
        } else if has_to_be_seen {
            self.bar.println(&line);
        }
        self.bar.set_message(line);
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
