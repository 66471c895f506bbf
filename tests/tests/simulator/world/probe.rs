//! A look at the store from outside the run.

use std::sync::Arc;

use ant_cache_core::stats::Counters;
use ant_cache_core::{Budget, Input, Millis, Output, Service, Session, Turn};
use ant_cache_tests::request;

use super::START;
use crate::command::Bytes;

/// A connection of its own to look at the store with.
pub(super) struct Probe {
    session: Option<Session>,
    counters: Arc<Counters>,
    input: Input,
    output: Output,
}

impl Probe {
    pub(super) fn new(service: &Arc<Service>) -> Self {
        Self {
            session: Some(service.connect(START).expect("there is room")),
            counters: service.counters(),
            input: Input::new(),
            output: Output::new(),
        }
    }

    pub(super) fn leave(&mut self) {
        self.session = None;
    }

    pub(super) fn is_gone(&mut self, key: &Bytes, now: Millis) -> bool {
        let bytes = request(&[&b"EXISTS"[..], key]);
        self.input.spare()[..bytes.len()].copy_from_slice(&bytes);
        self.input.filled(bytes.len());
        let mut turn = Turn {
            now,
            budget: Budget::TURN,
            stats: &self.counters,
        };
        let session = self.session.as_mut().expect("it has not left");
        session.turn(&mut turn, &mut self.input, &mut self.output);
        let reply = self.output.to_vec();
        self.output.consume(reply.len());
        reply == b":0\r\n"
    }
}
