//! Recovery: the snapshot, then the log from where it begins.
//!
//! What is applied is all up to some moment. Where the log ends in the middle of an epoch, that epoch is cut off: it was
//! on its way when the power failed. Where something is missing that was surely on the disk, recovery stops and says so,
//! unless it is told to go on with what there is before that.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ant_cache_core::journal::frame::Segment;
use ant_cache_core::journal::record::Records;
use ant_cache_core::journal::{Damage, Epoch, Record};
use ant_cache_core::{Budget, Millis, Service};

use super::files::Files;
use super::names::Names;
use super::read::{Block, Fault, Rest, SegmentReader, SnapshotReader};
use super::snapshot::Snapshot;

/// Milliseconds by which a moment in the log may be ahead of a command whose thread was held up: what ended so long
/// before is forgotten on the way.
const SLACK: u64 = 60_000;

/// Why a directory cannot be recovered.
#[derive(Debug)]
pub struct Error {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// See [`Error`].
#[derive(Debug)]
pub enum Problem {
    /// It cannot be read, or not to its end.
    Fault(Fault),
    /// It is not there, and what follows it is.
    Missing,
    /// It does not hold what it must have held when the next one was begun.
    Short {
        /// The last epoch that is in it.
        has: Epoch,
        /// The epoch that should be.
        needs: Epoch,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        match &self.problem {
            Problem::Fault(fault) => fault.fmt(f),
            Problem::Missing => {
                f.write_str("it is missing, though later parts of the log are there")
            }
            Problem::Short { has, needs } => write!(
                f,
                "it ends with epoch {}, but must go on to epoch {}",
                has.0, needs.0
            ),
        }
    }
}

impl std::error::Error for Error {}

/// What was found, and how far it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Entries of the snapshot, its bytes, and when it was begun.
    pub snapshot: Option<(u64, u64, Millis)>,
    /// Segments that were read.
    pub segments: u64,
    /// Records of the log that were applied.
    pub records: u64,
    /// Bytes of the log that were read.
    pub log_bytes: u64,
    /// The number of the last segment; 0 where there is none.
    pub last_segment: u64,
    /// The last epoch.
    pub epoch: Epoch,
    /// The latest moment at which anything had happened.
    pub latest: Millis,
    /// Segments that a snapshot has made useless.
    pub useless: Vec<u64>,
    /// Segments that cannot be used because what comes before them never came to the disk, as it was not promised to.
    pub unpromised: Vec<u64>,
    /// What is behind the last whole epoch of the last segment.
    pub tail: Option<Tail>,
    /// What is lost if one goes on in spite of it.
    pub lost: Option<Lost>,
}

/// Bytes at the end of a segment that are no part of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The number of the segment.
    pub segment: u64,
    /// Where they begin.
    pub offset: u64,
    /// How many there are.
    pub bytes: u64,
    /// Whether something was being written there. Otherwise it is room that was made and not used.
    pub torn: bool,
}

/// What is given up by going on in spite of damage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// What is wrong.
    pub reason: String,
    /// The segment in which it is, and the offset up to which all is well; `None` where the snapshot is damaged.
    pub at: Option<(u64, u64)>,
    /// Later segments.
    pub later: Vec<u64>,
}

/// Whoever takes what is read.
pub trait Taker {
    /// An entry, or a change, in the order in which they count. What had ended by `now` was gone when it was made.
    fn take(&mut self, record: &Record<'_>, now: Millis);

    /// So many of all bytes are read, and what had ended by `now` is gone.
    fn progress(&mut self, now: Millis, done: u64, all: u64);
}

/// Reads a directory from its start to its end.
#[derive(Debug)]
pub struct Recovery<'a> {
    files: &'a dyn Files,
    names: &'a Names,
    /// Whether to go on with what there is before damage.
    in_spite: bool,
    found: Found,
    /// Bytes of all files, and of those that are read.
    all: u64,
    done: u64,
    /// The epoch that the log must reach at least.
    needs: Epoch,
}

impl<'a> Recovery<'a> {
    /// Of these files.
    #[must_use]
    pub fn new(files: &'a dyn Files, names: &'a Names, in_spite: bool) -> Self {
        Self {
            files,
            names,
            in_spite,
            found: Found::default(),
            all: 0,
            done: 0,
            needs: Epoch(0),
        }
    }

