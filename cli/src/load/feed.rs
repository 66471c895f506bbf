//! Requests to a server, many at a time, and what came of each.

use ant_cache_runtime_std::client::{Client, ClientError};

/// A request, the command's name first.
pub(crate) type Request = Vec<Vec<u8>>;

/// Collects requests and sends them in pipelines. Each has a label, by which its sender knows it again.
#[derive(Debug)]
pub(crate) struct Feeder<L> {
    client: Client,
    requests: Vec<Request>,
    labels: Vec<L>,
    bytes: usize,
}

/// Requests of one pipeline: enough that the way to the server and back does not count.
const REQUESTS: usize = 1_000;

/// Bytes after which a pipeline is sent, whatever the number of its requests.
const BYTES: usize = 1 << 20;

impl<L> Feeder<L> {
    pub(crate) const fn new(client: Client) -> Self {
        Self {
            client,
            requests: Vec::new(),
            labels: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes a request. Where that makes a pipeline, sends it, and gives `answered` each label with the server's error,
    /// if it answered with one.
    pub(crate) fn push(
        &mut self,
        request: Request,
        label: L,
        answered: impl FnMut(L, Option<&[u8]>),
    ) -> Result<(), ClientError> {
        self.bytes += request.iter().map(Vec::len).sum::<usize>();
        self.requests.push(request);
        self.labels.push(label);
        if self.requests.len() >= REQUESTS || self.bytes >= BYTES {
            self.flush(answered)?;
        }
        Ok(())
    }

    /// Sends what has been taken.
    pub(crate) fn flush(
        &mut self,
        mut answered: impl FnMut(L, Option<&[u8]>),
    ) -> Result<(), ClientError> {
        let replies = self.client.pipeline(&self.requests)?;
        for (label, reply) in self.labels.drain(..).zip(&replies) {
            answered(label, reply.error());
        }
        self.requests.clear();
        self.bytes = 0;
        Ok(())
    }
}
