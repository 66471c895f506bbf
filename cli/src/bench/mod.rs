//! `ant-cache-cli bench`.

use std::process::ExitCode;

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `bench`.
pub(crate) fn run(_args: Args) -> ExitCode {
    ExitCode::SUCCESS
}
