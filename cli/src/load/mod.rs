//! `ant-cache-cli load`: commands from a file into a running server.

mod feed;
mod lines;
mod progress;

use core::time::Duration;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ant_cache_runtime_std::client::{ClientError, ClientOptions};

use crate::server::Server;
use lines::Lines;

pub(crate) use feed::{Feeder, Request};
pub(crate) use progress::Progress;

/// Sends the commands of a file to a server, one on each line: words as in the text dialect, with double quotes around
/// those that need them.
///
/// Lines that make no sense and commands that the server refuses are reported by number; the others are executed.
///
/// Exit status: 0, 1 if a line was refused, 2 if the file cannot be read or the server not be reached.
#[derive(Clone, Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// The file; standard input if it is `-`.
    #[arg(default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    server: Server,
}

/// Something was refused.
pub(crate) const REFUSED: u8 = 1;
/// The command line or the file is wrong, or there is no connection.
pub(crate) const UNUSABLE: u8 = 2;

/// How many refusals are shown; after a thousand nobody reads on.
pub(crate) const SHOWN: u64 = 20;

/// Why not everything was sent.
#[derive(Debug)]
enum Failure {
    File(PathBuf, io::Error),
    Server(ClientError),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Server(error)
    }
}

/// What came of the lines.
#[derive(Debug, Default)]
struct Counts {
    executed: u64,
    refused: u64,
}

impl Counts {
    /// Takes note of the answer to a line, or of why it was not sent.
    fn note(&mut self, line: u64, error: Option<&[u8]>, progress: &Progress) {
        let Some(message) = error else {
            self.executed += 1;
            return;
        };
        self.refused += 1;
        if self.refused <= SHOWN {
            progress.say(&format!(
                "line {line}: {}",
                String::from_utf8_lossy(message)
            ));
        } else if self.refused == SHOWN + 1 {
            progress.say("further lines that are refused are only counted");
        }
    }
}

/// Runs it.
pub(crate) fn run(args: &Args) -> ExitCode {
    let mut counts = Counts::default();
    let end = feed(args, &mut counts);
    if let Ok(took) = &end {
        println!(
            "{} executed, {} refused, in {took:.1?}",
            counts.executed, counts.refused
        );
    }
    match end {
        Ok(_) if counts.refused == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(REFUSED),
        Err(failure) => {
            let message = match failure {
                Failure::File(path, error) => format!("{}: {error}", path.display()),
                Failure::Server(error) => error.to_string(),
            };
            eprintln!("ant-cache-cli load: {message}");
            eprintln!("{} lines were executed before", counts.executed);
            ExitCode::from(UNUSABLE)
        }
    }
}

fn feed(args: &Args, counts: &mut Counts) -> Result<Duration, Failure> {
    let unreadable = |error| Failure::File(args.file.clone(), error);
    let (input, bytes) = open(&args.file).map_err(unreadable)?;
    let progress = Progress::new(bytes);
    let mut feeder = Feeder::new(args.server.connect(ClientOptions::default())?);
    let mut lines = Lines::new(input);
    while let Some(line) = lines.next().map_err(unreadable)? {
        let (offset, number) = (lines.offset(), lines.number());
        match line {
            Ok(words) if words.is_empty() => {}
            Ok(words) => feeder.push(words, number, |line, error| {
                counts.note(line, error, &progress);
            })?,
            Err(error) => counts.note(number, Some(error.as_bytes()), &progress),
        }
        progress.show(offset, counts.executed, "executed");
    }
    feeder.flush(|line, error| counts.note(line, error, &progress))?;
    Ok(progress.finish())
}

/// Opens a file, or standard input where it is `-`; its length, if it has one.
pub(crate) fn open(path: &Path) -> io::Result<(Box<dyn BufRead>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let bytes = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(BufReader::with_capacity(256 << 10, file)), bytes))
}