    /// Gives all that counts to `taker`. Nothing in the directory is changed.
    ///
    /// # Errors
    /// See [`Error`]; what was read before has been given.
    pub fn run(mut self, taker: &mut dyn Taker) -> Result<Found, Error> {
        let names = self.files.list().map_err(|error| Error {
            file: ".".to_owned(),
            problem: Problem::Fault(Fault::Read(error)),
        })?;
        let segments = self.names.segments(&names);
        let snapshot = names.contains(&self.names.snapshot);
        self.all = segments
            .iter()
            .map(|&number| self.names.segment(number))
            .chain(snapshot.then(|| self.names.snapshot.clone()))
            .map(|name| self.files.len(&name).unwrap_or(0))
            .sum();
        let mut first = segments.first().copied().unwrap_or(1);
        if snapshot {
            match self.snapshot(taker) {
                Ok(segment) => first = segment,
                Err(fault) => {
                    // With what there is of it, the log makes each key what it was, or leaves it away.
                    let name = self.names.snapshot.clone();
                    self.give_up(name, Problem::Fault(fault), None, &[])?;
                }
            }
        } else if first > 1 {
            let missing = self.names.segment(1);
            self.give_up(missing, Problem::Missing, None, &[])?;
        }
        self.found.useless = segments
            .iter()
            .copied()
            .filter(|&number| number < first)
            .collect();
        let segments: Vec<u64> = segments
            .into_iter()
            .filter(|&number| number >= first)
            .collect();
        self.log(first, &segments, taker)?;
        Ok(self.found)
    }

    /// Fails, or notes what is lost where that does not matter.
    fn give_up(
        &mut self,
        file: String,
        problem: Problem,
        at: Option<(u64, u64)>,
        later: &[u64],
    ) -> Result<(), Error> {
        let error = Error { file, problem };
        // What a later version has written is not damaged.
        let newer = matches!(
            error.problem,
            Problem::Fault(Fault::Damaged {
                damage: Damage::Newer,
                ..
            })
        );
        if !self.in_spite || newer {
            return Err(error);
        }
        let lost = self.found.lost.get_or_insert_default();
        if !lost.reason.is_empty() {
            lost.reason.push_str("; ");
        }
        lost.reason.push_str(&error.to_string());
        lost.at = at.or(lost.at);
        lost.later.extend(later);
        Ok(())
    }

    /// Reads the snapshot; returns the first segment that counts.
    fn snapshot(&mut self, taker: &mut dyn Taker) -> Result<u64, Fault> {
        let mut reader = SnapshotReader::new(self.files.open(&self.names.snapshot)?)?;
        let header = *reader.header();
        let now = before(header.created);
        loop {
            let offset = reader.offset();
            match reader.next_block()? {
                Block::Records(bytes) => {
                    for record in Records::new(bytes) {
                        let record = record.map_err(|damage| Fault::Damaged { offset, damage })?;
                        taker.take(&record, now);
                    }
                }
                Block::End(footer) => {
                    self.found.snapshot = Some((footer.entries, reader.offset(), header.created));
                    // Of that one, something may be missing.
                    self.found.epoch = Epoch(header.epoch.0.saturating_sub(1));
                    self.found.latest = footer.latest.max(header.created);
                    self.needs = footer.epoch;
                    self.done += reader.offset();
                    return Ok(header.segment);
                }
            }
            taker.progress(now, self.done + reader.offset(), self.all);
        }
    }

    /// Reads the segments, which are to begin with `first`.
    fn log(&mut self, first: u64, segments: &[u64], taker: &mut dyn Taker) -> Result<(), Error> {
        self.found.last_segment = segments.last().map_or(first - 1, |&last| last);
        for (place, &number) in segments.iter().enumerate() {
            let expected = first + place as u64;
            if number != expected {
                let missing = self.names.segment(expected);
                self.give_up(missing, Problem::Missing, None, &segments[place..])?;
                return Ok(());
            }
            let later = &segments[place + 1..];
            if !self.segment(number, later, taker)? {
                return Ok(());
            }
        }
        if segments.is_empty() && self.found.snapshot.is_some() {
            let missing = self.names.segment(first);
            return self.give_up(missing, Problem::Missing, None, &[]);
        }
        Ok(())
    }

