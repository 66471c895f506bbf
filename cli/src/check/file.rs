//! One file, read to its end or to the first damage.

use ant_cache_core::journal::record::Records;
use ant_cache_host::persist::{Block, Fault, Files, Names, SegmentReader, SnapshotReader};
use serde::Serialize;

/// What a file holds.
#[derive(Debug, Serialize)]
pub(super) struct FileReport {
    name: String,
    bytes: u64,
    records: u64,
    /// The first and the last epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<[u64; 2]>,
    /// The segment that a snapshot goes on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    goes_on_with: Option<String>,
    /// Why it is not read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<String>,
}

impl FileReport {
    pub(super) fn read(files: &dyn Files, names: &Names, name: &str) -> Self {
        let mut report = Self {
            name: name.to_owned(),
            bytes: files.len(name).unwrap_or(0),
            records: 0,
            epochs: None,
            goes_on_with: None,
            ends: None,
        };
        let read = if name == names.snapshot {
            report.snapshot(files, names)
        } else {
            report.segment(files)
        };
        report.ends = read.err().map(|fault| fault.to_string());
        report
    }

    fn snapshot(&mut self, files: &dyn Files, names: &Names) -> Result<(), Fault> {
        let mut reader = SnapshotReader::new(files.open(&self.name)?)?;
        let header = *reader.header();
        self.goes_on_with = Some(names.segment(header.segment));
        loop {
            let offset = reader.offset();
            match reader.next_block()? {
                Block::Records(bytes) => self.count(bytes, offset)?,
                Block::End(footer) => {
                    self.epochs = Some([header.epoch.0, footer.epoch.0]);
                    return Ok(());
                }
            }
        }
    }

    fn segment(&mut self, files: &dyn Files) -> Result<(), Fault> {
        let mut reader = SegmentReader::new(files.open(&self.name)?)?;
        let fault = loop {
            let offset = reader.offset();
            let (header, payload) = match reader.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(fault) => break fault,
            };
            let [_, last] = self.epochs.get_or_insert([header.epoch.0; 2]);
            *last = header.epoch.0;
            self.count(payload, offset)?;
        };
        match fault {
            // Room that was made and not used.
            Fault::Damaged { .. } if reader.rest()?.blank => Ok(()),
            fault => Err(fault),
        }
    }

    fn count(&mut self, bytes: &[u8], offset: u64) -> Result<(), Fault> {
        for record in Records::new(bytes) {
            record.map_err(|damage| Fault::Damaged { offset, damage })?;
            self.records += 1;
        }
        Ok(())
    }

    pub(super) fn width(&self) -> usize {
        self.name.len()
    }

    pub(super) fn text(&self, width: usize) -> String {
        let Self {
            name,
            bytes,
            records,
            ..
        } = self;
        let mut text = format!("{name:width$}  {records} records, {bytes} bytes");
        if let Some([first, last]) = self.epochs {
            text += &format!(", epochs {first} to {last}");
        }
        if let Some(segment) = &self.goes_on_with {
            text += &format!(", goes on with {segment}");
        }
        if let Some(end) = &self.ends {
            text += &format!("; {end}");
        }
        text
    }
}
