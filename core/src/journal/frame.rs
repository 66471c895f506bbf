//! Segments of the log, and the frames that they consist of.
//!
//! A segment begins with a [`Segment`] header of 64 bytes; frames follow without a gap, each a [`Header`] of 56 bytes and
//! its records. All numbers are little-endian. The checksums are CRC-32C over the segment's salt and the bytes, so that
//! nothing that another file left on the disk is taken for a frame. Bytes that are all zero are never valid.
//!
//! ```text
//! segment: magic "ANTACL\r\n" | version 4 | reserved 4 | salt 8 | number 8 | after 8 | created 8 | synced 8
//!          | reserved 4 | crc 4
//! frame:   magic "acl\x01" | length 4 | epoch 8 | synced 8 | earliest 8 | latest 8 | count 4 | flags 4
//!          | payload crc 4 | crc 4
//! ```

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Epoch;
use super::body::{Body, Pieces};
use super::pending::{Parcel, Part};
use super::record::Record;
use super::wire::{Damage, check, open, seal};
use crate::Millis;
use crate::store::Store;

/// The version of the format that is written, and the highest that is read.
const VERSION: u32 = 1;

const SEGMENT_MAGIC: &[u8; 8] = b"ANTACL\r\n";

/// How a frame begins.
pub const MAGIC: &[u8; 4] = b"acl\x01";

/// Bytes of records from which on a frame is closed and another one begun, so that most have 1 MiB of memory. One large
/// value may make a frame larger.
const FULL: usize = 960 << 10;

/// Bytes of memory up to which that of a frame is used again.
const REUSED: usize = 2 << 20;

/// Set in the last frame of an epoch.
const LAST: u32 = 1;

/// Flags that need not be understood.
const OPTIONAL_FLAGS: u32 = 0xffff_0000;

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Random bits that go into all its checksums.
    pub salt: u64,
    /// Its number: each is one more than that of the segment before.
    pub number: u64,
    /// The epoch up to which everything is in earlier segments: later ones that they may have do not count, for they are
    /// here once more.
    pub after: Epoch,
    /// When it began.
    pub created: Millis,
    /// The epoch up to which everything was surely on the disk when it began. Less than `after` only where nothing was
    /// promised of what is between.
    pub synced: Epoch,
}

impl Segment {
    /// Bytes of it.
    pub const LEN: usize = 64;

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.salt.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.number.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.after.0.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.created.0.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.synced.0.to_le_bytes());
        seal(&mut bytes, 0);
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut reader = open(bytes, Self::LEN, SEGMENT_MAGIC, 0)?;
        if reader.u32()? > VERSION {
            return Err(Damage::Newer);
        }
        reader.u32()?;
        Ok(Self {
            salt: reader.u64()?,
            number: reader.u64()?,
            after: Epoch(reader.u64()?),
            created: Millis(reader.u64()?),
            synced: Epoch(reader.u64()?),
        })
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of records that follow.
    pub len: u32,
    /// What they belong to. Epochs ascend.
    pub epoch: Epoch,
    /// The epoch of the last frame that was surely on the disk when this one was written. What is missing up to there
    /// was lost; what is missing behind it never was promised.
    pub synced: Epoch,
    /// The earliest and the latest moment at which one of them was made.
    pub moments: [Millis; 2],
    /// Number of records.
    pub count: u32,
    /// Whether this is the last frame of its epoch.
    pub last: bool,
    crc: u32,
}

impl Header {
    /// Bytes of it.
    pub const LEN: usize = 56;

    fn encode(&self, salt: u64) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.epoch.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.synced.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.moments[0].0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.moments[1].0.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.count.to_le_bytes());
        let flags = if self.last { LAST } else { 0 };
        bytes[44..48].copy_from_slice(&flags.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.crc.to_le_bytes());
        seal(&mut bytes, salt);
        bytes
    }

    /// Reads it from the front of `bytes`.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(bytes: &[u8], salt: u64) -> Result<Self, Damage> {
        let mut reader = open(bytes, Self::LEN, MAGIC, salt)?;
        let (len, epoch) = (reader.u32()?, Epoch(reader.u64()?));
        let synced = Epoch(reader.u64()?);
        let moments = [Millis(reader.u64()?), Millis(reader.u64()?)];
        let (count, flags, crc) = (reader.u32()?, reader.u32()?, reader.u32()?);
        if flags & !(LAST | OPTIONAL_FLAGS) != 0 {
            return Err(Damage::Newer);
        }
        Ok(Self {
            len,
            epoch,
            synced,
            moments,
            count,
            last: flags & LAST != 0,
            crc,
        })
    }

    /// Checks the records.
    ///
    /// # Errors
    /// [`Damage::Checksum`].
    pub fn check(&self, payload: &[u8], salt: u64) -> Result<(), Damage> {
        check(payload, salt, self.crc)
    }
}

