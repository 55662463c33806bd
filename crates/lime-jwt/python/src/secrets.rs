//! Token hashes and sealed keys.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::raised;

/// The keyed hash under which an opaque token is stored and looked up.
#[pyclass(frozen, module = "lime_jwt")]
pub(crate) struct TokenHasher(lime_jwt::TokenHasher);

#[pymethods]
impl TokenHasher {
    #[new]
    fn new(key: &[u8]) -> PyResult<Self> {
        lime_jwt::TokenHasher::new(key).map(Self).map_err(raised)
    }

    #[staticmethod]
    fn derive<'py>(py: Python<'py>, master: &[u8], purpose: &str) -> PyResult<Bound<'py, PyBytes>> {
        let key = lime_jwt::derive(master, purpose).map_err(raised)?;
        Ok(PyBytes::new(py, key.as_ref()))
    }

    fn hash<'py>(&self, py: Python<'py>, token: &str) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.hash(token))
    }

    fn matches(&self, token: &str, expected: &[u8]) -> bool {
        self.0.matches(token, expected)
    }

    // Written out, because the default would be an address and a derived one could be the key.
    #[allow(clippy::unused_self)] // Python calls it on an instance.
    fn __repr__(&self) -> &'static str {
        "TokenHasher(...)"
    }
}

/// Seals private keys for storage.
#[pyclass(frozen, module = "lime_jwt")]
pub(crate) struct KeyEncryptionKey(lime_jwt::KeyEncryptionKey);

#[pymethods]
impl KeyEncryptionKey {
    #[new]
    fn new(key: &[u8]) -> PyResult<Self> {
        lime_jwt::KeyEncryptionKey::new(key).map(Self).map_err(raised)
    }

    #[pyo3(signature = (plaintext, *, context))]
    fn seal<'py>(
        &self,
        py: Python<'py>,
        plaintext: &[u8],
        context: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let sealed = self.0.seal(plaintext, context).map_err(raised)?;
        Ok(PyBytes::new(py, &sealed))
    }

    #[pyo3(signature = (sealed, *, context))]
    fn open<'py>(
        &self,
        py: Python<'py>,
        sealed: &[u8],
        context: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let opened = self.0.open(sealed, context).map_err(raised)?;
        Ok(PyBytes::new(py, &opened))
    }

    #[allow(clippy::unused_self)] // Python calls it on an instance.
    fn __repr__(&self) -> &'static str {
        "KeyEncryptionKey(...)"
    }
}