    /// Reads one segment; false where one cannot go on behind it.
    fn segment(
        &mut self,
        number: u64,
        later: &[u64],
        taker: &mut dyn Taker,
    ) -> Result<bool, Error> {
        let name = self.names.segment(number);
        let next = later.first().filter(|&&next| next == number + 1);
        let limit = next.and_then(|&next| self.after(next));
        let file = self.files.open(&name).map_err(|error| Error {
            file: name.clone(),
            problem: Problem::Fault(Fault::Read(error)),
        })?;
        let mut reader = match SegmentReader::new(file) {
            Ok(reader) => reader,
            Err(Fault::Damaged { damage, .. })
                if damage != Damage::Newer && self.is_empty(&name) =>
            {
                // It was being made, and nothing is in it.
                if later.is_empty() {
                    self.tail(&name, number, 0, true);
                    self.found.last_segment = number - 1;
                }
                return self.reaches(&name, number, limit, later);
            }
            Err(fault) => {
                let at = Some((number, 0));
                self.give_up(name, Problem::Fault(fault), at, later)?;
                return Ok(false);
            }
        };
        let end = self.frames(&mut reader, limit, taker);
        self.found.segments += 1;
        self.found.log_bytes += reader.offset();
        self.done += reader.offset();
        match end {
            End::All => {}
            End::Torn(offset, fault) => {
                let rest = match &fault {
                    Some(Fault::Damaged { damage, offset: at }) if *damage != Damage::Newer => {
                        reader.rest().ok().map(|rest| Rest {
                            blank: rest.blank && *at == offset,
                            ..rest
                        })
                    }
                    Some(_) => None,
                    None => Some(Rest::default()),
                };
                // What cannot be read may have been anything.
                let lost = rest.is_none_or(|rest| rest.synced > self.found.epoch);
                if let (Some(fault), true) = (fault, lost) {
                    let at = Some((number, offset));
                    self.give_up(name, Problem::Fault(fault), at, later)?;
                    return Ok(false);
                }
                if later.is_empty() {
                    let torn = !rest.is_some_and(|rest| rest.blank);
                    self.tail(&name, number, offset, torn);
                }
            }
        }
        self.reaches(&name, number, limit, later)
    }

    /// Whether the log goes on as far as it must, up to the end of a segment: where others follow, to what the next one
    /// takes for granted; in the end, to what the snapshot does.
    fn reaches(
        &mut self,
        name: &str,
        number: u64,
        limit: Option<Epoch>,
        later: &[u64],
    ) -> Result<bool, Error> {
        let needs = if later.is_empty() {
            self.needs
        } else {
            limit.unwrap_or_default()
        };
        let has = self.found.epoch;
        if has >= needs {
            return Ok(true);
        }
        if !later.is_empty() && has >= self.needs && self.sure(later) <= has {
            self.found.last_segment = number;
            self.found.unpromised = later.to_vec();
            return Ok(false);
        }
        let len = self.files.len(name).unwrap_or(0);
        let problem = Problem::Short { has, needs };
        self.give_up(name.to_owned(), problem, Some((number, len)), later)?;
        Ok(false)
    }

    /// The last epoch that these segments say was surely on the disk.
    fn sure(&self, segments: &[u64]) -> Epoch {
        let sure = |&number: &u64| {
            let name = self.names.segment(number);
            if self.is_empty(&name) {
                // It may have been being made.
                let header = self.header(number);
                return Some(header.map_or(Epoch(0), |header| header.synced));
            }
            let file = self.files.open(&name).ok()?;
            let mut reader = SegmentReader::new(file).ok()?;
            let before = reader.header().synced;
            Some(before.max(reader.rest().ok()?.synced))
        };
        let all = segments
            .iter()
            .map(|number| sure(number).unwrap_or(Epoch(u64::MAX)));
        all.max().unwrap_or_default()
    }

    /// Whether a segment has nothing behind its header, which was on the disk before anything followed.
    fn is_empty(&self, name: &str) -> bool {
        self.files
            .len(name)
            .is_ok_and(|len| len <= Segment::LEN as u64)
    }

    /// What the header of a segment says must be in those before it; `None` where it cannot be read.
    fn after(&self, number: u64) -> Option<Epoch> {
        Some(self.header(number)?.after)
    }

    fn header(&self, number: u64) -> Option<Segment> {
        let file = self.files.open(&self.names.segment(number)).ok()?;
        Some(*SegmentReader::new(file).ok()?.header())
    }

    fn tail(&mut self, name: &str, segment: u64, offset: u64, torn: bool) {
        let len = self.files.len(name).unwrap_or(offset);
        self.found.tail = Some(Tail {
            segment,
            offset,
            bytes: len.saturating_sub(offset),
            torn,
        });
    }

    /// Applies the frames of a segment, whole epochs only, up to `limit` where there is one.
    fn frames(
        &mut self,
        reader: &mut SegmentReader,
        limit: Option<Epoch>,
        taker: &mut dyn Taker,
    ) -> End {
        // Records of the epoch that is being read.
        let mut epoch: Vec<(Vec<u8>, Millis)> = Vec::new();
        let mut whole = reader.offset();
        loop {
            let offset = reader.offset();
            let (header, payload) = match reader.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) if whole == offset => return End::All,
                Ok(None) => return End::Torn(whole, None),
                Err(fault) => return End::Torn(whole, Some(fault)),
            };
            if limit.is_some_and(|limit| header.epoch > limit) {
                // It is in the next segment once more.
                return End::All;
            }
            let now = before(header.moments[0]);
            epoch.push((payload.to_vec(), now));
            if !header.last {
                continue;
            }
            for (payload, now) in epoch.drain(..) {
                for record in Records::new(&payload) {
                    match record {
                        Ok(record) => taker.take(&record, now),
                        Err(damage) => {
                            return End::Torn(whole, Some(Fault::Damaged { offset, damage }));
                        }
                    }
                    self.found.records += 1;
                }
            }
            whole = reader.offset();
            self.found.epoch = self.found.epoch.max(header.epoch);
            self.found.latest = self.found.latest.max(header.moments[1]);
            taker.progress(now, self.done + whole, self.all);
        }
    }
}

