//! Clients that take more than their share.

use super::eventually;
use crate::{Client, Shape};

/// Elements of an array, and bytes of each: small enough to be copied into each reply.
const ELEMENTS: usize = 600;
const ELEMENT: usize = 1000;

/// One reply with all of them, in bytes.
const REPLY: usize = ELEMENTS * (ELEMENT + 1) + 2;

/// Bytes of unread replies at which a client's further requests wait.
const UNREAD: usize = 1 << 20;

/// Requests for them: more than the kernel's buffers and the server's together hold.
const REQUESTS: usize = 200;

fn fill(client: &mut Client) {
    let element = "e".repeat(ELEMENT);
    let request = format!("SETS array {}\n", vec![element; ELEMENTS].join(" "));
    client.send(request.as_bytes());
    client.expect(b"OK\n");
}

/// Its requests wait, its replies take no more memory than they may, and others are served; once it reads, everything
/// comes.
pub fn a_client_that_takes_nothing_is_paused(shape: Shape) {
    let server = shape.child();
    let (mut greedy, mut other) = (server.connect(), server.connect());
    fill(&mut greedy);
    let filled = server.grown();
    greedy.send(&b"GET array\n".repeat(REQUESTS));
    let mut executed = 0;
    eventually(|| {
        for _ in 0..1_000 {
            assert_eq!(other.text("GET nothing"), "NULL");
        }
        // Of the others it is as many each time; INFO itself is one.
        let before = executed + 1_001;
        executed = other.info("total_commands_processed");
        executed == before
    });
    let executed = server.connect().info("keyspace_hits");
    assert!(executed < REQUESTS as u64 / 2, "{executed} were executed");
    let reply = greedy.line();
    assert_eq!(reply.len() + 1, REPLY);
    for _ in 1..REQUESTS {
        assert_eq!(greedy.line(), reply);
    }
    // The limit, one reply more, and what the allocator does with them.
    let most = 4 * (UNREAD + REPLY) as u64;
    let grown = server.grown() - filled;
    assert!(grown < most, "{grown} bytes for {most}");
}

/// It is closed once it has taken nothing for the time that is set, and counted.
pub fn a_client_that_takes_nothing_is_closed(shape: Shape) {
    let server = shape.start();
    // In the server's time; it looks at its clock after as much of real time.
    server.settings().set_send_timeout(20);
    let (mut greedy, mut other) = (server.connect(), server.connect());
    fill(&mut greedy);
    greedy.send(&b"GET array\n".repeat(REQUESTS));
    // Until it is paused: all that is sent is what the others get.
    let mut sent = 0;
    eventually(|| {
        for _ in 0..1_000 {
            assert_eq!(other.text("PING"), "PONG");
        }
        let before = std::mem::replace(&mut sent, server.totals().bytes_out);
        sent - before < 10 * 1_000
    });
    assert_eq!(server.totals().closed_stalled, 0);
    // More than once: where the kernel's buffer has got some room since, what it takes counts as taken.
    eventually(|| {
        server.pass(20);
        assert_eq!(other.text("PING"), "PONG");
        server.totals().closed_stalled == 1
    });
    // What the kernel had is all that comes.
    assert!(greedy.rest().len() < REQUESTS * REPLY);
    assert_eq!(other.text("PING"), "PONG");
    assert_eq!(other.info("connected_clients"), 1);
}

/// A command on all of 200,000 keys goes in slices: others get replies while it is under way.
pub fn a_long_command_delays_nobody(shape: Shape) {
    const KEYS: usize = 200_000;
    let server = shape.start();
    let mut long = server.connect();
    for part in (0..KEYS).collect::<Vec<_>>().chunks(5_000) {
        let sets: Vec<String> = part.iter().map(|n| format!("SET key:{n} v\n")).collect();
        long.send(sets.concat().as_bytes());
        long.expect(&b"OK\n".repeat(part.len()));
    }
    let mut others: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    // The machine may be busy with something else for the whole of one command, not of twenty.
    let most = (0..20)
        .map(|_| replies_meanwhile(&mut long, &mut others))
        .max();
    // Without slices each of the others could get one, of a request that was served before the long one.
    assert!(most > Some(8 * others.len()), "{most:?} replies");

    long.send(b"KEYS\n");
    let keys = long.line();
    let mut keys: Vec<&str> = keys.split(' ').collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), KEYS);
}

/// How many replies the others get while one waits for that of a long command.
fn replies_meanwhile(long: &mut Client, others: &mut [Client]) -> usize {
    long.send(b"KEYS *nothing*\n");
    let mut replies = 0;
    while !long.has_arrived() {
        for other in others.iter_mut() {
            assert_eq!(other.text("GET key:77"), "v");
            replies += 1;
        }
    }
    assert_eq!(long.line(), "EMPTY");
    replies
}
