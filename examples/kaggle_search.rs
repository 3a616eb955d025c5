//! The report's random search on cats and dogs, from coarse to fine: every trial, what mattered, and the ten best.
//! Trains. Reads experiments/kaggle_search.toml; writes plots/kaggle_search.png, plots/kaggle_search.csv and plots/kaggle_search.md.

use reproduction::plot::{Hyperparameter, Tried, draw_search};
use reproduction::run::{self, ExitCode, Outcome, Result, Run};
use reproduction::search::Settings;
use reproduction::{say, table};

fn main() -> ExitCode {
    run::main(Run::start("kaggle_search"), make)
}

fn make(run: &Run) -> Result<()> {
    let searched = run.search(&run.cats_dogs()?)?;
    let trained = &searched.trained;
    let axes: Vec<Hyperparameter> = searched.space.iter().map(|(key, distribution)| Hyperparameter::new(key, distribution)).collect();
    let trials: Vec<(&Settings, &Outcome)> = searched.settings.iter().zip(&trained.outcomes).collect();

    let title = format!("Random search, from coarse to fine: {} settings of the VGG on cats and dogs", trials.len());
    let tried = |(settings, outcome): &(&Settings, &Outcome)| Tried {
        values: settings.values().copied().collect(),
        accuracy: outcome.history.best_epoch().1,
        is_fine: outcome.variant.starts_with("fine"),
    };
    let tried: Vec<Tried> = trials.iter().map(tried).collect();
    let picture = draw_search(&title, &format!("{}, {}", trained.data, trained.device), &axes, &tried)?;
    run.write_picture(&title, &picture, &rows(&axes, &trials))?;
    run.write_tables(&[("The ten best", best_ten(&axes, trials))])?;

    // The report gives no more of its search than the setting it chose, that of Figure 14.
    if let Some(reported) = run.report()?.number("Section 3, VGG")?.best_validation {
        let settings = table::settings(&run.variants, "vgg");
        say!("\nThe report chose {settings}: {:.0} % of its validation images, after up to 100 epochs.", 100.0 * reported);
    }
    Ok(())
}

/// The lines of the CSV, the headings first: of each trial its setting, its result, its time.
fn rows(axes: &[Hyperparameter], trials: &[(&Settings, &Outcome)]) -> Vec<Vec<String>> {
    let mut headings = vec!["trial".to_owned()];
    headings.extend(axes.iter().map(|axis| axis.key.clone()));
    headings.extend(["epochs", "best_epoch", "best_validation_accuracy", "seconds"].map(str::to_owned));
    let row = |(settings, outcome): &(&Settings, &Outcome)| {
        let (best, accuracy) = outcome.history.best_epoch();
        let mut row = vec![outcome.variant.clone()];
        row.extend(settings.values().map(f64::to_string));
        row.extend([outcome.history.epochs().to_string(), best.to_string(), accuracy.to_string(), format!("{:.1}", outcome.seconds)]);
        row
    };
    std::iter::once(headings).chain(trials.iter().map(row)).collect()
}

/// The ten trials with the best validation accuracy.
fn best_ten(axes: &[Hyperparameter], mut trials: Vec<(&Settings, &Outcome)>) -> table::Table {
    let accuracy = |outcome: &Outcome| outcome.history.best_epoch().1;
    trials.sort_by(|(_, one), (_, other)| accuracy(other).total_cmp(&accuracy(one)));
    let names = axes.iter().map(|axis| axis.name.as_str());
    let mut table = table::new(["trial"].into_iter().chain(names).chain(["epochs", "validation"]));
    for (settings, outcome) in trials.into_iter().take(10) {
        let mut row = vec![outcome.variant.replace('_', " ")];
        row.extend(settings.values().map(f64::to_string));
        row.extend([outcome.history.epochs().to_string(), format!("{:.2} %", 100.0 * accuracy(outcome))]);
        table.add_row(row);
    }
    table
}
