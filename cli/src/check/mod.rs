//! `ant-cache-cli check`: whether the files of a data directory are sound, and what a start would make of them.

mod directory;
mod file;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use ant_cache_core::Service;
use ant_cache_core::service::Options;
use ant_cache_host::persist::{Found, Load, Recovery, RecoveryError, holder};
use serde::Serialize;

pub(crate) use directory::Data;
use file::FileReport;

/// Reads the files of a data directory, and says whether they are sound.
///
/// Nothing is changed. A server may use the directory meanwhile; what it is writing then looks cut off. Keys are counted
/// by doing what a start does, which takes as much memory as the server.
///
/// Exit status: 0 if a server would start with all there is, 1 if something is damaged, 2 if the directory cannot be read.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    data: Data,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Something is damaged.
const DAMAGED: u8 = 1;
/// The directory cannot be read.
pub(crate) const UNUSABLE: u8 = 2;

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    /// The number of the process that uses the directory; 0 where it has not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_by: Option<u32>,
    files: Vec<FileReport>,
    /// What a start would do.
    start: Start,
    /// What it would do with --recover, where it fails without.
    #[serde(skip_serializing_if = "Option::is_none")]
    recover: Option<Start>,
}

/// What comes of a start.
#[derive(Debug, Serialize)]
struct Start {
    sound: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
    keys: u64,
    expiring: u64,
    /// Bytes that are cut off the end of the log: what was being written when the server ended.
    cut: u64,
    /// Files that are put aside.
    aside: Vec<String>,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> ExitCode {
    match check(args) {
        Ok(report) => {
            let sound = report.start.sound;
            let text = if args.json {
                serde_json::to_string_pretty(&report).expect("a report can be JSON") + "\n"
            } else {
                report.text()
            };
            // Where nobody reads it, the status tells.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::from(if sound { 0 } else { DAMAGED })
        }
        Err(message) => {
            eprintln!("ant-cache-cli check: {message}");
            ExitCode::from(UNUSABLE)
        }
    }
}

fn check(args: &Args) -> Result<Report, String> {
    let data = &args.data;
    let files = data.files()?;
    let names = data.names();
    let all = data.list()?;
    let reports = all
        .iter()
        .map(|name| FileReport::read(&files, &names, name));
    let (start, recover) = match recovered(data, false) {
        Ok((service, found)) => (Start::of(data, &service, &found), None),
        Err(error) => {
            let damage = Some(error.to_string());
            let refused = Start {
                sound: false,
                damage,
                keys: 0,
                expiring: 0,
                cut: 0,
                aside: Vec::new(),
            };
            let in_spite = recovered(data, true);
            let recover = in_spite.map(|(service, found)| Start::of(data, &service, &found));
            (refused, recover.ok())
        }
    };
    Ok(Report {
        used_by: holder(data.path()).map(Option::unwrap_or_default),
        files: reports.collect(),
        start,
        recover,
    })
}

/// Does what a start does, in memory.
pub(crate) fn recovered(
    data: &Data,
    in_spite: bool,
) -> Result<(Arc<Service>, Found), RecoveryError> {
    let (files, names) = (data.reader(), data.names());
    let service = Service::new(Options::default());
    let found = Recovery::new(&files, &names, in_spite).run(&mut Load::new(&service))?;
    Ok((service, found))
}

impl Start {
    fn of(data: &Data, service: &Service, found: &Found) -> Self {
        let names = data.names();
        let census = service.store().census();
        let lost = found.lost.as_ref();
        let aside = lost.into_iter().flat_map(|lost| {
            let whole = match lost.at {
                Some((number, 0)) => Some(names.segment(number)),
                None if found.snapshot.is_none() => Some(names.snapshot.clone()),
                _ => None,
            };
            let later = lost.later.iter().map(|&number| names.segment(number));
            whole.into_iter().chain(later)
        });
        Self {
            sound: found.lost.is_none(),
            damage: lost.map(|lost| lost.reason.clone()),
            keys: census.keys,
            expiring: census.expiring,
            cut: found
                .tail
                .filter(|tail| tail.torn)
                .map_or(0, |tail| tail.bytes),
            aside: aside.collect(),
        }
    }

    fn text(&self) -> String {
        let Self {
            keys,
            expiring,
            cut,
            aside,
            ..
        } = self;
        let mut text = format!("{keys} keys, {expiring} with a time to live");
        if *cut > 0 {
            text += &format!("; the last {cut} bytes are cut off, which were being written");
        }
        if !aside.is_empty() {
            text += &format!("; put aside: {}", aside.join(", "));
        }
        text
    }
}

impl Report {
    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(pid) = self.used_by {
            text += &match pid {
                0 => "a server uses this directory\n".to_owned(),
                pid => format!("process {pid} uses this directory\n"),
            };
        }
        let width = self.files.iter().map(FileReport::width).max().unwrap_or(0);
        for file in &self.files {
            text += &format!("{}\n", file.text(width));
        }
        match (&self.start.damage, &self.recover) {
            (None, _) => text += &format!("sound: a start has {}\n", self.start.text()),
            (Some(damage), recover) => {
                text += &format!("damaged: {damage}\n");
                text += &match recover {
                    Some(start) => format!("a start with --recover has {}\n", start.text()),
                    None => "a later version of this program may read it\n".to_owned(),
                };
            }
        }
        text
    }
}