/// Records of one epoch, to be written together.
#[derive(Debug)]
pub struct Frame {
    header: Header,
    body: Body<{ Header::LEN }>,
}

impl Frame {
    fn new(epoch: Epoch) -> Self {
        Self::within(Body::new(), epoch)
    }

    /// One in the memory of another.
    fn within(body: Body<{ Header::LEN }>, epoch: Epoch) -> Self {
        Self {
            header: Header {
                len: 0,
                epoch,
                synced: Epoch(0),
                moments: [Millis(u64::MAX), Millis(0)],
                count: 0,
                last: false,
                crc: 0,
            },
            body,
        }
    }

    /// One without records, that says that an epoch is over and how late it was.
    #[must_use]
    pub fn of_time(epoch: Epoch, now: Millis) -> Self {
        let mut frame = Self::new(epoch);
        frame.header.moments = [now; 2];
        frame.header.last = true;
        frame
    }

    /// The latest moment at which one of its records was made.
    #[must_use]
    pub const fn latest(&self) -> Millis {
        self.header.moments[1]
    }

    /// Its epoch.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.header.epoch
    }

    /// Number of its records.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.header.count
    }

    /// Bytes of it, header included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it has a header at least")]
    pub const fn len(&self) -> usize {
        self.body.len()
    }

    /// Bytes of memory that it holds, large values that others may hold as well included.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.body.memory()
    }

    fn add(&mut self, part: &Part, pieces: Pieces<'_>) {
        self.body.extend(pieces);
        let header = &mut self.header;
        header.count += part.count;
        header.moments[0] = header.moments[0].min(part.moments[0]);
        header.moments[1] = header.moments[1].max(part.moments[1]);
    }

    /// Writes its header, for a segment with this salt, where all up to `synced` is on the disk. To be called before it
    /// is written, and again where it goes to another segment.
    pub fn seal(&mut self, salt: u64, synced: Epoch) {
        self.header.synced = synced;
        (self.header.len, self.header.crc) = self.body.sum(salt);
        self.body.set_header(&self.header.encode(salt));
    }

    /// What is to be written, one behind the other.
    #[must_use]
    pub fn pieces(&self) -> Pieces<'_> {
        self.body.pieces()
    }
}

/// Makes frames of what the shards have recorded.
#[derive(Debug, Default)]
pub struct Gatherer {
    /// By epoch, what was gathered of it. A shard may have gone on in the next epoch before it was asked.
    gathered: BTreeMap<Epoch, Gathered>,
    spare: Vec<Parcel>,
    bodies: Vec<Body<{ Header::LEN }>>,
}

#[derive(Debug, Default)]
struct Gathered {
    flush: bool,
    frames: Vec<Frame>,
}

/// The frames of closed epochs.
#[derive(Debug)]
pub struct Harvest {
    /// The epoch that was closed: all up to it is in what was gathered.
    pub closed: Epoch,
    /// Whether entries ended, so that the time should be written down.
    pub timely: bool,
    /// The frames, in the order in which they are to be written.
    pub frames: Vec<Frame>,
}

impl Gatherer {
    /// Spare parcels that are kept, and bytes of each.
    const SPARE: (usize, usize) = (1024, 4096);

    /// Closes the open epoch of a store and gathers all that belongs to it. `now` is for what has no time of its own.
    pub fn gather(&mut self, store: &Store, now: Millis) -> Harvest {
        let journal = store.journal();
        let closed = journal.close();
        for flush in closed.flushes {
            self.gathered.entry(flush).or_default().flush = true;
        }
        for shard in journal.marked() {
            let empty = self.spare.pop().unwrap_or_default();
            let mut parcel = store.take_pending(shard, empty);
            for (part, pieces) in parcel.parts() {
                let gathered = self.gathered.entry(part.epoch).or_default();
                gathered
                    .room(part.epoch, &mut self.bodies)
                    .add(part, pieces);
            }
            if self.spare.len() < Self::SPARE.0 {
                parcel.clear(Self::SPARE.1);
                self.spare.push(parcel);
            }
        }
        let later = self.gathered.split_off(&closed.epoch.next());
        let complete = core::mem::replace(&mut self.gathered, later);
        let frames = complete
            .into_iter()
            .flat_map(|(epoch, gathered)| gathered.finish(epoch, now))
            .collect();
        Harvest {
            closed: closed.epoch,
            timely: closed.news,
            frames,
        }
    }

