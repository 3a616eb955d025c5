//! Random search from coarse to fine (Bergstra and Bengio 2012): settings are drawn, not laid out in a grid, so that every trial tries a
//! new value of every hyperparameter, also of those that turn out to matter.

use crate::experiment::{Distribution, Search};
use crate::seed::{Purpose, draw};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

/// The value of each hyperparameter, by its place in the experiment.
pub type Settings = BTreeMap<String, f64>;

/// `trials` settings drawn from `space`; the `first`-th of the search and those after it, each from a stream of its own.
pub fn settings(space: &BTreeMap<String, Distribution>, first: usize, trials: usize, seed: u64) -> Vec<Settings> {
    let one = |place: usize| {
        let numbers = draw(seed, Purpose::Search, place as u64, || Tensor::rand([space.len() as i64], (Kind::Double, Device::Cpu)));
        let value = |(index, (key, distribution)): (usize, (&String, &Distribution))| {
            (key.clone(), distribution.at(numbers.double_value(&[index as i64])))
        };
        space.iter().enumerate().map(value).collect()
    };
    (first..first + trials).map(one).collect()
}

/// The space around the best of these coarse trials, each with its accuracy.
pub fn around_best(search: &Search, coarse: &[(Settings, f64)]) -> BTreeMap<String, Distribution> {
    let mut best: Vec<&(Settings, f64)> = coarse.iter().collect();
    best.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    best.truncate(search.around);
    let around = |(key, distribution): (&String, &Distribution)| {
        let values: Vec<f64> = best.iter().filter_map(|(settings, _)| settings.get(key).copied()).collect();
        (key.clone(), distribution.around(&values))
    };
    search.space.iter().map(around).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::SearchStage;

    fn search() -> Search {
        let space = BTreeMap::from([
            ("a".to_owned(), Distribution::LogUniform([1e-4, 1.0])),
            ("b".to_owned(), Distribution::Choice(vec![1.0, 2.0, 3.0])),
        ]);
        Search { coarse: SearchStage { trials: 200, epochs: 1 }, fine: SearchStage { trials: 50, epochs: 2 }, around: 5, space }
    }

    #[test]
    fn settings_are_spread_over_the_space_and_each_is_its_own() {
        let search = search();
        let drawn = settings(&search.space, 0, 2_000, 1);
        let logarithms: Vec<f64> = drawn.iter().map(|settings| settings["a"].log10()).collect();
        // Uniform from -4 to 0: a mean of -2 with a standard error of 0.026.
        let mean = logarithms.iter().sum::<f64>() / 2_000.0;
        assert!((mean + 2.0).abs() < 0.13 && logarithms.iter().all(|value| (-4.0..=0.0).contains(value)), "{mean}");
        let twos = drawn.iter().filter(|settings| settings["b"] == 2.0).count();
        assert!((twos as f64 / 2_000.0 - 1.0 / 3.0).abs() < 0.053, "{twos}");
        assert_eq!(settings(&search.space, 7, 1, 1)[0], drawn[7], "whatever is drawn before it");
        assert_ne!(settings(&search.space, 7, 1, 2)[0], drawn[7]);
    }

    /// On a function whose best is at a = 0.01, b = 3.
    #[test]
    fn the_fine_stage_looks_where_the_coarse_one_found_the_best() {
        let search = search();
        let value = |settings: &Settings| settings["b"] / 10.0 - (settings["a"].log10() + 2.0).abs();
        let coarse: Vec<(Settings, f64)> =
            settings(&search.space, 0, search.coarse.trials, 3).into_iter().map(|settings| (settings.clone(), value(&settings))).collect();
        let space = around_best(&search, &coarse);
        let Distribution::LogUniform([low, high]) = space["a"] else { panic!("another kind") };
        assert!((1e-3..1e-2).contains(&low) && (1e-2..1e-1).contains(&high), "{low} to {high}");
        let fine = settings(&space, search.coarse.trials, search.fine.trials, 3);
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        assert!(mean(fine.iter().map(value).collect()) > mean(coarse.iter().map(|(_, value)| *value).collect()));
    }
}
