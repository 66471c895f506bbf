//! What sort of run a seed makes. Each run stresses something else: with everything at once nothing would happen often.

use ant_cache_tests::Random;

#[derive(Debug)]
pub(crate) struct Swarm {
    pub(crate) seed: u64,
    /// Events.
    pub(crate) steps: usize,
    pub(crate) clients: usize,
    /// Different keys.
    pub(crate) keys: usize,
    pub(crate) shards: usize,
    /// The highest budget of a turn.
    pub(crate) budget: usize,
    /// Bytes that a socket takes before it is full.
    pub(crate) room: usize,
    /// The most bytes of a packet.
    pub(crate) packet: usize,
    /// The most bytes of what a client reads at once.
    pub(crate) gulp: usize,
    /// Requests that a client sends before it has the replies.
    pub(crate) depth: usize,
    /// The largest value in bytes.
    pub(crate) value: usize,
    /// One in so many events lets time pass.
    pub(crate) pace: usize,
    /// Milliseconds; 0 for never.
    pub(crate) send_timeout: u64,
    /// Milliseconds; 0 for never.
    pub(crate) idle_timeout: u64,
    /// Whether a password is required.
    pub(crate) guarded: bool,
    /// One in so many events breaks or ends a connection.
    pub(crate) ends: usize,
    /// Of ten events of a connection, how many are of the client's side, the network, the server.
    pub(crate) bias: [usize; 4],
}

impl Swarm {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let random = &mut random;
        let value = *random.pick(&[10, 10, 1100, 3000, 70_000]);
        // Single bytes of large values would take all events for one of them.
        let least = (value / 50).max(1);
        let bias = [(); 4].map(|()| 1 + random.below(10));
        Self {
            seed,
            steps: 500 + random.below(3000),
            clients: 1 + random.below(6),
            keys: *random.pick(&[2, 12, 12, 40, 3000]),
            shards: *random.pick(&[1, 1, 2, 4, 64]),
            budget: *random.pick(&[1, 1, 5, 50, 1000]),
            room: *random
                .pick(&[least, 100, 4096, 1 << 16, 1 << 20])
                .max(&least),
            packet: *random.pick(&[1, 20, 500, 1 << 20]).max(&least),
            gulp: *random.pick(&[10, 500, 1 << 20]).max(&least),
            depth: *random.pick(&[1, 3, 20, 200]),
            value,
            pace: *random.pick(&[5, 20, 1000]),
            send_timeout: *random.pick(&[0, 100, 60_000, 60_000]),
            idle_timeout: *random.pick(&[0, 0, 0, 150]),
            guarded: random.once_in(4),
            ends: *random.pick(&[50, 300, 100_000]),
            bias,
        }
    }
}
