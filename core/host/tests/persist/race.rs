//! Changes that are made while the log is written.

use std::thread;

use ant_cache_core::session::Turn;
use ant_cache_core::stats::Counters;
use ant_cache_core::{Budget, Input, Millis, Output};
use ant_cache_host::persist::{Fsync, Wish};

use crate::disk::Disk;
use crate::server::{EPOCH, Server, receive};

/// Once nobody changes anything any more, and nothing says that the log has something to do, all is in it: who waits for that
/// is not forgotten. A shard that goes on in the next epoch before it is asked hands over that as well.
#[test]
fn what_changes_meanwhile_is_not_left() {
    for _ in 0..500 * crate::runs() {
        let disk = Disk::default();
        let mut server = Server::start(&disk, Fsync::Always, EPOCH, false).unwrap();
        let (service, now) = (server.service.clone(), Millis(EPOCH));
        let journal = service.store().journal();
        thread::scope(|scope| {
            let client = scope.spawn(|| {
                let mut session = service.connect(now).unwrap();
                let (mut input, mut output) = (Input::new(), Output::new());
                let stats = Counters::default();
                for number in 0..100 {
                    receive(&format!("SET {} {number}", number % 16), &mut input);
                    let mut turn = Turn {
                        now,
                        budget: Budget::TURN,
                        stats: &stats,
                    };
                    session.turn(&mut turn, &mut input, &mut output);
                }
            });
            while !client.is_finished() {
                server.log.round(&service, now, Wish::Policy).unwrap();
            }
        });
        while journal.has_news() || server.log.due().is_some_and(|due| due <= now) {
            server.log.round(&service, now, Wish::Policy).unwrap();
        }
        let found = Server::start(&disk, Fsync::Always, EPOCH, false).unwrap();
        assert_eq!(found.keys(), server.keys());
        assert_eq!(found.keys().len(), 16);
    }
}
