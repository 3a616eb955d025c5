//! How far training or prediction is: a bar on a terminal, plain lines elsewhere.

use crate::history::{History, Metric, Split};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Progress over all trials of a run, shared by their threads; over images; or over examples.
pub struct Display {
    bar: ProgressBar,
    /// Steps that earlier runs had done.
    before: Arc<AtomicU64>,
    /// When the last plain line was printed; none where there is a bar or nothing is to be said.
    plain: Option<Mutex<Option<Instant>>>,
    /// Whether each epoch leaves a line on a terminal, not only the last one of each trial.
    pub leaves_epochs: bool,
}

/// Plain lines come no more often than this, and at the end of each trial.
const PAUSE: Duration = Duration::from_secs(5);

impl Display {
    /// Progress towards `steps` in all: minibatches, images, or seconds.
    pub fn new(steps: u64, quiet: bool) -> Display {
        let terminal = std::io::stderr().is_terminal();
        let target = if quiet || !terminal { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
        let before = Arc::new(AtomicU64::new(0));
        let earlier = before.clone();
        let left = move |state: &ProgressState, text: &mut dyn Write| {
            let _ = text.write_str(&time_left(state.pos(), state.len(), earlier.load(Ordering::Relaxed), state.elapsed()));
        };
        let style = ProgressStyle::with_template("{bar:20} {percent:>3} %  {elapsed} gone, {left} left  {wide_msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("left", left);
        let bar = ProgressBar::with_draw_target(Some(steps), target).with_style(style);
        let plain = (!quiet && !terminal).then(|| Mutex::new(None));
        Display { bar, before, plain, leaves_epochs: false }
    }

    /// So many minibatches were done by an earlier run.
    pub fn go_on_from(&self, minibatches: u64) {
        self.before.fetch_add(minibatches, Ordering::Relaxed);
        self.bar.inc(minibatches);
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
                let before = self.before.load(Ordering::Relaxed);
                let left = time_left(self.bar.position(), self.bar.length(), before, self.bar.elapsed());
                tell!("{percent:>3} %, {left} left: {line}");
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

/// Time left at the mean pace so far: the bar's own estimate goes astray where minutes pass between two steps.
fn time_left(done: u64, all: Option<u64>, before: u64, elapsed: Duration) -> String {
    match done.saturating_sub(before) {
        0 => "?".to_owned(),
        own => {
            let left = elapsed.mul_f64(all.unwrap_or(0).saturating_sub(done) as f64 / own as f64);
            humantime::format_duration(rounded(left)).to_string()
        }
    }
}

/// To minutes, or to seconds where it is less than ten minutes.
pub(super) fn rounded(duration: Duration) -> Duration {
    let unit = if duration.as_secs() < 600 { 1 } else { 60 };
    Duration::from_secs(duration.as_secs().div_ceil(unit) * unit)
}