/// A moment that is surely before any by which a command went that was executed at this one.
pub(super) const fn before(moment: Millis) -> Millis {
    Millis(moment.0.saturating_sub(SLACK))
}

/// How the reading of a segment ended.
enum End {
    All,
    /// All is well up to this offset.
    Torn(u64, Option<Fault>),
}

/// Puts what is read into a service's store.
#[derive(Debug)]
pub struct Load<'a> {
    service: &'a Service,
    spoke: Instant,
    frames: u32,
}

/// Time between two lines that tell how far it is.
const TELL: Duration = Duration::from_secs(1);

impl<'a> Load<'a> {
    /// Into this service.
    #[must_use]
    pub fn new(service: &'a Service) -> Self {
        Self {
            service,
            spoke: Instant::now(),
            frames: 0,
        }
    }
}

impl Taker for Load<'_> {
    fn take(&mut self, record: &Record<'_>, now: Millis) {
        self.service.store().apply(record, now);
    }

    fn progress(&mut self, now: Millis, done: u64, all: u64) {
        self.frames += 1;
        if self.frames.is_multiple_of(16) {
            // What has ended goes, and so does what there is no room for.
            self.service.tick(now, Budget::new(100_000));
        }
        if self.spoke.elapsed() >= TELL {
            self.spoke = Instant::now();
            let percent = (done.saturating_mul(100)).checked_div(all).unwrap_or(100);
            tracing::info!("recovering: {percent} % of {} MB read", all / 1_000_000);
        }
    }
}

/// Brings a directory into the state that was recovered: what is torn is cut off, what is useless removed, and what was
/// given up put aside under another name. What was read is on the disk then.
///
/// Where something was given up, a snapshot of what there is comes first, so that the log need not be whole any more.
///
/// # Errors
/// What the system reports. What is in the directory can be recovered still.
pub fn tidy(
    files: &Arc<dyn Files>,
    names: &Names,
    found: &Found,
    service: &Service,
    now: Millis,
) -> io::Result<()> {
    if let Some(lost) = &found.lost {
        give_up(files, names, found, lost, (service, now))?;
    } else if let Some(tail) = found.tail {
        let Tail { offset, bytes, .. } = tail;
        let name = names.segment(tail.segment);
        if tail.torn {
            tracing::warn!(
                "{name} ends in the middle of something: the last {bytes} bytes are cut off"
            );
        }
        if offset == 0 {
            files.remove(&name)?;
        } else {
            files.truncate(&name, offset)?;
        }
    }
    // From the last one on: there is never one behind a gap.
    for &number in found.unpromised.iter().rev() {
        let name = names.segment(number);
        tracing::warn!("{name} follows what never came to the disk: it is removed");
        files.remove(&name)?;
        files.sync_names()?;
    }
    for &number in &found.useless {
        files.remove(&names.segment(number))?;
    }
    let all = files.list()?;
    for number in names.segments(&all) {
        // A server that was killed may have left it to the kernel.
        let name = names.segment(number);
        files.truncate(&name, files.len(&name)?)?;
    }
    if all.contains(&names.unfinished()) {
        files.remove(&names.unfinished())?;
    }
    files.sync_names()
}

/// Writes a snapshot of what there is, and puts aside what is damaged.
fn give_up(
    files: &Arc<dyn Files>,
    names: &Names,
    found: &Found,
    lost: &Lost,
    (service, now): (&Service, Millis),
) -> io::Result<()> {
    let aside = |name: &str| {
        tracing::warn!("{name} is kept as {name}.damaged");
        files.rename(name, &format!("{name}.damaged"))
    };
    let (next, epoch) = (found.last_segment + 1, found.epoch.next());
    let mut snapshot = Snapshot::begin(Arc::clone(files), names.clone(), next, epoch, now)?;
    snapshot.write(service.store(), || now, || true)?;
    if found.snapshot.is_none() && files.list()?.contains(&names.snapshot) {
        aside(&names.snapshot)?;
    }
    snapshot.finish(found.epoch, found.latest)?;
    // All segments are older than the snapshot now.
    let damaged: Vec<u64> = lost
        .at
        .iter()
        .map(|&(number, _)| number)
        .chain(lost.later.iter().copied())
        .collect();
    for number in names.segments(&files.list()?) {
        let name = names.segment(number);
        if damaged.contains(&number) {
            aside(&name)?;
        } else if !found.useless.contains(&number) {
            files.remove(&name)?;
        }
    }
    files.sync_names()
}
