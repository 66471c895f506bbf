//! Results as a table for people, JSON or CSV for programs.

mod csv;
mod figures;
mod json;
mod table;

use clap::ValueEnum;

use super::measure::Outcome;
use super::plan::Plan;

pub(super) use figures::Figures;
pub(super) use table::{aligned, grouped, micros};

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
    Csv,
}

/// The whole run; nothing where a table would have no rows.
pub(super) fn render(plan: &Plan, outcome: &Outcome, format: Format) -> String {
    match format {
        Format::Json => format!("{:#}\n", json::json(plan, outcome)),
        Format::Csv => csv::csv(plan, outcome),
        Format::Table if outcome.tests.is_empty() => String::new(),
        Format::Table => table::table(plan, outcome),
    }
}
