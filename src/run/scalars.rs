//! The scalars of one trial as TensorBoard events, epoch by epoch.

use crate::experiment::Training;
use crate::history::{History, Metric, Split};
use crate::tensorboard::EventFile;
use crate::train::State;
use anyhow::Result;
use std::path::Path;

/// The events of a trial in training.
pub(super) struct Scalars {
    events: EventFile,
    training: Training,
}

impl Scalars {
    /// Begins the events of a trial in `folder`, in place of those of an earlier training, with the epochs that `state` has behind it.
    pub fn begin(folder: &Path, training: &Training, state: &State) -> Result<Scalars> {
        let mut scalars = Scalars { events: EventFile::replace(folder, "scalars")?, training: training.clone() };
        (1..=state.epoch).try_for_each(|epoch| scalars.epoch(epoch, &state.history))?;
        Ok(scalars)
    }

    /// Appends an epoch.
    pub fn epoch(&mut self, epoch: i64, history: &History) -> Result<()> {
        let measured = history.records.iter().filter(|record| record.epoch == epoch);
        let mut values: Vec<(String, f64)> =
            measured.map(|record| (format!("{}/{}", record.metric.name(), record.split.name()), record.value)).collect();
        values.push(("learning_rate".to_owned(), learning_rate(&self.training, epoch, history)));
        self.events.scalars(epoch, &values)
    }
}

/// The learning rate of `epoch`: of a schedule, that in the middle of the epoch; else what the plateau rule makes of the losses before it.
fn learning_rate(training: &Training, epoch: i64, history: &History) -> f64 {
    if let Some(scheduled) = training.learning_rate_at(epoch - 1, training.epochs) {
        return scheduled;
    }
    let (mut learning_rate, mut plateau) = (training.learning_rate, State::new(training).plateau);
    for earlier in 1..epoch {
        let loss = history.get(earlier, Split::Validation, Metric::Loss).unwrap_or(f64::NAN);
        learning_rate = plateau.as_mut().map_or(learning_rate, |plateau| plateau.observe(loss, learning_rate));
    }
    learning_rate
}
