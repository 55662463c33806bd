//! Signing keys and key sets.

use lime_jwt::{Error, KeySize, PublicJwk};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use crate::convert::to_object;
use crate::errors::raised;

/// An RSA private key that signs passports.
#[pyclass(frozen, module = "lime_jwt")]
pub(crate) struct SigningKey(lime_jwt::SigningKey);

#[pymethods]
impl SigningKey {
    #[staticmethod]
    #[pyo3(signature = (bits = 2048))]
    fn generate(py: Python<'_>, bits: u32) -> PyResult<Self> {
        let size = KeySize::from_bits(bits).map_err(raised)?;
        py.detach(|| lime_jwt::SigningKey::generate(size)).map(Self).map_err(raised)
    }

    #[staticmethod]
    fn from_pkcs8(py: Python<'_>, der: &[u8]) -> PyResult<Self> {
        py.detach(|| lime_jwt::SigningKey::from_pkcs8(der)).map(Self).map_err(raised)
    }

    fn to_pkcs8<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let der = self.0.to_pkcs8().map_err(raised)?;
        Ok(PyBytes::new(py, &der))
    }

    #[getter]
    fn kid(&self) -> &str {
        self.0.kid()
    }

    fn public_jwk<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let jwk = PyDict::new(py);
        for (name, value) in self.0.public_jwk().members() {
            jwk.set_item(name, value)?;
        }
        Ok(jwk)
    }

    #[pyo3(signature = (claims, *, typ))]
    fn sign(&self, py: Python<'_>, claims: &Bound<'_, PyAny>, typ: &str) -> PyResult<String> {
        let claims = to_object(claims)?;
        py.detach(|| self.0.sign(&claims, typ)).map_err(raised)
    }

    fn __repr__(&self) -> String {
        format!("SigningKey(kid={:?})", self.0.kid())
    }
}

/// The keys of one issuer, ready to verify.
#[pyclass(frozen, module = "lime_jwt")]
pub(crate) struct JwkSet(pub(crate) lime_jwt::JwkSet);

#[pymethods]
impl JwkSet {
    #[staticmethod]
    #[pyo3(signature = (document, *, issuer))]
    fn parse(document: &Bound<'_, PyAny>, issuer: &str) -> PyResult<Self> {
        let bytes = if let Ok(text) = document.cast::<PyString>() {
            text.to_str()
                .map_err(|_| raised(Error::Key("the key set is not Unicode text")))?
                .as_bytes()
        } else if let Ok(bytes) = document.cast::<PyBytes>() {
            bytes.as_bytes()
        } else {
            return Err(PyTypeError::new_err("the key set document must be bytes or str"));
        };
        lime_jwt::JwkSet::parse(bytes, issuer).map(Self).map_err(raised)
    }

    #[getter]
    fn issuer(&self) -> &str {
        self.0.issuer()
    }

    #[getter]
    fn kids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.kids())
    }

    fn __len__(&self) -> usize {
        self.0.kids().len()
    }

    fn __contains__(&self, kid: &Bound<'_, PyAny>) -> bool {
        kid.extract::<&str>().is_ok_and(|kid| self.0.kids().any(|other| other == kid))
    }

    fn __repr__(&self) -> String {
        let kids: Vec<_> = self.0.kids().collect();
        format!("JwkSet(issuer={:?}, kids={kids:?})", self.0.issuer())
    }
}

/// The document that publishes these keys.
#[pyfunction]
pub(crate) fn encode_jwks<'py>(keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let public = keys.try_iter()?.map(|key| public(&key?)).collect::<PyResult<Vec<_>>>()?;
    let document = lime_jwt::encode_jwks(&public).map_err(raised)?;
    Ok(PyBytes::new(keys.py(), &document))
}

/// The RFC 7638 thumbprint of a public JWK.
#[pyfunction]
pub(crate) fn thumbprint(jwk: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(public(jwk)?.thumbprint())
}

fn public(key: &Bound<'_, PyAny>) -> PyResult<PublicJwk> {
    if let Ok(key) = key.cast::<SigningKey>() {
        return Ok(key.get().0.public_jwk().clone());
    }
    PublicJwk::parse(&to_object(key)?).map_err(raised)
}
