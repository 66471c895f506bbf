//! `ant-cache-cli serve`: the server.

use std::process::ExitCode;

/// What the server is started with.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Serves until a signal says stop.
pub(crate) fn run(_args: Args) -> ExitCode {
    ExitCode::SUCCESS
}
