//! What the requests of one client have in common.

use pyo3::prelude::*;

/// What the requests of one client have in common, and every part of it shares: the name of the node, the prefix of
/// keys, how values become Python objects.
#[pyclass(frozen, module = "antcache._antcache")]
#[derive(Debug)]
pub(crate) struct Profile {
    /// For the texts of exceptions.
    pub(crate) node: String,
    /// Stands before every key.
    pub(crate) namespace: Vec<u8>,
    /// An object with `dumps` and `loads`.
    #[pyo3(get)]
    pub(crate) serializer: Option<Py<PyAny>>,
    /// Whether strings become `str`, where a call does not say.
    pub(crate) decode: bool,
    /// Whether the server knows FETCH and answers it with maps: protocol 3.
    pub(crate) typed: bool,
}

#[pymethods]
impl Profile {
    #[new]
    #[pyo3(signature = (node, *, namespace=None, serializer=None, decode=false, protocol=3))]
    pub(crate) fn new(
        node: String,
        namespace: Option<&Bound<'_, PyAny>>,
        serializer: Option<Py<PyAny>>,
        decode: bool,
        protocol: u8,
    ) -> PyResult<Self> {
        let mut profile = Self {
            node,
            namespace: Vec::new(),
            serializer,
            decode,
            typed: protocol == 3,
        };
        if let Some(namespace) = namespace {
            let prefix = profile.string(namespace, "namespace", "a namespace")?;
            profile.namespace = prefix.into_owned();
        }
        Ok(profile)
    }

    /// The bytes of a key as the server knows it.
    fn key<'py>(&self, key: &Bound<'py, PyAny>, command: &str) -> PyResult<Vec<u8>> {
        Ok(self.full_key(key, command)?.into_owned())
    }
}
