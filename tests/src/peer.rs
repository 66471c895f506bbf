//! One connection to a service in memory: bytes in, replies out, time by hand.

use std::sync::Arc;

use ant_cache_core::service::Options;
use ant_cache_core::stats::Counters;
use ant_cache_core::{Budget, Cause, Input, Millis, Output, Service, Session, Turn, Wants};

/// A client and the session that serves it.
#[derive(Debug)]
pub struct Peer {
    service: Arc<Service>,
    session: Session,
    input: Input,
    output: Output,
    counters: Arc<Counters>,
    now: Millis,
    budget: Budget,
    wants: Wants,
}

impl Default for Peer {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl Peer {
    /// The moment at which the first peer of a service connects: a Unix time with milliseconds.
    pub const START: Millis = Millis(1_800_000_000_123);

    /// Starts a service and connects to it.
    ///
    /// # Panics
    /// If it accepts no connection.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let options = Options {
            started: Self::START,
            ..options
        };
        Self::connect(Service::new(options), Self::START)
    }

    /// Another connection to the same service, made now.
    ///
    /// # Panics
    /// If it is not accepted.
    #[must_use]
    pub fn join(&self) -> Self {
        Self::connect(Arc::clone(&self.service), self.now)
    }

    fn connect(service: Arc<Service>, now: Millis) -> Self {
        Self {
            session: service.connect(now).expect("there is room for one more"),
            counters: service.counters(),
            service,
            input: Input::new(),
            output: Output::new(),
            now,
            budget: Budget::TURN,
            wants: Wants {
                read: true,
                ..Wants::default()
            },
        }
    }

    /// The service.
    #[must_use]
    pub const fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// What the session asked for last.
    #[must_use]
    pub const fn wants(&self) -> Wants {
        self.wants
    }

    /// Why the connection ended, once it has.
    #[must_use]
    pub const fn closed(&self) -> Option<Cause> {
        self.wants.close
    }

    /// Lets `ms` milliseconds pass, and the session see it.
    pub fn pass(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        self.settle();
    }

    /// Sets the clock.
    pub const fn set_now(&mut self, now: Millis) {
        self.now = now;
    }

    /// Sets what each turn may do from now on: with little, long commands take many turns.
    pub const fn set_budget(&mut self, units: i32) {
        self.budget = Budget::new(units);
    }

    /// Sends bytes and takes everything that is answered to them.
    ///
    /// # Panics
    /// If the connection was closed before.
    pub fn send(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.arrive(bytes);
        self.settle()
    }

    /// Lets bytes arrive, without a turn.
    ///
    /// # Panics
    /// If the connection was closed before.
    pub fn arrive(&mut self, bytes: &[u8]) {
        assert_eq!(
            self.closed(),
            None,
            "nothing can be sent to a closed connection"
        );
        let mut rest = bytes;
        while !rest.is_empty() {
            let spare = self.input.spare();
            let n = rest.len().min(spare.len());
            spare[..n].copy_from_slice(&rest[..n]);
            self.input.filled(n);
            rest = &rest[n..];
        }
    }

    /// Gives the session one turn and takes what it answers.
    pub fn turn(&mut self) -> Vec<u8> {
        let mut turn = Turn {
            now: self.now,
            budget: self.budget,
            stats: &self.counters,
        };
        self.wants = self
            .session
            .turn(&mut turn, &mut self.input, &mut self.output);
        let bytes = self.output.to_vec();
        self.output.consume(bytes.len());
        bytes
    }

    /// Sends a line of text; returns the lines of the reply, without the last end of line.
    ///
    /// # Panics
    /// If the reply does not end as the line does, or is not UTF-8.
    pub fn text(&mut self, line: &str) -> String {
        let reply = utf8(self.send(format!("{line}\n").as_bytes()));
        reply
            .strip_suffix('\n')
            .expect("a reply ends its line")
            .to_owned()
    }

    /// Sends a RESP request of these words; returns the reply's bytes.
    ///
    /// # Panics
    /// If the reply is not UTF-8.
    pub fn resp<W: AsRef<[u8]>>(&mut self, words: &[W]) -> String {
        utf8(self.send(&request(words)))
    }

    /// Turns until nothing is left to do; everything that is answered is taken at once.
    fn settle(&mut self) -> Vec<u8> {
        /// Far more turns than any test's request takes.
        const MOST: usize = 1_000_000;
        let mut replies = Vec::new();
        for _ in 0..MOST {
            let bytes = self.turn();
            let Wants {
                read, again, close, ..
            } = self.wants;
            assert!(
                close.is_some() || read || again || !bytes.is_empty(),
                "the session asks for nothing"
            );
            replies.extend(bytes);
            if close.is_some() || read {
                return replies;
            }
        }
        panic!("the session does not come to an end");
    }
}

/// A RESP request of these words.
#[must_use]
pub fn request<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend(word);
        bytes.extend(b"\r\n");
    }
    bytes
}

fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the reply is UTF-8")
}
