//! Failures as the exceptions of `antcache.errors`, which are classes in Python so that they can inherit from two
//! built-in ones.

use ant_cache_host::client::ErrorKind;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

/// The exceptions that this half raises.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Class {
    Authentication,
    Closed,
    Connection,
    Data,
    DataType,
    Fork,
    Full,
    PoolExhausted,
    Protocol,
    Response,
    Timeout,
    WrongType,
}

const CLASSES: usize = 12;

impl Class {
    const NAMES: [&'static str; CLASSES] = [
        "AuthenticationError",
        "ClosedError",
        "ConnectionError",
        "DataError",
        "DataTypeError",
        "ForkError",
        "FullError",
        "PoolExhaustedError",
        "ProtocolError",
        "ResponseError",
        "TimeoutError",
        "WrongTypeError",
    ];

    fn of(self, py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
        static CLASSES: PyOnceLock<Vec<Py<PyType>>> = PyOnceLock::new();
        let classes = CLASSES.get_or_try_init(py, || {
            let module = py.import("antcache.errors")?;
            let class = |name| {
                let class = module.getattr(name)?;
                Ok(class.cast_into::<PyType>()?.unbind())
            };
            Self::NAMES.into_iter().map(class).collect::<PyResult<_>>()
        })?;
        classes
            .get(self as usize)
            .map(|class| class.bind(py))
            .ok_or_else(|| PyRuntimeError::new_err("antcache.errors is of another version"))
    }
}

/// Where something went wrong, for the exception's text and its attributes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The server, or whatever stands for it.
    pub(crate) node: &'a str,
    /// The command's name.
    pub(crate) command: &'a str,
}

impl Place<'_> {
    /// An exception whose text is `node: command: message`.
    pub(crate) fn error(self, py: Python<'_>, class: Class, message: &str) -> PyErr {
        let made = class.of(py).and_then(|class| {
            let attributes = PyDict::new(py);
            attributes.set_item("node", self.node)?;
            attributes.set_item("command", self.command)?;
            class.call((message,), Some(&attributes))
        });
        made.map_or_else(|error| error, PyErr::from_value)
    }

    /// The exception for what a client met.
    pub(crate) fn failure(self, py: Python<'_>, kind: &ErrorKind) -> PyErr {
        let class = match kind {
            ErrorKind::Reply(message) => return self.reply(py, message),
            ErrorKind::TimedOut(_) => Class::Timeout,
            ErrorKind::Connect(error) if is_timeout(error) => Class::Timeout,
            ErrorKind::Decode(_) | ErrorKind::Unasked => Class::Protocol,
            ErrorKind::NoArguments => Class::Data,
            _ => Class::Connection,
        };
        self.error(py, class, &kind.to_string())
    }

    /// The exception for an error that the server answered.
    pub(crate) fn reply(self, py: Python<'_>, message: &[u8]) -> PyErr {
        let text = String::from_utf8_lossy(message);
        let class = match text.split(' ').next() {
            Some("WRONGTYPE") => Class::WrongType,
            Some("NOAUTH" | "WRONGPASS" | "NOPERM") => Class::Authentication,
            _ => Class::Response,
        };
        self.error(py, class, &text)
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock
    )
}
