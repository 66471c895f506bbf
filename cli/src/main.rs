//! The Ant-Cache command line: server, shell, benchmark and doctor in one program.
//!
//! This file is the table of contents; each subcommand is a module with its arguments (`Args`) and a `run`.

mod allocator;
mod args;
mod bench;
mod check;
mod doctor;
mod dump;
mod import;
mod load;
mod seconds;
mod serve;
mod server;
mod shell;
mod stats;
mod top;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An in-memory cache for strings, arrays and objects with time to live.
///
/// Without a subcommand it serves: every option of `serve` also works without the word.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default).
    Serve(serve::Args),
    /// Talk to a server: an interactive shell, or one command and its reply.
    Cli(shell::Args),
    /// Print what a server tells of itself, as a table or JSON.
    Stats(stats::Args),
    /// Show a server's figures, live.
    Top(top::Args),
    /// Measure a server under load.
    Bench(Box<bench::Args>),
    /// Fill a server with the keys of a Redis snapshot (RDB).
    Import(import::Args),
    /// Fill a server with the commands of a file.
    Load(load::Args),
    /// Read the files of a data directory, and say whether they are sound.
    Check(check::Args),
    /// Print what a data directory holds, as commands.
    Dump(dump::Args),
    /// Say what to change on this machine so that a server is fast.
    Doctor(doctor::Args),
}

fn main() -> ExitCode {
    let words = args::double_dashes(std::env::args_os(), &serve::flags());
    let cli = Cli::parse_from(words);
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => serve::run(args),
        Command::Cli(args) => shell::run(args),
        Command::Stats(args) => stats::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Dump(args) => dump::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    }
}
