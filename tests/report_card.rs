//! The report card, from the committed results and from none, and as a browser shows it.

mod common;

use common::{Scratch, example};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The card of what is in `plots`, which is copied: as Markdown and as HTML.
fn card(plots: Option<&Path>) -> (Scratch, String, String) {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path("plots")).expect("made");
    let entries = plots.into_iter().flat_map(|plots| fs::read_dir(plots).expect("listed")).flatten();
    // Beside the committed files there may be a folder of one's own trials.
    for entry in entries.filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), scratch.path("plots").join(entry.file_name())).expect("copied");
    }
    let output = scratch.in_here(&mut example("report_card")).output().expect("runs");
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(scratch.path("plots").join(name)).expect("written");
    let (markdown, html) = (read("report_card.md"), read("report_card.html"));
    (scratch, markdown, html)
}

fn committed() -> (Scratch, String, String) {
    card(Some(&Path::new(env!("CARGO_MANIFEST_DIR")).join("plots")))
}

#[test]
fn every_figure_table_and_number_of_the_committed_results_is_in_it() {
    let (_scratch, markdown, html) = committed();
    assert!(markdown.contains("16 figures, 3 tables and 25 claims"), "the whole report is counted");
    for report in ["Figure 1", "Tables 1 and 2", "Figures 2, 3 and 4", "Figures 5, 6 and 7", "Figure 8 and Table 3", "Figure 9"] {
        assert!(markdown.contains(&format!("## {report}: ")) && html.contains(&format!("<h2>{report}<span")), "{report}");
    }
    assert!(markdown.contains("| best (669706 parameters), test | 0.9733 | 0.9751 ± 0.0004 (n = 3) | +0.0018 |"), "Table 2");
    assert!(markdown.contains("numbers of the report stand beside a spread of ours") && html.contains("id=\"luck\""));
    assert!(markdown.contains(
        "| Section 1.a | With weights of zero the accuracy is essentially random: 1/10. | 0.11356 ± 0.00000 (n = 3) | differs |"
    ));
    let notes = markdown.split("## Where the report is wrong or vague").nth(1).expect("notes");
    assert!(!notes.contains("not run"), "every note has its numbers:\n{notes}");
    // Nothing that a browser would have to fetch.
    let fetched = ["src=\"http", "href=\"http", "@import", "url(http"];
    assert!(fetched.iter().all(|found| !html.contains(found)) && html.contains("src=\"data:image/png;base64,"), "it stands alone");
}

#[test]
fn without_results_nothing_is_run_and_nothing_is_claimed() {
    let (_scratch, markdown, _) = card(None);
    assert!(markdown.contains("| not run | 19 | 25 |") && !markdown.contains("| reproduced |"), "{markdown}");
    assert!(markdown.contains("**not run**: `cargo run --example fig1_init` makes it."), "{markdown}");
}

#[test]
fn all_runs_what_has_no_result_and_nothing_else() {
    let scratch = Scratch::new();
    let item =
        |example: &str| format!("[[item]]\nreport = '{example}'\nwhat = ''\nexample = '{example}'\ncompare = 'layers'\nminutes = 0.1\n");
    let contents = item("fig13_vgg_architecture") + &item("fig8_cnn_architecture");
    scratch.experiments(&[("report_card", &contents)]);
    let all = |flags: &[&str]| {
        let output =
            scratch.in_here(example("report_card").current_dir(scratch.path(".")).arg("--all").args(flags)).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), ["fig8_cnn_architecture (", "fig13_vgg_architecture ("].map(|begins| said.contains(begins)), said)
    };
    let (succeeded, run, said) = all(&[]);
    assert!(succeeded && run == [true, true], "{said}");
    assert!(scratch.path("plots/fig8_cnn_architecture.png").exists() && scratch.path("plots/report_card.html").exists());
    fs::remove_file(scratch.path("plots/fig13_vgg_architecture.csv")).expect("it was written");
    assert_eq!(all(&[]).1, [false, true]);
    assert_eq!(all(&[]).1, [false, false]);
    assert_eq!(all(&["--fresh"]).1, [true, true]);
    for flags in [["--fresh", "--epochs", "2"], ["--fresh", "--set", "training.epochs=2"]] {
        let (succeeded, run, said) = all(&flags);
        assert!(succeeded && run == [true, true], "what trains nothing takes no {flags:?}: {said}");
    }

    // One that fails is named with where to look, and the others are run all the same.
    fs::remove_file(scratch.path("plots/fig8_cnn_architecture.csv")).expect("it was written");
    fs::remove_file(scratch.path("plots/fig13_vgg_architecture.csv")).expect("it was written");
    fs::write(scratch.path("experiments/fig8_cnn_architecture.toml"), "run = []").expect("written");
    let (succeeded, run, said) = all(&[]);
    assert!(!succeeded && run == [true, true] && scratch.path("plots/fig13_vgg_architecture.csv").exists(), "{said}");
    assert!(said.contains("Error: 1 of 2 examples failed: fig8_cnn_architecture (exit status: 1; see "), "{said}");
    let log = fs::read_to_string(scratch.path("runs/report_card/fig8_cnn_architecture.log")).expect("a log");
    assert!(log.contains("`run` is empty"), "{log}");
}

#[test]
fn flags_that_it_cannot_heed_are_refused() {
    for flags in [["--quick", "--data=embedded"], ["--all", "--shard=0/2"], ["--quick", "--all"]] {
        let output = example("report_card").args(flags).output().expect("runs");
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
    }
    let output = example("fig1_init").arg("--all").output().expect("runs");
    assert!(output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("--all is no flag of fig1_init"));
}

/// Chromium, where it is installed.
#[test]
fn a_browser_draws_it_without_complaint() {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let Some(browser) = names.iter().find(|name| Command::new(name).arg("--version").output().is_ok()) else {
        eprintln!("skipped: none of {} is installed", names.join(", "));
        return;
    };
    let (scratch, ..) = committed();
    let profile = scratch.path("profile");
    let output = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,9000", "--virtual-time-budget=10000"])
        .args(["--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", scratch.path("plots/report_card.html").display()))
        .output()
        .expect("runs");
    let (page, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let (canvases, places) = (page.matches("<canvas").count(), page.matches("class=\"chart\"").count());
    assert!(canvases >= 9 && places > 40, "{canvases} of {places} charts were drawn\n{log}");
}
