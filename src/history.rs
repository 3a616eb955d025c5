//! The history of a training run: epoch x split x metric, to and from CSV.

use crate::experiment::LARGEST_COUNT;
use crate::files::to_csv;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    Train,
    Validation,
    Test,
}

impl Metric {
    pub fn name(self) -> &'static str {
        match self {
            Metric::Loss => "loss",
            Metric::Accuracy => "accuracy",
            Metric::TwiceSoftmaxedLoss => "twice_softmaxed_loss",
        }
    }
}

impl Split {
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean cross-entropy per example.
    Loss,
    /// The share of examples whose largest logit is that of their label.
    Accuracy,
    /// Cross-entropy with the softmax taken twice, as the report's Figure 1 has it.
    TwiceSoftmaxedLoss,
}

/// One measurement: a mean over all the examples of a split after an epoch (the first is epoch 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub epoch: i64,
    pub split: Split,
    pub metric: Metric,
    pub value: f64,
}

/// Every measurement of one run, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    pub records: Vec<Record>,
}

impl History {
    /// The last epoch measured; 0 if there is none.
    pub fn epochs(&self) -> i64 {
        self.records.iter().map(|record| record.epoch).max().unwrap_or(0)
    }

    /// The value of `metric` on `split` after `epoch`.
    pub fn get(&self, epoch: i64, split: Split, metric: Metric) -> Option<f64> {
        let wanted = |record: &&Record| record.epoch == epoch && record.split == split && record.metric == metric;
        self.records.iter().find(wanted).map(|record| record.value)
    }

    /// The epoch with the best validation accuracy, the first of several, and that accuracy; epoch 0 and NaN if none was measured.
    pub fn best_epoch(&self) -> (i64, f64) {
        let accuracy = |epoch: i64| self.get(epoch, Split::Validation, Metric::Accuracy).map(|accuracy| (epoch, accuracy));
        (1..=self.epochs()).rev().filter_map(accuracy).max_by(|(_, one), (_, other)| one.total_cmp(other)).unwrap_or((0, f64::NAN))
    }

    /// CSV with the columns epoch, split, metric, value; values in the shortest form that reads back as the same number.
    pub fn to_csv(&self) -> Result<Vec<u8>> {
        to_csv(&self.records)
    }

    /// Reads what [`History::to_csv`] made.
    pub fn read(path: &Path) -> Result<History> {
        History::parse(&std::fs::read(path).with_context(|| format!("cannot read the history {}", path.display()))?, path)
    }

    /// As [`History::read`], from text; `path` is for messages.
    pub fn parse(text: &[u8], path: &Path) -> Result<History> {
        let records = || -> Result<Vec<Record>> {
            let records: Vec<Record> = csv::Reader::from_reader(text).deserialize().collect::<Result<_, _>>()?;
            for Record { epoch, .. } in &records {
                ensure!((1..=LARGEST_COUNT).contains(epoch), "an epoch is {epoch}, expected a number from 1 to {LARGEST_COUNT}");
            }
            Ok(records)
        };
        Ok(History { records: records().with_context(|| format!("in the history {}; remove it to train anew", path.display()))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_survives_its_csv() -> Result<()> {
        let value = |epoch, split, metric, value| Record { epoch, split, metric, value };
        let history = History {
            records: vec![
                value(1, Split::Train, Metric::Loss, 0.1 + 0.2),
                value(1, Split::Validation, Metric::TwiceSoftmaxedLoss, 1.461_153_9),
                value(2, Split::Test, Metric::Accuracy, 0.1135),
            ],
        };
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("history.csv");
        std::fs::write(&path, history.to_csv()?)?;
        assert_eq!(History::read(&path)?, history);
        assert_eq!(history.get(2, Split::Test, Metric::Accuracy), Some(0.1135));
        assert_eq!(history.get(2, Split::Train, Metric::Loss), None, "not measured after that epoch");
        Ok(())
    }
    #[test]
    fn an_epoch_that_nobody_could_have_trained_is_refused() {
        for epoch in ["0", "-1", "1000001", "9223372036854775807"] {
            let text = format!("epoch,split,metric,value\n1,train,loss,0.5\n{epoch},train,loss,0.5\n");
            let error = format!("{:#}", History::parse(text.as_bytes(), Path::new("history.csv")).expect_err(epoch));
            assert!(
                error.contains("history.csv") && error.contains(&format!("an epoch is {epoch}, expected a number from 1 to")),
                "{error}"
            );
        }
    }
}
