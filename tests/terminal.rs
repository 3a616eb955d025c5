//! What an example says to those who run it: its help, its progress, its numbers.

mod common;

use common::{Scratch, error_of, example, few_digits};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Every example that has the flags of all.
fn names() -> Vec<String> {
    let folder = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).expect("listed");
    let names = folder.flatten().map(|entry| entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned());
    names.filter(|name| name != "doctor").collect()
}

fn help(name: &str) -> String {
    String::from_utf8(example(name).arg("--help").output().expect("runs").stdout).expect("text")
}

/// The flags that a help shows, with the name of their values.
fn flags(help: &str) -> BTreeMap<String, bool> {
    let lines = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
    lines
        .map(|line| (line.split(' ').next().unwrap_or_default().to_owned(), line.split("  ").next().is_some_and(|flag| flag.contains('<'))))
        .collect()
}

#[test]
fn help_begins_with_what_is_made_from_what_in_what_time() {
    for name in names().iter().filter(|name| *name != "report_card") {
        let help = help(name);
        let first = help.lines().next().unwrap_or_default();
        let (what, rest) = first.split_once("; ").unwrap_or_else(|| panic!("{name}: {first}"));
        assert!(what.contains(": ") && rest.contains("in about ") && rest.ends_with(" on two cores"), "{name}: {first}");
    }
    assert!(help("fig1_init").starts_with("Figure 1: the MLP under three initializations; from MNIST, in about 2m 30s on two cores\n"));
    assert!(help("kaggle_vgg").starts_with("Figure 14: ") && help("kaggle_vgg").contains("; from photographs of cats and dogs, in"));
}

#[test]
fn help_shows_the_flags_that_an_example_obeys_in_groups_and_the_others_are_refused() {
    let helps: BTreeMap<String, String> = names().into_iter().map(|name| (name.clone(), help(&name))).collect();
    let mut all = BTreeMap::new();
    helps.values().for_each(|help| all.extend(flags(help)));
    assert!(all.len() > 20 && all["epochs"] && !all["resume"], "{all:?}");
    let value = |flag: &str| match flag {
        "set" => "training.epochs=1",
        "precision" => "f32",
        "shard" => "0/2",
        _ => "1",
    };
    for (name, help) in &helps {
        let lines = || help.lines().filter(|line| line.contains("--"));
        assert!(lines().all(|line| line.chars().count() <= 100), "a line for each: {help}");
        assert_eq!(lines().count(), flags(help).len() + 2, "a line for each, and for help and version: {help}");
        for group in ["Data:", "Training:", "Output:"] {
            assert!(help.lines().any(|line| line == group), "{name}: {help}");
        }
    }
    let mut refused = BTreeSet::new();
    for name in ["fig1_init", "fig8_cnn_architecture", "fig12_samples", "fig16_errors"] {
        let own = flags(&helps[name]);
        for (flag, takes_value) in all.iter().filter(|(flag, _)| !own.contains_key(*flag)) {
            let mut command = example(name);
            let output = command.arg(format!("--{flag}")).args(takes_value.then(|| value(flag))).output().expect("runs");
            let error = error_of(&output);
            assert!(output.status.code() == Some(2) && error.contains(&format!("--{flag} is no flag of {name}: it ")), "{error}");
            refused.insert((name, flag.as_str()));
        }
    }
    for expected in
        [("fig8_cnn_architecture", "epochs"), ("fig16_errors", "seeds"), ("fig1_init", "skip-corrupt"), ("fig12_samples", "resume")]
    {
        assert!(refused.contains(&expected), "{expected:?}");
    }
}

const SMALL: &str = "run = ['glorot']\nsplit = { validation = 'last', validation_examples = 300, limit = 300 }\n\
                     model = { hidden = [8], initialization = 'glorot' }\n\
                     training = { epochs = 3, minibatch = 50, learning_rate = 0.1, order = 'shuffled' }\nvariants.glorot = {}";

fn small(seeds: u64) -> (Scratch, Command) {
    let scratch = Scratch::new();
    scratch.experiments(&[("fig1_init", &format!("seeds = {seeds}\n{SMALL}"))]);
    let mut command = example("fig1_init");
    command.current_dir(scratch.path("")).arg("--data").arg(few_digits());
    (scratch, command)
}

#[test]
fn a_run_on_other_data_ends_with_its_numbers() {
    for (seeds, has_deviation) in [(1, false), (2, true)] {
        let (scratch, mut command) = small(seeds);
        let output = command.arg("--quiet").output().expect("runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let csv = std::fs::read_to_string(scratch.path("plots/local/fig1_init.csv")).expect("written");
        for split in ["train", "validation", "test"] {
            let value = |metric: &str| -> f64 {
                let begin = format!("glorot_{metric},{split},reproduced,3.0,");
                let line = csv.lines().find_map(|line| line.strip_prefix(&begin)).unwrap_or_else(|| panic!("{begin} in {csv}"));
                line.split(',').next().and_then(|value| value.parse().ok()).expect("a number")
            };
            let (loss, accuracy) = (format!("{:.4}", value("loss")), format!("{:.2}", 100.0 * value("accuracy")));
            let row = said.lines().find(|line| line.contains("glorot ") && line.contains(split)).unwrap_or_else(|| panic!("{said}"));
            assert!(row.contains(&loss) && row.contains(&accuracy) && row.contains(" 3 "), "{row}: {loss} {accuracy}");
            assert_eq!(row.contains('±'), has_deviation, "{row}");
        }
    }
}

/// A terminal's lines end in blanks, where a bar follows.
fn at_a_terminal(command: &Command) -> Option<String> {
    let words = [command.get_program()].into_iter().chain(command.get_args()).map(|word| format!("'{}'", word.display()));
    let mut script = Command::new("script");
    script.args(["-qec", &words.collect::<Vec<_>>().join(" "), "/dev/null"]).current_dir(command.get_current_dir()?);
    let output = script.env("COLUMNS", "150").env_remove("MNIST_DIR").output().ok()?;
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Lines that stay are written at the start of a line; the bar shows the newest of them at its end.
#[test]
fn epochs_stay_on_the_terminal_where_one_trial_trains_and_else_each_trials_last() {
    for (seeds, epochs) in [(1, &[1, 2, 3][..]), (2, &[3])] {
        let (_scratch, command) = small(seeds);
        let Some(said) = at_a_terminal(&command) else { return eprintln!("skipped: there is no `script` here") };
        for seed in 1..=seeds {
            let stays = |epoch: &i64| said.contains(&format!("\u{1b}[2Kglorot seed {seed}: epoch {epoch}/3, validation loss "));
            let found: Vec<i64> = (1..=3).filter(stays).collect();
            assert!(found == epochs || std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1), "seed {seed}: {said:?}");
        }
    }
}

#[test]
fn predictions_after_training_have_progress() {
    let scratch = Scratch::new();
    let experiment = "run = ['ahead']\nseeds = 1\nsplit = { validation = 'last', validation_examples = 100, limit = 50 }\n\
                      model = { initialization = 'glorot', layers = ['max_pool', { fully_connected = 2 }] }\n\
                      training = { epochs = 1, minibatch = 50, learning_rate = 0.01, order = 'shuffled' }\nvariants.ahead = {}";
    scratch.experiments(&[("kaggle_ahead", experiment)]);
    let mut command = example("kaggle_ahead");
    let output = scratch.in_here(command.current_dir(scratch.path("")).args(["--data", "embedded"])).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("left: predictions for ") && said.contains(" validation and test images"), "{said}");
}
