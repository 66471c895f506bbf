//! `ant-cache-cli import`: a Redis snapshot into a running server.

pub(crate) mod entry;
mod rdb;
mod summary;

use core::time::Duration;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use ant_cache_core::limits::{MAX_ARGS, MAX_KEY, MAX_REQUEST};
use ant_cache_runtime_std::client::{Client, ClientError, ClientOptions};

use crate::load::{Feeder, Progress, REFUSED, SHOWN, UNUSABLE, open};
use crate::server::Server;
use entry::{Entry, Kind};
use rdb::{Limits, RdbError, Reader};
use summary::Summary;

/// Loads a snapshot of Redis (RDB, versions 9 to 12) into a running server: strings, lists and hashes, with their ends
/// of life. What this cache has no type for is counted and left out. Keys that exist are replaced.
///
/// The checksum stands at the end of the file, so what is in front of damage may be loaded before it is found; `--check`
/// reads the file first.
///
/// Exit status: 0, 1 if the server refused a key, 2 if the file is damaged or the server not be reached.
#[derive(Clone, Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// The file; standard input if it is `-`.
    file: PathBuf,
    #[command(flatten)]
    server: Server,
    /// The database of Redis that is loaded: a number, or `all`.
    #[arg(long, value_name = "N", default_value = "0", value_parser = database)]
    db: Database,
    /// Only read the file, and tell what is in it.
    #[arg(long)]
    check: bool,
}

/// Which databases are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Database {
    One(u64),
    All,
}

impl Database {
    fn includes(self, number: u64) -> bool {
        self == Self::All || self == Self::One(number)
    }
}

fn database(text: &str) -> Result<Database, String> {
    match text {
        "all" => Ok(Database::All),
        number => number
            .parse()
            .map(Database::One)
            .map_err(|_| "neither a number nor `all`".into()),
    }
}

/// What the server can take in one request, with room for the command, the key and the end of its life.
const LIMITS: Limits = Limits {
    key: MAX_KEY,
    value: MAX_REQUEST - MAX_KEY - 1_024,
    elements: MAX_ARGS - 8,
};

/// Why not everything was loaded.
#[derive(Debug)]
enum Failure {
    Open(io::Error),
    File(RdbError),
    Server(ClientError),
}

impl From<RdbError> for Failure {
    fn from(error: RdbError) -> Self {
        Self::File(error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Server(error)
    }
}

/// Runs it.
pub(crate) fn run(args: &Args) -> ExitCode {
    let mut summary = Summary::default();
    let end = import(args, &mut summary);
    print!("{}", summary.show(args.check, end.as_ref().ok().copied()));
    let message = match end {
        Ok(_) if summary.refused == 0 => return ExitCode::SUCCESS,
        Ok(_) => return ExitCode::from(REFUSED),
        Err(Failure::Open(error)) => format!("{}: {error}", args.file.display()),
        Err(Failure::File(error)) => format!("{}: {error}", args.file.display()),
        Err(Failure::Server(error)) => error.to_string(),
    };
    eprintln!("ant-cache-cli import: {message}");
    ExitCode::from(UNUSABLE)
}

fn import(args: &Args, summary: &mut Summary) -> Result<Duration, Failure> {
    let (input, bytes) = open(&args.file).map_err(Failure::Open)?;
    let mut reader = Reader::new(input, LIMITS)?;
    let client = (!args.check)
        .then(|| args.server.connect(ClientOptions::default()))
        .transpose()?;
    let progress = Progress::new(bytes);
    let end = each(args, &mut reader, client, summary, &progress);
    summary.file(&reader);
    let took = progress.finish();
    end.map(|()| took)
}

/// Reads record by record, and feeds each to the server, if there is one.
fn each<R: io::Read>(
    args: &Args,
    reader: &mut Reader<R>,
    client: Option<Client>,
    summary: &mut Summary,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut feeder = client.map(Feeder::new);
    let mut failure = None;
    loop {
        let record = match reader.next() {
            Ok(Some(record)) => record,
            Ok(None) => break,
            // What is in front of the damage is as good as it was.
            Err(error) => {
                failure = Some(error);
                break;
            }
        };
        summary.databases.insert(record.database);
        if !args.db.includes(record.database) {
            summary.other_databases += 1;
            continue;
        }
        let entry = match Entry::new(record, now()) {
            Ok(entry) => entry,
            Err(reason) => {
                *summary.skipped.entry(reason).or_default() += 1;
                continue;
            }
        };
        match &mut feeder {
            None => summary.count(entry.kind, entry.expires.is_some()),
            Some(feeder) => send(feeder, entry, summary, progress)?,
        }
        progress.show(reader.offset(), summary.imported(), "keys");
    }
    if let Some(feeder) = &mut feeder {
        feeder.flush(|label, error| answered(label, error, summary, progress))?;
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// What a request was for.
#[derive(Debug)]
enum Label {
    /// It sets a key.
    Set {
        kind: Kind,
        expires: bool,
        key: Vec<u8>,
    },
    /// It sets the end of the key's life.
    Expire { key: Vec<u8> },
}

fn send(
    feeder: &mut Feeder<Label>,
    entry: Entry,
    summary: &mut Summary,
    progress: &Progress,
) -> Result<(), ClientError> {
    let (kind, expires, key) = (entry.kind, entry.expires.is_some(), entry.key.clone());
    let (set, expire) = entry.into_requests(now());
    let mut label = Label::Set {
        kind,
        expires,
        key: key.clone(),
    };
    for request in core::iter::once(set).chain(expire) {
        feeder.push(request, label, |label, error| {
            answered(label, error, summary, progress);
        })?;
        label = Label::Expire { key: key.clone() };
    }
    Ok(())
}

/// Takes note of the server's answer.
fn answered(label: Label, error: Option<&[u8]>, summary: &mut Summary, progress: &Progress) {
    let (key, error) = match (label, error) {
        (Label::Set { kind, expires, .. }, None) => return summary.count(kind, expires),
        (Label::Expire { .. }, None) => return,
        (Label::Set { key, .. } | Label::Expire { key }, Some(error)) => (key, error),
    };
    summary.refused += 1;
    if summary.refused <= SHOWN {
        let key = key[..key.len().min(100)].escape_ascii();
        let error = String::from_utf8_lossy(error);
        progress.say(&format!("key '{key}': {error}"));
    } else if summary.refused == SHOWN + 1 {
        progress.say("further keys that are refused are only counted");
    }
}

/// Milliseconds since the Unix epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
