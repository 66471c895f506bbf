//! The large values of a shard, which its entries name by number.

use alloc::vec::Vec;

use crate::buffer::Blob;

/// Large values by number.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    /// Each with the bytes of memory that were counted for it.
    slots: Vec<Option<(Blob, usize)>>,
    /// Numbers without a value.
    free: Vec<u32>,
    /// The sum of what was counted.
    bytes: usize,
}

impl Blobs {
    pub(super) fn insert(&mut self, blob: Blob) -> u32 {
        let memory = blob.memory();
        self.bytes += memory;
        let slot = Some((blob, memory));
        match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = slot;
                number
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        }
    }

    pub(super) fn get(&self, number: u32) -> &Blob {
        let slot = self.slots[number as usize].as_ref();
        &slot.expect("an entry's blob exists").0
    }

    pub(super) fn get_mut(&mut self, number: u32) -> &mut Blob {
        let slot = self.slots[number as usize].as_mut();
        &mut slot.expect("an entry's blob exists").0
    }

    /// Notes the present size of a blob that was changed.
    pub(super) fn recount(&mut self, number: u32) {
        if let Some((blob, counted)) = &mut self.slots[number as usize] {
            self.bytes -= *counted;
            *counted = blob.memory();
            self.bytes += *counted;
        }
    }

    pub(super) fn remove(&mut self, number: u32) -> Blob {
        let (blob, memory) = self.slots[number as usize]
            .take()
            .expect("an entry's blob exists");
        self.bytes -= memory;
        self.free.push(number);
        blob
    }

    /// Bytes of memory, those of the lists included.
    pub(super) const fn memory(&self) -> usize {
        self.bytes
            + self.slots.capacity() * size_of::<Option<(Blob, usize)>>()
            + self.free.capacity() * size_of::<u32>()
    }

    /// Checks that these are the numbers in use, in ascending order, and the sum of bytes.
    #[cfg(test)]
    pub(super) fn validate(&self, numbers: &[u32]) {
        let used = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.is_some());
        assert!(
            used.map(|(number, _)| number as u32)
                .eq(numbers.iter().copied()),
            "large values and the entries that have them"
        );
        assert_eq!(self.slots.len(), numbers.len() + self.free.len());
        let memory = self.slots.iter().flatten().map(|(blob, _)| blob.memory());
        assert_eq!(memory.sum::<usize>(), self.bytes, "memory of large values");
    }
}
