//! The native half of the Python module `antcache`: everything that is on the way of a request.
//!
//! A method of a client becomes a [`Request`](request::Request) (encoded bytes, and what its reply becomes); where it
//! goes from there is the one difference between [`Client`](client::Client), which exchanges it at once,
//! [`Batch`](batch::Batch), which keeps it, and [`Channel`](channel::Channel), which queues it on an asyncio transport
//! and returns a future. The Python half adds what is not on that way: coroutines, sharding, decorators.
//!
//! `unsafe` is in [`fastcall`] only.

mod args;
mod batch;
mod cache;
mod channel;
mod client;
mod commands;
mod errors;
#[expect(unsafe_code, reason = "the interpreter's interface of C")]
mod fastcall;
mod pool;
mod profile;
mod reply;
mod request;
mod ring;
mod server;

use pyo3::prelude::*;

/// The native half of antcache. Private: everything public is re-exported by the package.
#[pymodule(gil_used = false)]
mod _antcache {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::batch::Batch;
    #[pymodule_export]
    use super::cache::Cache;
    #[pymodule_export]
    use super::channel::Channel;
    #[pymodule_export]
    use super::client::{Client, exchange_all};
    #[pymodule_export]
    use super::profile::Profile;
    #[pymodule_export]
    use super::ring::Ring;
    #[pymodule_export]
    use super::server::Server;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        super::fastcall::install(module.py())?;
        super::watch_forks(module.py())
    }
}

/// Has the interpreter tell when this process is a child of a fork.
fn watch_forks(py: Python<'_>) -> PyResult<()> {
    let handler = pyo3::wrap_pyfunction!(pool::forked, py)?;
    let options = pyo3::types::PyDict::new(py);
    options.set_item("after_in_child", handler)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&options))?;
    Ok(())
}
