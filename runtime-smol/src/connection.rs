//! The task of one connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ant_cache_host::Workbench;
use ant_cache_host::lane::Token;
use ant_cache_host::pool::{Connection, Pool};

use crate::tasks::{Kit, Start, Tasks};

/// A connection that is being served: a future that ends when the connection does. Each poll is at most one bounded
/// turn, and none if nothing has happened to the connection.
#[derive(Debug)]
#[must_use = "a connection is served only while its task is polled"]
pub struct Serving {
    pool: Arc<Pool<Tasks>>,
    lane: usize,
    token: Token,
    /// `None` once it has left the lane.
    connection: Option<Box<Connection>>,
}

impl Serving {
    pub(crate) const fn new(
        pool: Arc<Pool<Tasks>>,
        lane: usize,
        token: Token,
        connection: Box<Connection>,
    ) -> Self {
        Self {
            pool,
            lane,
            token,
            connection: Some(connection),
        }
    }

    /// One turn, without any lock. False means that the connection is to be closed.
    fn turn(&mut self, mut kit: Kit, readable: bool, cx: &Context<'_>) -> bool {
        let Some(connection) = &mut self.connection else {
            return false;
        };
        let (lane, host) = (self.pool.lane(self.lane), self.pool.host());
        lane.begin_turn();
        let mut bench = Workbench {
            host,
            stats: &kit.stats,
            buffers: &mut kit.buffers,
        };
        let clock = || host.clock().now();
        let turned = bench.turn(&mut connection.link, &connection.stream, readable, clock);
        kit.buffers.settle(host.service().ledger());
        let Some(turned) = turned else {
            lane.places().put_away(kit);
            return false;
        };
        let after = lane.places().finish(self.token, turned, kit, cx.waker());
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
            Start::Turn { readable, kit } => {
                if this.turn(kit, readable, cx) {
                    return Poll::Pending;
                }
            }
            Start::Move(to) => {
                let left = lane.places().remove(this.token);
                if let (Some(connection), Some(_)) = (this.connection.take(), left) {
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
        let Some(connection) = self.connection.take() else {
            return;
        };
        let lane = self.pool.lane(self.lane);
        let ring = {
            let mut tasks = lane.places();
            tasks.remove(self.token);
            tasks.is_ending()
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
