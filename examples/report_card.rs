//! The report card: every figure, table and claim of the report beside what this crate has made of it so far, as a page.
//! Reads plots/*.csv, plots/*.png and experiments/report_card.toml; writes plots/report_card.md and plots/report_card.html.

use reproduction::report_card::State;
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::say;

fn main() -> ExitCode {
    run::main(Run::start("report_card"), make)
}

fn make(run: &Run) -> Result<()> {
    // With --all it runs first what has no result yet, with --quick everything, small.
    let card = run::report_card(run)?;
    for result in &card.items {
        say!("{:28} {:12} {}", result.item.report, result.state, result.item.what);
    }
    say!("\n{}", card.summary());
    for aim in &card.beyond {
        say!("beyond the report: {:12} {:20} {}", aim.state, aim.reason, aim.entry.what);
    }
    let missing = card.items.iter().filter(|result| result.state == State::NotRun).count();
    if missing > 0 {
        say!("\nWhat is not run yet: cargo run --example report_card -- --all");
    }
    Ok(())
}
