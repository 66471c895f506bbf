//! The bodies of values that this cache has no type for.

use std::io::Read;

use super::{ErrorKind, RdbError, Reader};

impl<R: Read> Reader<R> {
    /// Passes over the body of a value of one of the types that are not read.
    pub(super) fn skip_value(&mut self, kind: u8) -> Result<(), RdbError> {
        match kind {
            // A set as strings; as an intset or a listpack; a sorted set as a ziplist or a listpack.
            2 => self.skip_strings(1),
            11 | 12 | 17 | 20 => self.source.skip_string(),
            3 => self.skip_sorted_set(),
            5 => {
                for _ in 0..self.source.plain()? {
                    self.source.skip_string()?;
                    self.source.discard(8)?;
                }
                Ok(())
            }
            7 => {
                self.source.plain()?;
                self.skip_module()
            }
            15 => self.skip_stream(1),
            19 => self.skip_stream(2),
            21 => self.skip_stream(3),
            // Hashes whose fields expire: plain and packed; in releases the earliest end comes first.
            22 => self.skip_expiring_fields(),
            23 => self.source.skip_string(),
            24 => {
                self.source.discard(8)?;
                self.skip_expiring_fields()
            }
            25 => {
                self.source.discard(8)?;
                self.source.skip_string()
            }
            kind => Err(self.source.error(ErrorKind::Unknown(kind))),
        }
    }

    fn skip_strings(&mut self, width: u64) -> Result<(), RdbError> {
        for _ in 0..self.count(width)? {
            self.source.skip_string()?;
        }
        Ok(())
    }

    /// Members, and scores as decimal text, three of which are one byte each: no number and the infinities.
    fn skip_sorted_set(&mut self) -> Result<(), RdbError> {
        for _ in 0..self.source.plain()? {
            self.source.skip_string()?;
            match self.source.byte()? {
                253..=255 => {}
                len => self.source.discard(len.into())?,
            }
        }
        Ok(())
    }

    fn skip_expiring_fields(&mut self) -> Result<(), RdbError> {
        for _ in 0..self.source.plain()? {
            self.source.plain()?;
            self.source.skip_string()?;
            self.source.skip_string()?;
        }
        Ok(())
    }

    /// What a module has written, each piece with its type in front.
    pub(super) fn skip_module(&mut self) -> Result<(), RdbError> {
        loop {
            match self.source.plain()? {
                0 => return Ok(()),
                1 | 2 => self.source.plain().map(|_| ())?,
                3 => self.source.discard(4)?,
                4 => self.source.discard(8)?,
                5 => self.source.skip_string()?,
                _ => {
                    return Err(self
                        .source
                        .damaged("a module's value has no known encoding"));
                }
            }
        }
    }

    fn skip_stream(&mut self, version: u8) -> Result<(), RdbError> {
        // Entries in listpacks, each under the first of their ids; how many there are, and the last id.
        self.skip_strings(2)?;
        self.lengths(3)?;
        if version >= 2 {
            // The first id, the highest deleted one, and how many were ever added.
            self.lengths(5)?;
        }
        for _ in 0..self.source.plain()? {
            self.skip_consumer_group(version)?;
        }
        Ok(())
    }

    fn skip_consumer_group(&mut self, version: u8) -> Result<(), RdbError> {
        const ID: u64 = 16;
        const TIME: u64 = 8;
        self.source.skip_string()?;
        self.lengths(if version >= 2 { 3 } else { 2 })?;
        // What was delivered and is not acknowledged.
        for _ in 0..self.source.plain()? {
            self.source.discard(ID + TIME)?;
            self.source.plain()?;
        }
        for _ in 0..self.source.plain()? {
            self.source.skip_string()?;
            // When the consumer was last seen, and since version 3 when it last got something.
            self.source
                .discard(if version >= 3 { 2 * TIME } else { TIME })?;
            for _ in 0..self.source.plain()? {
                self.source.discard(ID)?;
            }
        }
        Ok(())
    }
}
