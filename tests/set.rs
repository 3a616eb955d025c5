//! `--set` and `--print-experiment`: any key of an experiment from the command line.

mod common;

use common::{Scratch, error_of, example, few_digits};
use reproduction::experiment::Experiment;
use std::collections::BTreeMap;
use std::fs;
use std::process::Output;

const SMALL: &str = "run = ['glorot']\nseeds = 1\nsplit = { validation = 'last', validation_examples = 300, limit = 300 }\n\
                     model = { hidden = [8], initialization = 'glorot' }\n\
                     training = { epochs = 1, minibatch = 50, learning_rate = 0.1, order = 'shuffled' }\nvariants.glorot = {}";
const LAYERS: &str = "run = ['small']\nseeds = 1\nsplit = { validation = 'last', validation_examples = 300, limit = 300 }\n\
                      model = { initialization = 'glorot', layers = [{ dropout = 0.1 }, { fully_connected = 8 }, { dropout = 0.1 }, { fully_connected = 10 }] }\n\
                      training = { epochs = 1, minibatch = 50, learning_rate = 0.1, order = 'shuffled' }\nvariants.small = {}";

fn small() -> Scratch {
    let scratch = Scratch::new();
    scratch.experiments(&[("fig1_init", SMALL), ("fig10_11_cnn_capacity", LAYERS)]);
    scratch
}

fn run(scratch: &Scratch, name: &str, flags: &[&str]) -> Output {
    example(name).current_dir(scratch.path("")).args(flags).arg("--data").arg(few_digits()).output().expect("runs")
}

