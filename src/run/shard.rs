//! One worker's share of a list of trials.

use super::ending::EarlyExit;
use anyhow::{Context, Result, bail, ensure};
use std::str::FromStr;

/// Worker `index`, from 0, of `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    fn new(index: usize, count: usize) -> Result<Shard> {
        ensure!(index < count, "there is no share {index} of {count}, expected 0 to {}", count.saturating_sub(1));
        Ok(Shard { index, count })
    }

    /// The share of this task of a Slurm job array.
    ///
    /// # Errors
    /// If this is no task of such an array, or its tasks are not numbered evenly.
    fn of_slurm(variable: impl Fn(&str) -> Option<String>) -> Result<Shard> {
        let number = |name: &str| -> Result<Option<usize>> {
            let Some(text) = variable(name) else { return Ok(None) };
            Ok(Some(text.parse().with_context(|| format!("{name} is '{text}', expected a number"))?))
        };
        let (Some(id), Some(count)) = (number("SLURM_ARRAY_TASK_ID")?, number("SLURM_ARRAY_TASK_COUNT")?) else {
            bail!(
                "this is no task of a Slurm job array (SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT are not set); \
                 submit it with sbatch --array, or name the share, for example 0/4"
            );
        };
        let (first, step) = (number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0), number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1));
        let index = id.checked_sub(first).filter(|offset| offset.is_multiple_of(step)).map(|offset| offset / step);
        let index = index.filter(|index| *index < count).with_context(|| {
            format!(
                "task {id} of a Slurm array of {count} tasks that begins at {first}: its tasks are not numbered evenly; \
                 use --array=0-{}, or name the share, for example 0/4",
                count.saturating_sub(1)
            )
        })?;
        Shard::new(index, count)
    }

    /// Whether this worker takes the trial in place `place` of the list. Every place is one worker's.
    pub fn takes(self, place: usize) -> bool {
        place % self.count == self.index
    }

    /// The end of a process that has trained its share of so many trials, with how to go on.
    pub fn done(self, trials: usize, next: &str) -> EarlyExit {
        let what = if self.index < trials {
            format!("share {self} is trained.")
        } else {
            format!(
                "NOTHING WAS TRAINED: share {self} is empty, there are more shares than the {trials} trial(s). The others are to be trained."
            )
        };
        EarlyExit { message: format!("{what} {next}"), code: 0 }
    }
}

impl FromStr for Shard {
    type Err = anyhow::Error;

    /// `INDEX/COUNT`, the index from 0, or `slurm` in a task of a Slurm job array.
    fn from_str(text: &str) -> Result<Shard> {
        if text == "slurm" {
            return Shard::of_slurm(|name| std::env::var(name).ok());
        }
        let parts = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        let Some((index, count)) = parts else { bail!("found '{text}', expected INDEX/COUNT, for example 0/4 to 3/4, or slurm") };
        Shard::new(index, count)
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_slurm(id: &str, count: &str, min: &str, step: &str) -> Result<Shard> {
        let names = ["SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"];
        let values = [id, count, min, step];
        Shard::of_slurm(|name| {
            names.iter().zip(values).find(|(known, value)| **known == name && !value.is_empty()).map(|(_, value)| value.to_owned())
        })
    }

    #[test]
    fn shares_are_read_from_flags_and_from_slurm() -> Result<()> {
        assert_eq!("3/8".parse::<Shard>()?, Shard { index: 3, count: 8 });
        for bad in ["8/8", "0/0", "3", "a/b", "-1/4", "1/4/2", ""] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
        for id in ["", "5"] {
            assert!(of_slurm(id, "", "", "").expect_err("no array").to_string().contains("no task of a Slurm job array"));
        }
        assert_eq!(of_slurm("5", "8", "", "")?, Shard { index: 5, count: 8 });
        assert_eq!(of_slurm("5", "8", "1", "1")?, Shard { index: 4, count: 8 }, "--array=1-8");
        assert_eq!(of_slurm("6", "4", "0", "2")?, Shard { index: 3, count: 4 }, "--array=0-6:2");
        for (id, count, min, step) in [("9", "3", "1", "1"), ("3", "4", "0", "2"), ("0", "4", "1", "1"), ("x", "4", "0", "1")] {
            assert!(of_slurm(id, count, min, step).is_err(), "{id} of {count} from {min} by {step}");
        }
        Ok(())
    }

    proptest::proptest! {
        #[test]
        fn every_trial_is_one_workers(count in 1_usize..50, place in 0_usize..1_000) {
            let takers = (0..count).filter(|index| Shard { index: *index, count }.takes(place)).count();
            assert_eq!(takers, 1);
            for index in 0..count {
                let shard = Shard { index, count };
                let is_empty = shard.done(place, "").message.starts_with("NOTHING WAS TRAINED");
                assert_eq!(is_empty, !(0..place).any(|place| shard.takes(place)), "share {shard} of {place} trials");
            }
        }
    }
}
