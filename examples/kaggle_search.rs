//! The report's random search on cats and dogs, from coarse to fine: every trial, what mattered, and the ten best.
//! Trains. Reads experiments/kaggle_search.toml; writes plots/kaggle_search.png, .csv and .md.

use anyhow::Context;
use reproduction::plot::{Hyperparameter, Tried, draw_search};
use reproduction::run::{self, ExitCode, Result, Run, Searched};
use reproduction::{say, table};

fn main() -> ExitCode {
    run::main(Run::start("kaggle_search"), make)
}

fn make(run: &Run) -> Result<()> {
    let rows = run.rows(|| Ok(rows(&run.search(&run.cats_dogs()?.data)?)))?;
    let [headings, trials @ ..] = &rows[..] else { unreachable!("the headings come first") };
    let place = |heading: &str| headings.iter().position(|other| other == heading);
    let column = |heading: &str| place(heading).with_context(|| format!("the CSV of the search has no column `{heading}`"));
    let [accuracy, data, device] = [column("best_validation_accuracy")?, column("data")?, column("device")?];
    let number = |row: &[String], column: usize| -> Result<f64> {
        row[column].parse().with_context(|| format!("{} of trial {} is {:?}, expected a number", headings[column], row[0], row[column]))
    };
    let space = run.variants.first().and_then(|variant| variant.search.as_ref()).context("the experiment has no [search]")?.space.iter();
    let axes = space.map(|(key, distribution)| Ok((column(key)?, Hyperparameter::new(key, distribution)))).collect::<Result<Vec<_>>>()?;

    let title = format!("Random search, from coarse to fine: {} settings of the VGG on cats and dogs", trials.len());
    let tried = |row: &Vec<String>| -> Result<Tried> {
        let values = axes.iter().map(|(column, _)| number(row, *column)).collect::<Result<_>>()?;
        Ok(Tried { values, accuracy: number(row, accuracy)?, is_fine: row[0].starts_with("fine") })
    };
    let tried = trials.iter().map(tried).collect::<Result<Vec<_>>>()?;
    let subtitle = trials.first().map_or(String::new(), |row| format!("{}, {}", row[data], row[device]));
    let picture = draw_search(&title, &subtitle, axes.iter().map(|(_, axis)| axis.clone()).collect::<Vec<_>>().as_slice(), &tried)?;
    run.write_picture(&title, &picture, &rows)?;

    let mut best: Vec<(&Vec<String>, f64)> = trials.iter().zip(tried.iter().map(|trial| trial.accuracy)).collect();
    best.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let names = axes.iter().map(|(_, axis)| axis.name.as_str());
    let mut table = table::new(["trial"].into_iter().chain(names).chain(["epochs", "validation"]));
    let epochs = column("epochs")?;
    for (row, accuracy) in best.into_iter().take(10) {
        let settings = axes.iter().map(|(column, _)| row[*column].clone());
        let result = [row[epochs].clone(), format!("{:.2} %", 100.0 * accuracy)];
        table.add_row([row[0].replace('_', " ")].into_iter().chain(settings).chain(result));
    }
    run.write_tables(&[("The ten best", table)])?;

    // The report gives no more of its search than the setting it chose, that of Figure 14.
    if let Some(reported) = run.report()?.number("Section 3, VGG")?.best_validation {
        let settings = table::settings(&run.variants, "vgg");
        say!("\nThe report chose {settings}: {:.0} % of its validation images, after up to 100 epochs.", 100.0 * reported);
    }
    Ok(())
}

/// The lines of the CSV, the headings first: of each trial its setting, its result, its time.
fn rows(Searched { space, settings, trained }: &Searched) -> Vec<Vec<String>> {
    let results = ["epochs", "best_epoch", "best_validation_accuracy", "seconds", "data", "device"];
    let headings = ["trial"].into_iter().chain(space.keys().map(String::as_str)).chain(results);
    let mut rows = vec![headings.map(str::to_owned).collect()];
    for (settings, outcome) in settings.iter().zip(&trained.outcomes) {
        let (best, accuracy) = outcome.history.best_epoch();
        let mut row = vec![outcome.variant.clone()];
        row.extend(settings.values().map(f64::to_string));
        row.extend([outcome.history.epochs().to_string(), best.to_string(), accuracy.to_string(), format!("{:.1}", outcome.seconds)]);
        row.extend([trained.data.clone(), trained.device.clone()]);
        rows.push(row);
    }
    rows
}
