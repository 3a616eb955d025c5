//! README.md and docs/: the commands run, the links lead somewhere, and the numbers are those of the committed results.

mod common;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The README and the pages of docs/, with their text.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = std::fs::read_dir(root().join("docs")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let pages = docs.filter(|path| path.extension().is_some_and(|ending| ending == "md")).chain([root().join("README.md")]);
    pages.map(|path| (path.clone(), read(&path))).collect()
}

/// The words of every Cargo command. A command ends where its line, its quotation or a remark does.
fn commands(text: &str) -> Vec<Vec<&str>> {
    let command = |rest: &'_ str| -> usize { rest.find(['`', '\n', '#', '&']).unwrap_or(rest.len()) };
    text.split("cargo ").skip(1).map(|rest| rest[..command(rest)].split_whitespace().collect()).collect()
}

fn after<'a>(words: &[&'a str], flag: &str) -> Option<&'a str> {
    words.iter().position(|word| *word == flag).and_then(|place| words.get(place + 1)).copied()
}

#[test]
fn every_command_is_understood() {
    let cargo = read(&root().join("Cargo.toml"));
    let mut told = 0;
    for (page, text) in pages() {
        for words in commands(&text) {
            let command = words.join(" ");
            match (words.first(), after(&words, "--example"), after(&words, "--bench"), after(&words, "--test")) {
                (Some(&"run"), Some(name), ..) => {
                    assert!(root().join(format!("examples/{name}.rs")).exists(), "{} runs {name}, which is no example", page.display());
                    let flags = words.iter().skip_while(|word| **word != "--").skip(1);
                    let output = common::example(name).args(flags).arg("--help").output().expect("runs");
                    let said = String::from_utf8_lossy(&output.stderr);
                    assert!(output.status.success(), "{}: cargo {command}: {said}", page.display());
                    told += 1;
                }
                (Some(&"bench"), _, Some(name), _) => assert!(cargo.contains(&format!("name = \"{name}\"")), "cargo {command}"),
                (Some(&"test"), .., Some(name)) => assert!(root().join(format!("tests/{name}.rs")).exists(), "cargo {command}"),
                _ => {}
            }
        }
    }
    assert!(told > 20, "{told} commands were found");
}

#[test]
fn every_example_is_documented() {
    let pages = pages();
    let named: Vec<&str> = pages.iter().flat_map(|(_, text)| commands(text)).filter_map(|words| after(&words, "--example")).collect();
    for entry in std::fs::read_dir(root().join("examples")).expect("a folder") {
        let name = entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(named.contains(&name.as_str()), "no page says how to run {name}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    for (page, text) in pages() {
        let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim_start());
        let anchors: Vec<String> = headings.map(|heading| heading.to_lowercase().replace(' ', "-").replace(',', "")).collect();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let pictures = text.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
        for link in links.chain(pictures).filter(|link| !link.contains("://")) {
            let is_there = match link.split_once('#') {
                Some(("", anchor)) => anchors.iter().any(|heading| heading == anchor),
                _ => page.with_file_name(link).exists(),
            };
            assert!(is_there, "{} links to {link}, which is not there", page.display());
        }
    }
}

#[test]
fn the_readme_fits_on_three_screens() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!(lines <= 150, "README.md has {lines} lines; longer explanations belong into docs/");
}

/// The values of a curve in `plots/<example>.csv`, epoch by epoch.
fn curve(example: &str, panel: &str, series: &str, origin: &str) -> Vec<(f64, Option<f64>)> {
    let path = root().join("plots").join(example).with_extension("csv");
    let mut reader = csv::Reader::from_path(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let rows = reader.deserialize().map(|row| row.expect("a row"));
    let is_of = |row: &HashMap<String, String>| (&*row["panel"], &*row["series"], &*row["origin"]) == (panel, series, origin);
    let values: Vec<_> = rows.filter(is_of).map(|row| (row["y"].parse().expect("a number"), row["deviation"].parse().ok())).collect();
    assert!(!values.is_empty(), "{} has no {origin} {panel} of {series}", path.display());
    values
}

/// As the pages have it: per cent with two digits, and the deviation over seeds where there is one.
fn percent((mean, deviation): (f64, Option<f64>)) -> String {
    let deviation = deviation.map_or(String::new(), |deviation| format!(" ± {:.2}", 100.0 * deviation));
    format!("{:.2}{deviation}", 100.0 * mean)
}

/// The accuracy after the last epoch.
fn last(example: &str, variant: &str, split: &str, origin: &str) -> String {
    percent(*curve(example, &format!("{variant}_accuracy"), split, origin).last().expect("an epoch"))
}

/// The accuracies of all three splits after the last epoch.
fn splits(example: &str, variant: &str, origin: &str) -> String {
    ["train", "validation", "test"].map(|split| last(example, variant, split, origin)).join(" / ")
}

/// Fails unless a line of `page` that runs `example` has `number`.
fn expect(page: &str, example: &str, number: &str) {
    let text = read(&root().join(page));
    let mut lines = text.lines().filter(|line| line.contains(example)).peekable();
    assert!(lines.peek().is_some(), "{page} has no line on {example}");
    assert!(lines.any(|line| line.contains(number)), "no line of {page} on {example} has {number}, as plots/ has it");
}

#[test]
fn the_numbers_of_the_index_are_those_of_the_results() {
    let of_readme = |example: &str, number: &str| expect("README.md", example, number);
    let ours = "reproduced";
    of_readme("table2_sweep", &splits("table2_sweep", "best", ours));
    of_readme("fig2_4_best_mlp", &splits("fig2_4_best_mlp", "best", ours));
    of_readme("fig2_4_best_mlp", &splits("fig2_4_best_mlp", "best", "reported"));
    of_readme("fig9_cnn", &format!("{} %, MLP {} %", last("fig9_cnn", "cnn", "test", ours), last("fig9_cnn", "mlp", "test", ours)));
    let [large, small] =
        [("large", "validation"), ("small", "test")].map(|(variant, split)| last("fig10_11_cnn_capacity", variant, split, ours));
    of_readme("fig10_11_cnn_capacity", &format!("{large} % (2 seeds); {small} % (6 seeds)"));
    let epochs = curve("kaggle_vgg", "vgg_accuracy", "validation", ours);
    let best = epochs.into_iter().max_by(|one, other| one.0.total_cmp(&other.0)).expect("an epoch");
    of_readme("kaggle_vgg", &format!("{} % (1 seed)", percent(best)));
    for (origin, ending) in [("reported", ""), (ours, " (1 seed)")] {
        let of = |variant: &str| {
            let curve = curve("fig15_vgg_sweep", &format!("{variant}_accuracy"), "validation", origin);
            format!("{:.1}", 100.0 * curve.last().expect("an epoch").0)
        };
        let all: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(of).to_vec();
        of_readme("fig15_vgg_sweep", &format!("{} %{ending}", all.join(", ")));
    }
    let predictions = read(&root().join("plots/kaggle_vgg_validation.csv")).lines().count() - 1;
    let errors = read(&root().join("plots/fig16_errors.csv")).lines().count() - 1;
    of_readme("fig16_errors", &format!("{errors} of {predictions}").replace(" 3999", " 3,999"));
    let counts = read(&root().join("plots/report_card.md"));
    let count = |what: &str| {
        counts
            .lines()
            .find_map(|line| line.strip_prefix(&format!("| {what} | "))?.split(" | ").nth(1))
            .map(|count| count.trim_end_matches(" |"))
    };
    let [reproduced, differ] = ["reproduced", "differs"].map(|what| count(what).unwrap_or_else(|| panic!("the card counts no {what}")));
    of_readme("report_card", &format!("{reproduced} reproduced, {differ} differ"));
}

#[test]
fn the_numbers_beyond_the_report_are_those_of_the_results() {
    for (example, variant, split) in [
        ("mlp_tuned", "plain", "test"),
        ("cnn_tuned", "large", "test"),
        ("cnn_small", "deeper", "test"),
        ("cnn_small", "distilled", "test"),
        ("kaggle_ahead", "ahead", "validation"),
        ("speed_records", "mlp", "test"),
        ("speed_records", "cnn", "test"),
    ] {
        expect("docs/beyond.md", example, &last(example, variant, split, "reproduced"));
    }
    for (variant, split) in [("small", "test"), ("small", "train")] {
        expect("docs/beyond.md", "cnn_tuned_trials.csv", &last("cnn_tuned", variant, split, "reproduced"));
    }
    expect("docs/beyond.md", "the same with augmentation", &last("mlp_tuned", "augmented", "test", "reproduced"));
}

#[test]
fn the_errors_that_are_named_are_errors() {
    let page = read(&root().join("docs/beyond.md"));
    let predictions = reproduction::submission::read_predictions(&root().join("plots"), "kaggle_ahead").expect("committed");
    let wrong: Vec<_> = predictions.iter().filter(|row| row.label != row.prediction).collect();
    let count = |label: &str| wrong.iter().filter(|row| row.label == label).count();
    for number in [format!("all {} of the", wrong.len()), format!("{} are cats", count("Cat")), format!("{} are dogs", count("Dog"))] {
        assert!(page.contains(&number), "docs/beyond.md does not say {number}");
    }
    let named: Vec<&str> = page.split('`').filter(|word| word.ends_with(".jpg")).collect();
    for name in &named {
        assert!(wrong.iter().any(|row| row.file.ends_with(name)), "{name} is no error");
    }
    assert_eq!(wrong.len() - named.len(), 172, "as the page says");
}
