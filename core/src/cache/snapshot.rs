//! A cache on its way to a file and back. Who does the I/O is the host: `ant_cache_host::persist::cache`.

use super::{Cache, InsertError};
use crate::Millis;
use crate::journal::Record;
use crate::journal::snapshot::Block;
use crate::store::Copying;

impl Cache {
    /// Copies the next entries of a walk through all of them into a block of a snapshot; false once all were. Other
    /// threads use the cache meanwhile: what is there throughout is copied.
    pub fn copy_some(&self, copying: &mut Copying, block: &mut Block) -> bool {
        copying.slice(&self.store, self.now(), block)
    }

    /// Puts an entry of a snapshot in, in the place of what its key had; what has ended stays out, and so does a record
    /// that is no entry.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn restore(&self, record: &Record<'_>) -> Result<(), InsertError> {
        let now = self.now();
        let Record::Set {
            key,
            value,
            expires,
            ..
        } = record
        else {
            return Ok(());
        };
        if expires.is_some_and(|end| end <= now) {
            return Ok(());
        }
        self.admit(key.len() + value.len(), now)?;
        self.store.apply(record, now);
        self.keep_house(now, *expires);
        Ok(())
    }

    /// The present moment by the cache's clock.
    #[must_use]
    pub fn time(&self) -> Millis {
        self.now()
    }
}
