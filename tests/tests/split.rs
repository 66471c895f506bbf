//! In memory, where each packet is surely received alone: the replies do not depend on how requests are cut.

use ant_cache_tests::Peer;
use ant_cache_tests::suite::dialogue::{SCRIPT, answered, script};

fn check(peer: &mut Peer, requests: &[u8], replies: &[u8]) {
    let answered = peer.send(requests);
    let show = |bytes: &[u8]| bytes.escape_ascii().to_string();
    assert!(
        answered == replies,
        "to {}\nit answered {}\ninstead of {}",
        show(requests),
        show(&answered),
        show(replies)
    );
}

#[test]
fn the_script_is_answered_as_it_says() {
    let mut peer = Peer::default();
    for (request, reply) in SCRIPT {
        check(&mut peer, request, reply);
    }
}

#[test]
fn two_packets() {
    let (requests, replies) = script();
    let mut peer = Peer::default();
    for at in 0..=requests.len() {
        check(&mut peer, &requests[..at], &replies[..answered(at)]);
        check(&mut peer, &requests[at..], &replies[answered(at)..]);
    }
}

#[test]
fn three_packets() {
    let (requests, replies) = script();
    let mut peer = Peer::default();
    // Every pair of places is a million; the second one in steps that share no factor with anything.
    for first in 0..requests.len() {
        for second in (first..requests.len()).step_by(97) {
            let parts = [0..first, first..second, second..requests.len()];
            for part in parts {
                let due = answered(part.start)..answered(part.end);
                check(&mut peer, &requests[part], &replies[due]);
            }
        }
    }
}

#[test]
fn one_byte_a_packet() {
    let (requests, replies) = script();
    let mut peer = Peer::default();
    for at in 0..requests.len() {
        let due = answered(at)..answered(at + 1);
        check(&mut peer, &requests[at..=at], &replies[due]);
    }
}
