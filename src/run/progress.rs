//! Progress of training or prediction: a bar on a terminal, plain lines elsewhere.

use crate::history::{History, Metric, Split};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Progress over all trials of a run, shared by their threads; over images; or over examples.
pub struct Progress {
    bar: ProgressBar,
    /// When the last plain line was printed; none where there is a bar or nothing is to be said.
    plain: Option<Mutex<Option<Instant>>>,
    /// Whether each epoch leaves a line on a terminal, not only the last one of each trial.
    pub leaves_epochs: bool,
}

/// Plain lines come no more often than this, and at the end of each trial.
const PAUSE: Duration = Duration::from_secs(5);
/// After this time there is a plain line even if no epoch has ended: the first steps tell how long training will take.
const FIRST: Duration = Duration::from_secs(20);

impl Progress {
    /// Progress towards `steps` in all: minibatches, images, or seconds.
    pub fn new(steps: u64, quiet: bool) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let target = if quiet || !terminal { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
        let left = |state: &ProgressState, text: &mut dyn Write| {
            let _ = text.write_str(&time_left(state.pos(), state.len(), state.elapsed()));
        };
        let style = ProgressStyle::with_template("{bar:20} {percent:>3} %  {elapsed} gone, {left} left  {wide_msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("left", left);
        let bar = ProgressBar::with_draw_target(Some(steps), target).with_style(style);
        let plain = (!quiet && !terminal).then(|| Mutex::new(None));
        Progress { bar, plain, leaves_epochs: false }
    }

    /// So many minibatches are not to be done: an earlier run did them.
    pub fn skip(&self, minibatches: i64) {
        self.bar.dec_length(minibatches as u64);
    }

    /// So many more steps are done.
    pub fn advance(&self, steps: u64) {
        self.bar.inc(steps);
        if self.plain.as_ref().is_some_and(|last| self.bar.elapsed() >= FIRST && lock(last).is_none()) {
            self.say("as the first steps took".to_owned(), false);
        }
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
            let mut last = lock(last);
            if has_to_be_seen || last.is_none_or(|printed| printed.elapsed() >= PAUSE) {
                let (done, all) = (self.bar.position(), self.bar.length());
                let (percent, left) = (100 * done / all.unwrap_or(1).max(1), time_left(done, all, self.bar.elapsed()));
                tell!("{percent:>3} %, {left} left: {line}");
                *last = Some(Instant::now());
            }
        } else if has_to_be_seen {
            self.bar.println(&line);
        }
        self.bar.set_message(line);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Time left at the mean pace so far: the bar's own estimate goes astray where minutes pass between two steps.
fn time_left(done: u64, all: Option<u64>, elapsed: Duration) -> String {
    match done {
        0 => "?".to_owned(),
        _ => in_words(elapsed.as_secs_f64() * all.unwrap_or(0).saturating_sub(done) as f64 / done as f64),
    }
}

/// "2h 5m": to minutes, or to seconds where it is less than ten minutes.
pub(super) fn in_words(seconds: f64) -> String {
    let unit = if seconds < 600.0 { 1.0 } else { 60.0 };
    humantime::format_duration(Duration::from_secs(((seconds / unit).ceil() * unit) as u64)).to_string()
}