/// The experiments of the trials that are kept, by the names of their folders up to the seed.
fn trials(scratch: &Scratch, name: &str) -> BTreeMap<String, Experiment> {
    let folders = fs::read_dir(scratch.path("runs").join(name)).into_iter().flatten().flatten();
    let of = |folder: fs::DirEntry| {
        let name = folder.file_name().to_string_lossy().into_owned();
        let text = fs::read_to_string(folder.path().join("experiment.toml")).expect("a finished trial");
        (name[..name.find("-seed").expect("a seed") + 6].to_owned(), toml::from_str(&text).expect("an experiment"))
    };
    folders.map(of).collect()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn another_value_is_another_trial_and_no_committed_result() {
    let scratch = small();
    said(&run(&scratch, "fig1_init", &[]));
    let set = said(&run(&scratch, "fig1_init", &["--set", "training.learning_rate=0.2", "--set", "training.momentum=0.5"]));
    assert!(!set.contains("finished before") && set.contains("everything is in plots/local"), "{set}");
    let folders = fs::read_dir(scratch.path("runs/fig1_init")).expect("runs").count();
    assert_eq!(folders, 2, "the id of a trial with other settings is another");
    let again = said(&run(&scratch, "fig1_init", &["--set", "training.momentum=0.5", "--set=training.learning_rate=0.2", "--resume"]));
    assert!(again.contains("1 of 1 trials were finished before"), "{again}");
    let csv = fs::read_to_string(scratch.path("plots/local/fig1_init.csv")).expect("written");
    assert!(csv.contains(", training.momentum=0.5, training.learning_rate=0.2"), "{csv}");
    // What the file has anyway changes nothing.
    let same = said(&run(&scratch, "fig1_init", &["--set", "training.epochs=1"]));
    assert!(same.contains("1 of 1 trials were finished before"), "{same}");
}

#[test]
fn several_values_are_variants_that_workers_share() {
    let (scratch, sweep) = (small(), ["--set", "training.learning_rate=0.1,0.03", "--set", "training.optimizer=sgd,adam"]);
    for shard in ["0/2", "1/2"] {
        said(&run(&scratch, "fig1_init", &[&sweep[..], &["--shard", shard]].concat()));
    }
    let merged = said(&run(&scratch, "fig1_init", &[&sweep[..], &["--merge"]].concat()));
    assert!(merged.contains("4 of 4 trials were finished before"), "{merged}");
    let trials = trials(&scratch, "fig1_init");
    let names: Vec<&str> = trials.keys().map(String::as_str).collect();
    let all = ["0.03_optimizer_adam", "0.03_optimizer_sgd", "0.1_optimizer_adam", "0.1_optimizer_sgd"];
    assert_eq!(names, all.map(|values| format!("glorot_learning_rate_{values}-seed1")));
    let rates: Vec<f64> = trials.values().map(|trial| trial.training().expect("trains").learning_rate).collect();
    assert_eq!(rates, [0.03, 0.03, 0.1, 0.1]);
    let csv = fs::read_to_string(scratch.path("plots/local/fig1_init_trials.csv")).expect("written");
    assert!(csv.contains("training.learning_rate") && csv.lines().count() == 5, "{csv}");
}

#[test]
fn the_experiment_that_is_printed_is_the_one_that_is_trained() {
    let scratch = small();
    for (set, dropout) in [("model.layers.*.dropout=0.5", [0.5, 0.5]), ("model.layers.2.dropout=0.25", [0.1, 0.25])] {
        let name = "fig10_11_cnn_capacity";
        let flags = ["--set", set, "--set", "seeds=2", "--epochs", "2"];
        let printed = example(name).current_dir(scratch.path("")).args(flags).arg("--print-experiment").output().expect("runs");
        assert_eq!(said(&printed), "");
        let text = String::from_utf8(printed.stdout).expect("text");
        assert!(text.starts_with("# small, seeds 1 to 2\n") && !scratch.path("runs").exists(), "nothing is trained: {text}");
        let printed: Experiment = toml::from_str(&text).expect("an experiment");
        said(&run(&scratch, name, &flags));
        let trained = trials(&scratch, name);
        assert_eq!(trained.keys().collect::<Vec<_>>(), ["small-seed1", "small-seed2"]);
        assert!(trained.values().all(|trained| *trained == printed), "{set}");
        let layers = format!("{:?}", printed.model.layers);
        assert!(dropout.iter().all(|value| layers.contains(&format!("Dropout({value:?})"))), "{layers}");
        fs::remove_dir_all(scratch.path("runs")).expect("removed");
    }
    let output = example("fig1_init").args(["--print-experiment", "--set", "model.hidden=[5],[5,6]"]).output().expect("runs");
    let names = ["glorot", "normal", "zero"].map(|name| [format!("# {name}_hidden_5, "), format!("# {name}_hidden_5-6, ")]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(names.as_flattened().iter().all(|name| text.contains(name)), "{text}");
}

#[test]
fn what_is_no_key_or_of_another_type_is_refused() {
    let cases = [
        ("fig1_init", "training.learning_rat=0.1", 1, "unknown field `learning_rat`, expected one of `epochs`, "),
        ("fig1_init", "training.learning_rat=0.1", 1, " in `training`; did you mean `learning_rate`?"),
        ("fig1_init", "training.epochs=many", 1, "invalid type: string \"many\", expected i64 in `training.epochs`"),
        ("fig1_init", "training.epochs=0", 1, "training.epochs is 0, expected a number from 1 to 1000000"),
        ("fig1_init", "training.optimizer=adan", 1, "did you mean `adam`?"),
        ("fig1_init", "seeds=0", 1, "seeds is 0, expected a number from 1"),
        ("fig1_init", "model.layers.*.dropout=0.5", 1, "the experiment has no `model.layers.*.dropout`"),
        ("fig1_init", "training", 2, "expected KEY=VALUE"),
        ("fig1_init", "training.epochs=", 2, "`` is no value of TOML"),
        ("fig10_11_cnn_capacity", "model.layers.1.dropout=0.5", 1, "`model.layers.1` is "),
        ("fig16_errors", "training.epochs=3", 2, "--set is no flag of fig16_errors"),
        ("kaggle_search", "training.epochs=3", 1, "the search decides this itself"),
        ("kaggle_search", "model.layers.14.dropout=0.5", 1, "the search decides this itself"),
        ("kaggle_search", "training.momentum=0.5", 1, "the search decides this itself"),
        ("kaggle_search", "search.around=0", 1, "search.around is 0, expected a number from 1"),
    ];
    for (name, set, code, expected) in cases {
        let output = example(name).args(["--set", set, "--print-experiment"]).output().expect("runs");
        let error = error_of(&output);
        assert_eq!(output.status.code(), Some(code), "{set}: {error}");
        assert!(error.contains(expected) && (error.contains(set) || name == "fig16_errors"), "{set}: {error}");
    }
    let twice = example("fig1_init").args(["--set", "training.epochs=3", "--set", "training.epochs=4"]).output().expect("runs");
    assert!(error_of(&twice).contains("--set training.epochs=4: training.epochs is set twice; several values"), "{twice:?}");
}
