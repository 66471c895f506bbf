//! `ant-cache-cli dump`: what a data directory holds, as commands.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use ant_cache_core::client::encode_line;
use ant_cache_core::journal::Record;
use ant_cache_core::journal::record::Records;
use ant_cache_core::journal::snapshot::{Block, BlockHeader};
use ant_cache_core::store::packed::{Array, Object};
use ant_cache_core::store::{Copying, Kind};
use ant_cache_core::{Millis, Service};

use crate::check::{Data, UNUSABLE, recovered};
use crate::import::entry::{self, Entry};
use crate::load::Progress;

/// Prints what a data directory holds, a command a line: what `ant-cache-cli load` feeds to a server.
///
/// Nothing is changed. What has ended is left out; ends of life are absolute. It takes as much memory as the server.
///
/// Exit status: 0, or 2 if the directory cannot be read or is damaged.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    data: Data,
    /// Print what there is before damage, where there is some.
    #[arg(long)]
    recover: bool,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> ExitCode {
    match dump(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("ant-cache-cli dump: {message}");
            ExitCode::from(UNUSABLE)
        }
    }
}

fn dump(args: &Args) -> Result<(), String> {
    args.data.list()?;
    let dir = args.data.path().display();
    let (service, found) = recovered(&args.data, args.recover)
        .map_err(|error| format!("{dir}/{error}; --recover prints what there is before that"))?;
    if let Some(lost) = found.lost {
        eprintln!("ant-cache-cli dump: in spite of damage: {}", lost.reason);
    }
    match print(&service) {
        // Who has read enough of it closes the pipe.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot print: {error}"))
        }
        _ => Ok(()),
    }
}

fn print(service: &Service) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |time| time.as_millis() as u64);
    let store = service.store();
    let progress = Progress::new(None);
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let (mut copying, mut block) = (Copying::default(), Block::default());
    let (mut keys, mut bytes, mut line) = (0, 0, Vec::new());
    loop {
        let more = copying.slice(store, Millis(now), &mut block);
        let records: Vec<u8> = block
            .pieces()
            .flat_map(|piece| piece.bytes().iter().copied())
            .skip(BlockHeader::LEN)
            .collect();
        for record in Records::new(&records).map_while(Result::ok) {
            let (set, expire) = entry(&record).into_requests(now.cast_signed());
            line.clear();
            encode_line(&set, &mut line);
            if let Some(expire) = expire {
                encode_line(&expire, &mut line);
            }
            out.write_all(&line)?;
            keys += 1;
            bytes += line.len() as u64;
        }
        block.clear();
        progress.show(bytes, keys, "keys");
        if !more {
            progress.finish();
            return out.flush();
        }
    }
}

/// What a record of a snapshot says.
fn entry(record: &Record<'_>) -> Entry {
    let Record::Set {
        kind,
        key,
        value,
        expires,
    } = *record
    else {
        unreachable!("what is copied are entries");
    };
    let (kind, words) = match kind {
        Kind::String => (entry::Kind::String, vec![value.to_vec()]),
        Kind::Array => {
            let elements = Array::new(value);
            (
                entry::Kind::List,
                elements.iter().map(<[u8]>::to_vec).collect(),
            )
        }
        Kind::Object => {
            let fields = Object::new(value);
            let words = fields.iter().flat_map(|(field, value)| [field, value]);
            (entry::Kind::Hash, words.map(<[u8]>::to_vec).collect())
        }
    };
    Entry {
        key: key.to_vec(),
        kind,
        words,
        expires: expires.map(|end| end.0.cast_signed()),
    }
}
