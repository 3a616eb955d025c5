//! Early stopping.

use serde::{Deserialize, Serialize};

/// Training ends after `patience` epochs without a validation loss below the best one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    patience: u32,
    best: f64,
    epochs_without_improvement: u32,
}

impl EarlyStopping {
    pub fn new(patience: u32) -> EarlyStopping {
        EarlyStopping { patience, best: f64::INFINITY, epochs_without_improvement: 0 }
    }

    /// Looks at an epoch's validation loss and says whether to stop.
    pub fn observe(&mut self, loss: f64) -> bool {
        if loss < self.best {
            (self.best, self.epochs_without_improvement) = (loss, 0);
        } else {
            self.epochs_without_improvement += 1;
        }
        self.epochs_without_improvement >= self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stops_after_patience_epochs_without_a_better_one() {
        let cases: [(&[f64], Option<usize>); 5] = [
            (&[3.0, 2.0, 1.0, 0.5, 0.4], None),
            (&[1.0, 1.0, 1.0, 1.0], Some(3)),
            (&[1.0, 2.0, 0.9, 2.0, 2.0, 0.1], Some(5)),
            (&[1.0, 2.0, 0.9, 2.0, 0.8, 2.0], None),
            (&[f64::NAN, f64::NAN], Some(2)),
        ];
        for (losses, expected) in cases {
            let mut rule = EarlyStopping::new(2);
            let stop = losses.iter().position(|loss| rule.observe(*loss)).map(|index| index + 1);
            assert_eq!(stop, expected, "{losses:?}");
        }
    }
}
