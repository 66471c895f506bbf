//! The task of one connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ant_cache_host::lane::Token;
use ant_cache_host::pool::{Connection, Pool};
use ant_cache_host::{Begin, Workbench};

use crate::tasks::{Kit, Start, Tasks};

/// A connection that is being served: a future that ends when the connection does. Each poll is at most one bounded
/// turn, and none if nothing has happened to the connection.
#[derive(Debug)]
#[must_use = "a connection is served only while its task is polled"]
pub struct Serving {
    pool: Arc<Pool<Tasks>>,
    lane: usize,
    token: Token,
    /// Until it has left the lane.
    here: bool,
}

impl Serving {
    pub(crate) const fn new(pool: Arc<Pool<Tasks>>, lane: usize, token: Token) -> Self {
        Self {
            pool,
            lane,
            token,
            here: true,
        }
    }

    /// One turn, without any lock. False means that the connection is to be forgotten: it was closed.
    fn turn(
        &self,
        mut connection: Box<Connection>,
        begin: Begin,
        mut kit: Kit,
        cx: &Context<'_>,
    ) -> bool {
        let (lane, host) = (self.pool.lane(self.lane), self.pool.host());
        lane.begin_turn();
        let mut bench = Workbench {
            host,
            stats: &kit.stats,
            buffers: &mut kit.buffers,
        };
        let clock = || host.clock().now();
        let Connection { link, stream, .. } = &mut *connection;
        let turned = bench.go_on(link, stream, begin, clock);
        kit.buffers.settle(host.service().ledger());
        let finished = {
            let mut tasks = lane.places();
            tasks.put_away(kit);
            match turned {
                Some(turned) => tasks.finish(self.token, connection, turned, cx.waker()),
                None => Err(connection),
            }
        };
        let Ok(after) = finished else {
            return false;
        };
        if after.again {
            // To the end of the queue: everyone else who is due comes first.
            cx.waker().wake_by_ref();
        }
        if after.ring {
            lane.post([]);
        }
        true
    }
}

impl Future for Serving {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let lane = this.pool.lane(this.lane);
        let start = {
            let mut tasks = lane.places();
            let start = tasks.begin(this.token, cx.waker(), this.pool.host());
            lane.note_queue(tasks.waiting());
            start
        };
        match start {
            Start::Nothing => return Poll::Pending,
            Start::Turn {
                connection,
                begin,
                kit,
            } => {
                if this.turn(connection, begin, kit, cx) {
                    return Poll::Pending;
                }
            }
            Start::Move(connection, to) => {
                if lane.places().remove(this.token).is_some() {
                    this.here = false;
                    // It can only fail where the socket is not watched, which is what is wanted.
                    let _ = lane.poller().remove(&connection.stream);
                    this.pool.transfer(this.lane, to, vec![connection]);
                }
            }
            Start::Close => {}
        }
        this.close();
        Poll::Ready(())
    }
}

impl Serving {
    fn close(&mut self) {
        if !std::mem::take(&mut self.here) {
            return;
        }
        let lane = self.pool.lane(self.lane);
        let (connection, ring) = {
            let mut tasks = lane.places();
            (tasks.remove(self.token), tasks.is_ending())
        };
        drop(connection);
        self.pool.left(self.lane);
        if ring {
            lane.post([]);
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // An executor that ends drops its tasks.
        self.close();
    }
}