    /// Takes frames that are no longer needed, so that the next ones have their memory: fresh memory for what passes
    /// through a busy log costs more than to copy the records. What earlier ones have left, and what was hardly used, is
    /// given up.
    pub fn reuse(&mut self, frames: impl Iterator<Item = Frame>) {
        self.bodies.clear();
        for Frame { mut body, .. } in frames {
            let fits = body.is_filled();
            body.clear();
            if fits && body.memory() <= REUSED {
                self.bodies.push(body);
            }
        }
    }

    /// Whether it holds records of the epoch that is still open: a shard went on in that before it was asked. Its mark is
    /// gone, so nothing else tells that there is something to gather.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.gathered.is_empty()
    }

    /// Bytes of memory that it keeps for the next frames.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.bodies.iter().map(Body::memory).sum()
    }
}

impl Gathered {
    /// A frame with room.
    fn room(&mut self, epoch: Epoch, bodies: &mut Vec<Body<{ Header::LEN }>>) -> &mut Frame {
        let full = self.frames.last().is_none_or(|frame| frame.len() > FULL);
        if full {
            let body = bodies.pop().unwrap_or_else(Body::new);
            self.frames.push(Frame::within(body, epoch));
        }
        self.frames.last_mut().expect("there is one now")
    }

    fn finish(mut self, epoch: Epoch, now: Millis) -> Vec<Frame> {
        if self.flush {
            let mut frame = Frame::new(epoch);
            frame.body.put(&Record::Flush, None);
            frame.header.count = 1;
            frame.header.moments = [now; 2];
            self.frames.insert(0, frame);
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.header.last = true;
        }
        self.frames
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::journal::record;
    use crate::store::{Effect, Kind, NewData, Options};
    use alloc::vec;

    #[test]
    fn headers_are_read_as_they_are_written() {
        let segment = Segment {
            salt: 5,
            number: 7,
            after: Epoch(9),
            created: Millis(11),
            synced: Epoch(8),
        };
        assert_eq!(Segment::decode(&segment.encode()), Ok(segment));
        let header = Header {
            len: 1,
            epoch: Epoch(2),
            synced: Epoch(1),
            moments: [Millis(3), Millis(4)],
            count: 5,
            last: true,
            crc: 6,
        };
        let bytes = header.encode(5);
        assert_eq!(Header::decode(&bytes, 5), Ok(header));
        assert_eq!(Header::decode(&bytes, 6), Err(Damage::Checksum));
        assert_eq!(Header::decode(&bytes[..55], 5), Err(Damage::Short));
        assert_eq!(Header::decode(&[0; 56], 0), Err(Damage::Nonsense));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes, 5).is_err());
        }
    }

    /// What the frames hold, by epoch.
    fn read(frames: &mut [Frame]) -> Vec<(u64, Vec<alloc::string::String>)> {
        let mut epochs: Vec<(u64, Vec<_>)> = Vec::new();
        let mut whole = true;
        for frame in frames {
            frame.seal(3, Epoch(0));
            let bytes: Vec<u8> = frame
                .pieces()
                .flat_map(|piece| piece.bytes().to_vec())
                .collect();
            let header = Header::decode(&bytes, 3).unwrap();
            let payload = &bytes[Header::LEN..];
            assert_eq!(header.len as usize, payload.len());
            header.check(payload, 3).unwrap();
            let records = record::Records::new(payload).map(|record| match record.unwrap() {
                Record::Set { key, value, .. } => {
                    alloc::format!("{}={}", key.escape_ascii(), value.len())
                }
                Record::Delete { key } => alloc::format!("-{}", key.escape_ascii()),
                other => alloc::format!("{other:?}"),
            });
            let records: Vec<_> = records.collect();
            assert_eq!(header.count as usize, records.len());
            match epochs.last_mut() {
                Some((epoch, all)) if *epoch == header.epoch.0 => {
                    assert!(!whole, "nothing follows the last frame of an epoch");
                    all.extend(records);
                }
                last => {
                    assert!(whole, "an epoch has a last frame");
                    assert!(last.is_none_or(|last| last.0 < header.epoch.0));
                    epochs.push((header.epoch.0, records));
                }
            }
            whole = header.last;
        }
        assert!(whole);
        epochs
    }

    /// Sets a string of this length; returns the epoch of that.
    fn set(store: &Store, key: &str, len: usize) -> u64 {
        let key = store.key(key.as_bytes());
        let value = vec![b'v'; len];
        let effect = Effect::Set {
            kind: Kind::String,
            data: NewData::copy(&value),
            expires: None,
        };
        let mut shard = store.lock_to_write(store.shard_of(&key));
        drop(shard.commit(&key, effect, Millis(5)));
        shard.last_change().0
    }

    #[test]
    fn what_a_shard_has_of_the_next_epoch_is_not_forgotten() {
        let store = Store::new(&Options {
            shards: 2,
            ..Options::default()
        });
        store.record(Epoch(1));
        let journal = store.journal();
        // A key of each shard.
        let [low, high] = [0, 1].map(|shard| {
            let names = (0..100).map(|number| alloc::format!("{number}"));
            let mut names =
                names.filter(|name| store.shard_of(&store.key(name.as_bytes())) == shard);
            names.next().expect("half of them are")
        });
        set(&store, &low, 1);
        set(&store, &high, 1);
        let mut gatherer = Gatherer::default();
        let held = store.lock(0);
        let mut first = std::thread::scope(|scope| {
            let gathering = scope.spawn(|| gatherer.gather(&store, Millis(1)));
            // Until it has closed the epoch and taken the marks, and waits for the shard that is held.
            while journal.has_news() {
                std::thread::yield_now();
            }
            set(&store, &high, 2);
            drop(held);
            gathering.join().expect("it gathers")
        });
        assert_eq!(read(&mut first.frames).len(), 1);
        assert!(!journal.has_news(), "no mark tells of what it has");
        assert!(gatherer.has_more());
        let mut second = gatherer.gather(&store, Millis(1));
        assert_eq!(
            read(&mut second.frames),
            [(2, vec![alloc::format!("{high}=2")])]
        );
        assert!(!gatherer.has_more());
    }

    #[test]
    fn epochs_hold_what_was_done_in_them() {
        let store = Store::new(&Options {
            shards: 4,
            ..Options::default()
        });
        store.record(Epoch(1));
        let set = |key: &str, len| set(&store, key, len);
        assert_eq!(set("a", 1), 1);
        assert_eq!(set("b", 5000), 1);
        let mut gatherer = Gatherer::default();
        let mut first = gatherer.gather(&store, Millis(5));
        assert_eq!(first.closed, Epoch(1));
        let mut all = read(&mut first.frames);
        all[0].1.sort();
        assert_eq!(all, [(1, vec!["a=1".into(), "b=5000".into()])]);
        assert_eq!(gatherer.gather(&store, Millis(5)).frames.len(), 0);

        assert_eq!(set("c", 2), 3);
        assert_eq!(store.flush(), Epoch(4));
        assert_eq!(set("d", 3), 4);
        let mut second = gatherer.gather(&store, Millis(5));
        assert_eq!(
            read(&mut second.frames),
            [
                (3, vec!["c=2".into()]),
                (4, vec!["Flush".into(), "d=3".into()])
            ]
        );
        // What changes often in an epoch is recorded once, as it was at its end.
        let epoch = set("d", 1);
        assert_eq!(set("d", 2), epoch);
        store.journal().close();
        assert_eq!(set("d", 3), epoch + 1);
        let mut two = gatherer.gather(&store, Millis(5));
        assert_eq!(
            read(&mut two.frames),
            [(epoch, vec!["d=2".into()]), (epoch + 1, vec!["d=3".into()])]
        );
        for key in 0..600 {
            set(&alloc::format!("{key}"), 4000);
        }
        let mut third = gatherer.gather(&store, Millis(5));
        assert!(third.frames.len() > 1);
        assert_eq!(read(&mut third.frames)[0].1.len(), 600);

        // The memory of frames is used again as it was, and not for long where they become smaller.
        let memory = |frames: &[Frame]| frames.iter().map(Frame::memory).sum::<usize>();
        for key in 0..3000 {
            set(&alloc::format!("{key}"), 500);
        }
        let busy = gatherer.gather(&store, Millis(5));
        let large = memory(&busy.frames);
        gatherer.reuse(busy.frames.into_iter());
        assert_eq!(gatherer.memory(), large);
        set("e", 1);
        let mut fourth = gatherer.gather(&store, Millis(5));
        assert_eq!(read(&mut fourth.frames)[0].1, ["e=1"]);
        assert_eq!(gatherer.memory() + memory(&fourth.frames), large);
        gatherer.reuse(fourth.frames.into_iter());
        assert_eq!(gatherer.memory(), 0);
    }
}
