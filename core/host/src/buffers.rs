//! Spare buffers.

use std::sync::Arc;

use ant_cache_core::ledger::{Charge, Owner};
use ant_cache_core::{Input, Ledger, Output};

/// Spare buffers of one lane, or of one thread. An idle connection holds none: it borrows a pair for the time in
/// which bytes wait.
#[derive(Debug, Default)]
pub struct Buffers {
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    /// Bytes of memory of all of them.
    memory: usize,
    /// Of the ledger that was last [settled](Self::settle) with.
    charge: Option<Charge>,
}

impl Buffers {
    /// Spares kept of each kind. One turn at a time needs one pair; the others come back from connections that had
    /// half a request or unread replies, and a burst of those must not stay for ever.
    const MOST: usize = 32;

    /// A buffer that grew past this many bytes is freed instead of kept.
    const LARGEST: usize = 64 << 10;

    /// No spares yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            inputs: Vec::new(),
            outputs: Vec::new(),
            memory: 0,
            charge: None,
        }
    }

    /// Frees the spares.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Bytes of memory that the spares hold.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.memory
    }

    /// Charges what the spares hold. Whoever keeps them does so between turns, or once after several: they hold as
    /// much as before then, and nothing is written.
    pub fn settle(&mut self, ledger: &Arc<Ledger>) {
        let charge = self
            .charge
            .get_or_insert_with(|| Charge::new(ledger, Owner::Connections));
        charge.set(self.memory);
    }

    /// Gives `input` memory, if it has none and there is a spare. What it knows is kept.
    pub(crate) fn lend_input(&mut self, input: &mut Input) {
        if input.memory() == 0
            && !input.eof()
            && let Some(spare) = self.inputs.pop()
        {
            self.memory -= spare.memory();
            *input = spare;
        }
    }

    /// Gives `output` memory, if it has none and there is a spare.
    pub(crate) fn lend_output(&mut self, output: &mut Output) {
        if output.own_memory() == 0
            && let Some(spare) = self.outputs.pop()
        {
            self.memory -= spare.own_memory();
            *output = spare;
        }
    }

    /// Takes the memory of a pair as far as nothing waits in it.
    pub(crate) fn take_back(&mut self, input: &mut Input, output: &mut Output) {
        if input.is_empty() && input.memory() > 0 {
            let eof = input.eof();
            let mut spare = core::mem::take(input);
            if eof {
                input.set_eof();
            }
            if self.inputs.len() < Self::MOST && spare.memory() <= Self::LARGEST {
                spare.reset();
                self.memory += spare.memory();
                self.inputs.push(spare);
            }
        }
        if output.is_empty() && output.own_memory() > 0 {
            let spare = core::mem::take(output);
            if self.outputs.len() < Self::MOST && spare.own_memory() <= Self::LARGEST {
                self.memory += spare.own_memory();
                self.outputs.push(spare);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(bytes: &[u8]) -> Input {
        let mut input = Input::new();
        let room = input.spare();
        room[..bytes.len()].copy_from_slice(bytes);
        input.filled(bytes.len());
        input
    }

    #[test]
    fn memory_goes_round_and_what_is_known_stays() {
        let mut buffers = Buffers::new();
        let (mut input, mut output) = (filled(b"ab"), Output::new());
        output.put(b"x");
        buffers.take_back(&mut input, &mut output);
        assert_eq!(
            (input.bytes(), output.len(), buffers.memory()),
            (&b"ab"[..], 1, 0),
            "bytes wait in both"
        );

        input.consume(2);
        input.set_eof();
        output.consume(1);
        buffers.take_back(&mut input, &mut output);
        assert_eq!(input.memory() + output.memory(), 0);
        assert!(input.eof() && buffers.memory() > Input::READ);

        let mut next = Input::new();
        buffers.lend_input(&mut next);
        buffers.lend_output(&mut output);
        assert!(next.memory() > 0 && output.memory() > 0);
        assert!(
            next.is_empty() && !next.eof(),
            "nothing of the last connection is left in it"
        );
        assert_eq!(buffers.memory(), 0);
    }

    #[test]
    fn the_pool_is_bounded() {
        let mut buffers = Buffers::new();
        for _ in 0..10 * Buffers::MOST {
            let mut input = filled(b"a");
            input.consume(1);
            buffers.take_back(&mut input, &mut Output::new());
        }
        assert_eq!(buffers.memory(), Buffers::MOST * Input::READ);

        let mut large = Input::new();
        while large.memory() <= Buffers::LARGEST {
            let n = large.spare().len();
            large.filled(n);
        }
        large.consume(large.bytes().len());
        buffers.lend_input(&mut Input::new());
        let before = buffers.memory();
        buffers.take_back(&mut large, &mut Output::new());
        assert_eq!((large.memory(), buffers.memory()), (0, before));
    }
}
