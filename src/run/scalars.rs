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
    /// What the epoch that comes next is trained with, unless a schedule sets it.
    learning_rate: f64,
    training: Training,
}

impl Scalars {
    /// Begins the events of a trial in `folder`, in place of what an earlier training of it left there, with the epochs that `state` has
    /// behind it.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn begin(folder: &Path, training: &Training, state: &State) -> Result<Scalars> {
        let mut scalars =
            Scalars { events: EventFile::replace(folder, "scalars")?, learning_rate: training.learning_rate, training: training.clone() };
        // A state holds the learning rate of the next epoch only. That of each before follows from the losses, by the rule itself.
        let mut past = State::new(training);
        for epoch in 1..=state.epoch {
            let loss = state.history.get(epoch, Split::Validation, Metric::Loss).unwrap_or(f64::NAN);
            let learning_rate = past.plateau.as_mut().map(|plateau| plateau.observe(loss, scalars.learning_rate));
            scalars.write(epoch, &state.history)?;
            scalars.learning_rate = learning_rate.unwrap_or(scalars.learning_rate);
        }
        Ok(scalars)
    }

    /// Appends the epoch that `state` has just ended.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn epoch(&mut self, state: &State) -> Result<()> {
        self.write(state.epoch, &state.history)?;
        self.learning_rate = state.optimizer.learning_rate();
        Ok(())
    }

    fn write(&mut self, epoch: i64, history: &History) -> Result<()> {
        let measured = history.records.iter().filter(|record| record.epoch == epoch);
        let mut values: Vec<(String, f64)> =
            measured.map(|record| (format!("{}/{}", record.metric.name(), record.split.name()), record.value)).collect();
        // Of a schedule, what is reached in the middle of the epoch.
        let scheduled = self.training.learning_rate_at(epoch - 1, self.training.epochs);
        values.push(("learning_rate".to_owned(), scheduled.unwrap_or(self.learning_rate)));
        self.events.scalars(epoch, &values)
    }
}
