//! `ant-cache-cli serve`: the server.

mod args;

use std::io::{self, Write};
use std::process::ExitCode;

use ant_cache_host::config;

pub(crate) use args::{Args, flags};

/// The exit code for what whoever started the server can mend: a bad setting, an address in use.
const USAGE: u8 = 2;

/// Serves until a signal says stop.
pub(crate) fn run(args: Args) -> ExitCode {
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain("error", &message);
            ExitCode::from(USAGE)
        }
    }
}

fn start(args: Args) -> Result<(), String> {
    let (layers, settings) =
        config::load(args.settings, std::env::vars_os()).map_err(|error| error.to_string())?;
    if args.print_config {
        return write!(io::stdout(), "{layers}").map_err(|error| format!("cannot print: {error}"));
    }
    for warning in &settings.warnings {
        complain("warning", warning);
    }
    Ok(())
}

/// One line on standard error. Where that is closed, nobody is left to tell.
fn complain(kind: &str, message: &str) {
    let _ = writeln!(io::stderr(), "ant-cache-cli: {kind}: {message}");
}
