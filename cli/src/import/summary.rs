//! What an import tells at its end.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::entry::{Kind, Reason};
use super::rdb::{Reader, Skipped};

/// Counts of keys.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// What was set, by type; of each how many with and without a time to live.
    set: BTreeMap<(Kind, bool), u64>,
    pub(super) skipped: BTreeMap<Reason, u64>,
    pub(super) refused: u64,
    /// Numbers of the databases in the file.
    pub(super) databases: BTreeSet<u64>,
    /// Keys of those that were not asked for.
    pub(super) other_databases: u64,
    /// A line about the file itself.
    file: String,
    /// What else is to be known of it.
    notes: Vec<&'static str>,
    functions: u64,
}

impl Summary {
    /// A key was set.
    pub(super) fn count(&mut self, kind: Kind, expires: bool) {
        *self.set.entry((kind, expires)).or_default() += 1;
    }

    /// Keys that were set.
    pub(super) fn imported(&self) -> u64 {
        self.set.values().sum()
    }

    /// Takes what the reader knows at its end.
    pub(super) fn file<R: io::Read>(&mut self, reader: &Reader<R>) {
        let writer = reader.writer().unwrap_or("unknown");
        let (version, bytes) = (reader.version(), reader.offset());
        self.file = format!("RDB version {version}, written by Redis {writer}; {bytes} bytes read");
        self.functions = reader.functions();
        if let Some(end) = reader.end() {
            if !end.checksum {
                self.notes.push("the file has no checksum");
            }
            if end.more {
                self.notes
                    .push("the file goes on behind the snapshot's end; that was not read");
            }
        }
    }

    /// All of it, as lines.
    pub(super) fn show(&self, check: bool, took: Option<Duration>) -> String {
        let mut out = String::new();
        if self.file.is_empty() {
            return out;
        }
        let mut line = |name: &str, text: &str| {
            writeln!(out, "{name:<9} {text}").expect("a string takes it");
        };
        line("file", &self.file);
        for note in &self.notes {
            line("note", note);
        }
        let took = took.map_or(String::new(), |took| format!(", in {took:.1?}"));
        let name = if check { "found" } else { "imported" };
        line(name, &format!("{}{took}", self.imported_text()));
        let skipped = self.skipped_text();
        if !skipped.is_empty() {
            line("left out", &skipped);
        }
        if self.refused > 0 {
            line("refused", &format!("{} by the server", self.refused));
        }
        out
    }

    fn imported_text(&self) -> String {
        let of = |kind| {
            let by_expiry = [false, true].map(|expires| self.set.get(&(kind, expires)));
            by_expiry.into_iter().flatten().sum::<u64>()
        };
        let expiring = self.set.iter().filter(|((_, expires), _)| *expires);
        let expiring: u64 = expiring.map(|(_, count)| count).sum();
        let (strings, lists, hashes) = (of(Kind::String), of(Kind::List), of(Kind::Hash));
        format!("{strings} strings, {lists} lists, {hashes} hashes; {expiring} with a time to live")
    }

    fn skipped_text(&self) -> String {
        let mut parts = Vec::new();
        for (reason, count) in &self.skipped {
            parts.push(format!("{count} {}", describe(*reason)));
        }
        if self.functions > 0 {
            parts.push(format!("{} libraries of functions", self.functions));
        }
        if self.other_databases > 0 {
            let numbers: Vec<String> = self.databases.iter().map(u64::to_string).collect();
            parts.push(format!(
                "{} of other databases (the file has {}; see --db)",
                self.other_databases,
                numbers.join(", ")
            ));
        }
        parts.join(", ")
    }
}

const fn describe(reason: Reason) -> &'static str {
    match reason {
        Reason::Expired => "expired",
        Reason::Value(skipped) => match skipped {
            Skipped::Set => "sets",
            Skipped::SortedSet => "sorted sets",
            Skipped::Stream => "streams",
            Skipped::Module => "values of modules",
            Skipped::ExpiringFields => "hashes whose fields expire",
            Skipped::Empty => "without elements",
            Skipped::LongKey => "with too long a key",
            Skipped::Large => "too large for one request",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines() {
        let mut summary = Summary {
            file: "RDB version 11".into(),
            refused: 1,
            databases: [0, 3].into(),
            other_databases: 7,
            functions: 1,
            ..Summary::default()
        };
        summary.count(Kind::String, true);
        summary.count(Kind::String, false);
        summary.count(Kind::Hash, false);
        summary.skipped.insert(Reason::Value(Skipped::Set), 2);
        summary.skipped.insert(Reason::Expired, 3);
        summary.notes.push("the file has no checksum");
        let text = summary.show(false, Some(Duration::from_millis(1_200)));
        assert_eq!(
            text,
            "file      RDB version 11\n\
             note      the file has no checksum\n\
             imported  2 strings, 0 lists, 1 hashes; 1 with a time to live, in 1.2s\n\
             left out  2 sets, 3 expired, 1 libraries of functions, 7 of other databases (the file has 0, 3; see --db)\n\
             refused   1 by the server\n"
        );
        assert_eq!(Summary::default().show(true, None), "");
    }
}
