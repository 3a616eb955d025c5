//! The report card as Markdown and as one HTML file.

use super::ReportCard;
use anyhow::{Context, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};

const MARKDOWN: &str = include_str!("report_card.md.jinja");
const HTML: &str = include_str!("report_card.html.jinja");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("charts.js");
/// Draws the curves (MIT licence, in its first lines).
const UPLOT: &str = include_str!("vendor/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("vendor/uPlot.min.css");

pub fn markdown(card: &ReportCard) -> Result<String> {
    let environment = environment(AutoEscape::None)?;
    environment.render_str(MARKDOWN, context! { card => Value::from(Serde(card)) }).context("cannot make the report card's Markdown")
}

pub fn html(card: &ReportCard) -> Result<String> {
    let environment = environment(AutoEscape::Html)?;
    let made = card.items.iter().map(|result| &result.made).chain(&card.beyond_shown);
    let charts: Vec<_> = made.map(|made| (&made.example, &made.charts)).collect();
    // Inside a script element only its own end tag means anything.
    let charts = serde_json::to_string(&charts)?.replace("</", "<\\/");
    let all =
        context! { card => Value::from(Serde(card)), charts, style => STYLE, script => SCRIPT, uplot => UPLOT, uplot_style => UPLOT_STYLE };
    environment.render_str(HTML, all).context("cannot make the report card's HTML")
}

fn environment(escape: AutoEscape) -> Result<Environment<'static>> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(move |_| escape.clone());
    Ok(environment)
}
