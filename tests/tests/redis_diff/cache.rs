//! What is tested: a service and one session of it, without sockets.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ant_cache_core::client::encode;
use ant_cache_core::service::Options;
use ant_cache_core::stats::Counters;
use ant_cache_core::{Budget, Input, Millis, Output, Service, Session, Turn};

pub(crate) struct Cache {
    session: Session,
    counters: Arc<Counters>,
    input: Input,
    output: Output,
}

impl Cache {
    /// A cache of a few shards, so that keys share some.
    pub(crate) fn start(seed: u64) -> Self {
        let service = Service::new(Options {
            seed,
            shards: 4,
            ..Options::default()
        });
        let counters = service.counters();
        let session = service.connect(now()).expect("room for a connection");
        Self {
            session,
            counters,
            input: Input::new(),
            output: Output::new(),
        }
    }

    /// The bytes of the reply to one request, executed in turns of `budget`.
    pub(crate) fn call(&mut self, request: &[Vec<u8>], budget: Budget) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(request, &mut bytes);
        while !bytes.is_empty() {
            let spare = self.input.spare();
            let n = spare.len().min(bytes.len());
            spare[..n].copy_from_slice(&bytes[..n]);
            self.input.filled(n);
            bytes.drain(..n);
        }
        let mut reply = Vec::new();
        let now = now();
        loop {
            let mut turn = Turn {
                now,
                budget,
                stats: &self.counters,
            };
            let wants = self
                .session
                .turn(&mut turn, &mut self.input, &mut self.output);
            let sent = self.output.to_vec();
            reply.extend_from_slice(&sent);
            self.output.consume(sent.len());
            if wants.read || wants.close.is_some() {
                return reply;
            }
        }
    }
}

/// The wall clock, as Redis reads it.
fn now() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock behind 1970");
    Millis(since.as_millis() as u64)
}
