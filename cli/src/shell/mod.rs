//! `ant-cache-cli cli`.

use std::process::ExitCode;

/// Arguments of `cli`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `cli`.
pub(crate) fn run(_args: Args) -> ExitCode {
    ExitCode::SUCCESS
}
