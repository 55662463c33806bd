//! Verification.

use lime_jwt::Error;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::convert::to_dict;
use crate::errors::raised;
use crate::keys::JwkSet;

/// What one verification insists on.
#[pyclass(frozen, eq, module = "lime_jwt")]
#[derive(PartialEq)]
pub(crate) struct Expectation(lime_jwt::Expectation);

#[pymethods]
impl Expectation {
    #[staticmethod]
    #[pyo3(signature = (*, request_id = None, site_id = None, leeway = 30))]
    fn login(request_id: Option<&str>, site_id: Option<&str>, leeway: i64) -> PyResult<Self> {
        lime_jwt::Expectation::login(request_id, site_id, leeway).map(Self).map_err(raised)
    }

    #[staticmethod]
    #[pyo3(signature = (*, site_id, binding_id = None, leeway = 30))]
    fn binding(site_id: &str, binding_id: Option<&str>, leeway: i64) -> PyResult<Self> {
        lime_jwt::Expectation::binding(site_id, binding_id, leeway).map(Self).map_err(raised)
    }

    #[staticmethod]
    #[pyo3(signature = (*, domain = None, resource = None, leeway = 30))]
    fn access_token(domain: Option<&str>, resource: Option<&str>, leeway: i64) -> PyResult<Self> {
        lime_jwt::Expectation::access_token(domain, resource, leeway).map(Self).map_err(raised)
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// The claims of a token that these keys signed and that says what is expected.
#[pyfunction]
#[pyo3(signature = (token, *, keys, expect, now))]
pub(crate) fn verify<'py>(
    py: Python<'py>,
    token: &Bound<'py, PyString>,
    keys: &JwkSet,
    expect: &Expectation,
    now: i64,
) -> PyResult<Bound<'py, PyDict>> {
    // A lone surrogate is a malformed token like any other, and no Unicode error.
    let token = token.to_str().map_err(|_| raised(Error::Malformed("not Unicode text")))?;
    let mut payload = Vec::new();
    let claims = py
        .detach(|| lime_jwt::verify(token, &keys.0, &expect.0, now, &mut payload))
        .map_err(raised)?;
    to_dict(py, &claims)
}
