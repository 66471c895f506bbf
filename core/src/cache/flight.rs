//! Values that are being loaded: one loader a key among all threads.
//!
//! A thread that misses a key *boards* its flight. The first aboard is the pilot and runs its loader; the others are
//! passengers and wait for what the pilot lands with. A pilot whose loader fails or panics lands with nothing: every
//! passenger looks again, and the first of them to miss is the next pilot. No lock is held while a loader runs.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hashbrown::HashTable;

use super::Bytes;
use crate::store::Key;
use crate::sync::{Mutex, Promise, Runner};

/// Separate tables, so that misses of different keys seldom meet at one lock. A power of two.
const TABLES: usize = 64;

/// The loads under way.
#[derive(Debug)]
pub(super) struct Flights(Box<[Mutex<HashTable<Arc<Flight>>>]>);

/// The load of one key.
#[derive(Debug)]
struct Flight {
    key: Box<[u8]>,
    hash: u64,
    pilot: Runner,
    /// The key was removed while its value was being loaded: what was loaded may be older than the removal.
    overtaken: AtomicBool,
    /// What the load gave; `None` where it failed.
    landed: Promise<Option<Bytes>>,
}

/// How a thread takes part in a load.
pub(super) enum Boarding<'f> {
    /// It runs the loader.
    Pilot(Pilot<'f>),
    /// Another thread ran a loader: what it gave, or `None` where it failed.
    Passenger(Option<Bytes>),
    /// This very thread is loading the key already, further up its stack: to wait would be for ever.
    Nested,
}

impl Flights {
    pub(super) fn new() -> Self {
        Self((0..TABLES).map(|_| Mutex::default()).collect())
    }

    /// The table of a hash, by bits that its tables do not use.
    fn table(&self, hash: u64) -> &Mutex<HashTable<Arc<Flight>>> {
        &self.0[(hash >> 32) as usize & (TABLES - 1)]
    }

    /// Joins the load of `key`, or begins it. Waits where another thread is loading.
    pub(super) fn board(&self, key: &Key<'_>) -> Boarding<'_> {
        // Made before the lock is taken; seldom in vain, for most who miss are the first.
        let own = Arc::new(Flight {
            key: key.bytes().into(),
            hash: key.hash(),
            pilot: Runner::this(),
            overtaken: AtomicBool::new(false),
            landed: Promise::new(),
        });
        let mut table = self.table(key.hash()).lock();
        let found = table
            .find(key.hash(), |flight| *flight.key == *key.bytes())
            .cloned();
        if let Some(flight) = found {
            drop(table);
            if flight.pilot.is_this() {
                return Boarding::Nested;
            }
            return Boarding::Passenger(flight.landed.wait());
        }
        table.insert_unique(key.hash(), Arc::clone(&own), |flight| flight.hash);
        drop(table);
        Boarding::Pilot(Pilot {
            flights: self,
            flight: own,
            loaded: None,
        })
    }

    /// Notes that `key` is about to be removed: what is being loaded for it is not to stay, and who boards from now on
    /// flies anew.
    pub(super) fn overtake(&self, key: &Key<'_>) {
        let overtaken = self.take(key.hash(), |flight| *flight.key == *key.bytes());
        if let Some(flight) = overtaken {
            flight.overtaken.store(true, Relaxed);
        }
    }

    /// Notes that all keys are about to be removed.
    pub(super) fn overtake_all(&self) {
        for table in &self.0 {
            let overtaken = core::mem::take(&mut *table.lock());
            for flight in overtaken {
                flight.overtaken.store(true, Relaxed);
            }
        }
    }

    /// Takes a flight out of its table.
    fn take(&self, hash: u64, is: impl FnMut(&Arc<Flight>) -> bool) -> Option<Arc<Flight>> {
        let mut table = self.table(hash).lock();
        let (flight, _) = table.find_entry(hash, is).ok()?.remove();
        Some(flight)
    }
}

/// The right and duty to load. Dropped without [`land`](Self::land), by a panic too, it lands with nothing.
pub(super) struct Pilot<'f> {
    flights: &'f Flights,
    flight: Arc<Flight>,
    loaded: Option<Bytes>,
}

impl Pilot<'_> {
    /// Whether the key was removed since the load began. To be asked under the lock of the key's shard: a removal that
    /// went before has been noted by then, and one that comes after finds what is put in under this lock.
    pub(super) fn is_overtaken(&self) -> bool {
        self.flight.overtaken.load(Relaxed)
    }

    /// Gives the value to all who wait.
    pub(super) fn land(mut self, value: Bytes) {
        self.loaded = Some(value);
    }
}

impl Drop for Pilot<'_> {
    fn drop(&mut self) {
        // Out of the table first: who boards after this looks into the store again.
        self.flights
            .take(self.flight.hash, |other| Arc::ptr_eq(other, &self.flight));
        self.flight.landed.give(self.loaded.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;

    fn store() -> Store {
        Store::new(&Options {
            shards: 1,
            ..Options::default()
        })
    }
    use crate::store::Store;

    #[test]
    fn whoever_boards_first_flies_and_an_unlanded_flight_is_over() {
        let (store, flights) = (store(), Flights::new());
        let key = store.key(b"a");
        let Boarding::Pilot(first) = flights.board(&key) else {
            panic!("the first aboard is the pilot");
        };
        let Boarding::Pilot(other) = flights.board(&store.key(b"b")) else {
            panic!("another key has a flight of its own");
        };
        drop(first);
        let Boarding::Pilot(again) = flights.board(&key) else {
            panic!("the flight is over");
        };
        again.land(Bytes::copy(b"x"));
        other.land(Bytes::copy(b"y"));
        assert!(flights.0.iter().all(|table| table.lock().is_empty()));
    }

    #[test]
    fn only_the_key_that_is_removed_is_overtaken() {
        let (store, flights) = (store(), Flights::new());
        let pilot = |key: &[u8]| match flights.board(&store.key(key)) {
            Boarding::Pilot(pilot) => pilot,
            _ => panic!("nobody else loads the key"),
        };
        let (a, b) = (pilot(b"a"), pilot(b"b"));
        flights.overtake(&store.key(b"a"));
        assert!(a.is_overtaken() && !b.is_overtaken());
        let again = pilot(b"a");
        drop(a);
        #[cfg(feature = "std")] // Without it, this would wait for itself.
        assert!(matches!(flights.board(&store.key(b"a")), Boarding::Nested));
        flights.overtake_all();
        assert!(again.is_overtaken() && b.is_overtaken());
    }
}
