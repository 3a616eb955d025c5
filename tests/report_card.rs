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
    let row =
        "| 512-512 (best): 669,706 parameters, test accuracy | 97.33 % | 97.56 ± 0.06 % (n = 10) | +0.23 | 0.15 points | 0 % | differs |";
    assert!(markdown.contains(row), "Table 2");
    assert!(markdown.contains("numbers of the report stand beside a spread of ours") && html.contains("id=\"luck\""));
    assert!(markdown.contains("11 of 15 reported numbers lie below our mean (two-sided sign test: p = 0.12;"), "Table 2 together");
    assert!(markdown.contains(
        "| Section 1.a | With weights of zero the accuracy is essentially random: 1/10. | 11.36 ± 0.00 % (n = 10) | 0.50 points | differs |"
    ));
    let notes = markdown.split("## Where the report is wrong or vague").nth(1).expect("notes");
    assert!(!notes.contains("not run"), "every note has its numbers:\n{notes}");
    assert!(markdown.contains("early stopping after epoch 82 of at most 100"), "Figure 14 is not called unfinished");
}

#[test]
fn the_page_opens_on_the_results_and_needs_nothing_but_the_pictures_beside_it() {
    let (scratch, markdown, html) = committed();
    let places =
        ["fig1_init.png", "kaggle_vgg.png", "class=\"summary\"", " commits on ", "Problem 1", "Problem 3", "How to read", "<h2>Figure 1<"];
    let found: Vec<_> = places.iter().map(|place| html.find(place).unwrap_or_else(|| panic!("there is no {place}"))).collect();
    assert!(found.is_sorted(), "{places:?} are at {found:?}");
    // A drawing's commit says nothing of the training: the card says so of every picture that was drawn again.
    assert_eq!(html.contains("that trained them is not recorded"), html.contains("<code>fig1_init --redraw"), "drawn again");
    assert!(html.len() < 1_000_000, "the page has {} bytes", html.len());
    assert!(["@import", "url(", "data:image"].iter().all(|found| !html.contains(found)), "it stands alone");
    let mut pictures = 0;
    for attribute in ["src=\"", "href=\""] {
        for address in html.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
            let is_here = address.starts_with('#') || address == "data:," || scratch.path("plots").join(address).exists();
            assert!(is_here, "{address} is not beside the page");
            pictures += usize::from(address.ends_with(".png") && attribute == "src=\"");
        }
    }
    assert!(pictures >= 19, "{pictures} pictures");
    for text in [&markdown, &html] {
        assert!(!text.contains("/dev/shm") && !text.contains("--out /"), "no folder of the machine that trained");
    }
    let body = html.split("<body>").nth(1).and_then(|rest| rest.split("<script>").next()).expect("a body");
    assert!(!body.contains("|--") && !body.contains("**") && !body.contains("## "), "no Markdown as it is written");
    let shown = html.split("<script type=\"application/json\"").nth(1).expect("charts");
    for key in ["twice softmaxed", "twice_softmaxed", "_accuracy", "_loss", "attempt 1:"] {
        assert!(!body.contains(key) && !shown.contains(key), "{key} is a name of files, not of people");
    }
}

#[test]
fn without_results_nothing_is_run_and_nothing_is_claimed() {
    let (_scratch, markdown, _) = card(None);
    assert!(markdown.contains("| not run | 19 | 25 |") && !markdown.contains("| reproduced |"), "{markdown}");
    let problems = markdown.lines().filter(|line| line.starts_with("- **Problem ")).collect::<Vec<_>>();
    assert!(
        problems.len() == 3 && problems.iter().all(|line| line.ends_with(".** No result yet that is whole and on the report's data.")),
        "{problems:?}"
    );
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

/// What a browser makes of the committed card in a window of this width, with `probe` as its last script: the title that the probe has
/// given the page, and the page. None where no browser is installed.
#[expect(clippy::print_stderr, reason = "a test says why it is skipped")]
fn browse(width: u32, change: impl Fn(String) -> String, probe: &str) -> Option<(String, String)> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let Some(browser) = names.iter().find(|name| Command::new(name).arg("--version").output().is_ok()) else {
        eprintln!("skipped: none of {} is installed", names.join(", "));
        return None;
    };
    let (scratch, _, html) = committed();
    let script = format!("<script>addEventListener('load', () => setTimeout(() => {{ document.title = {probe}; }}, 1000))</script></body>");
    let page = scratch.path("plots/probed.html");
    fs::write(&page, change(html).replace("</body>", &script)).expect("written");
    let output = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=10000"])
        .args(["--enable-logging=stderr", "--dump-dom", &format!("--window-size={width},9000")])
        .arg(format!("--user-data-dir={}", scratch.path("profile").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("runs");
    let (page, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let title = page.split("<title>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_else(|| panic!("no page\n{log}"));
    Some((title.to_owned(), page.into_owned()))
}

#[test]
fn a_browser_draws_the_charts_which_have_labels_and_keys() {
    // One step with the arrow key from the start is at the second epoch; Table 2 has bands.
    let probe = "(() => {
        const chart = document.querySelector('.chart'), press = key => chart.dispatchEvent(new KeyboardEvent('keydown', { key }));
        press('ArrowRight');
        press('ArrowRight');
        const broken = [...document.images].filter(image => !image.naturalWidth).length;
        return `x ${chart.querySelector('.u-value').textContent}, broken ${broken}`;
    })()";
    let Some((title, page)) = browse(1280, |html| html, probe) else { return };
    assert_eq!(title, "x 2, broken 0");
    let (canvases, charts) = (page.matches("<canvas").count(), page.matches("class=\"chart\"").count());
    assert!(canvases >= 9 && charts > 40, "{canvases} of {charts} charts were drawn");
    assert_eq!(page.matches("tabindex=\"0\" role=\"img\" aria-label=\"").count(), charts, "each has a label, and the focus reaches it");
    assert!(page.contains("aria-label=\"Glorot: accuracy by epoch: training, ours; validation, ours;"));
    assert!(page.contains("class=\"u-series band\""), "mean ± one standard deviation");
    assert!(["solid", "dashed"].iter().all(|style| page.contains(&format!("border: 2px {style} "))), "the legend has the lines' styles");
}

#[test]
fn on_a_phone_nothing_is_cut_off() {
    let probe = "(() => {
        const right = Math.max(...[...document.querySelectorAll('.stacked td, .summary td, h2, p, img')].map(one => one.getBoundingClientRect().right));
        const verdicts = document.querySelectorAll('.stacked td[data-label=verdict]').length;
        return `${verdicts > 100} ${right <= innerWidth} ${document.documentElement.scrollWidth <= innerWidth}`;
    })()";
    let Some((title, _)) = browse(390, |html| html, probe) else { return };
    assert_eq!(title, "true true true");
}

/// The rules for paper, applied to the screen.
#[test]
fn on_paper_pictures_stand_for_the_charts() {
    let printed = |html: String| html.replace("@media print", "@media all").replace("@media screen", "@media not all");
    let probe = "(() => {
        dispatchEvent(new Event('beforeprint'));
        const heights = selector => [...document.querySelectorAll(selector)].map(one => one.getBoundingClientRect().height);
        return `${Math.max(...heights('.charts'))} ${Math.min(...heights('img')) > 50} ${Math.max(...heights('img')) < 900}`;
    })()";
    let Some((title, _)) = browse(800, printed, probe) else { return };
    assert_eq!(title, "0 true true");
}
