//! Between Python's values and JSON's.

use std::borrow::Cow;

use lime_jwt::{MAX_DEPTH, MAX_MEMBERS, Object, Value};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyList, PyMapping, PyString, PyTuple};

use crate::errors::unencodable;

/// Claims as a new `dict`.
pub(crate) fn to_dict<'py>(py: Python<'py>, object: &Object<'_>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in object.iter() {
        dict.set_item(to_name(py, name), to_python(py, value)?)?;
    }
    Ok(dict)
}

/// A member's name; those of passports (protocol section 6) are made once for all of them.
fn to_name<'py>(py: Python<'py>, name: &str) -> Bound<'py, PyString> {
    let known = match name {
        "iss" => intern!(py, "iss"),
        "aud" => intern!(py, "aud"),
        "sub" => intern!(py, "sub"),
        "iat" => intern!(py, "iat"),
        "exp" => intern!(py, "exp"),
        "jti" => intern!(py, "jti"),
        "request_id" => intern!(py, "request_id"),
        "user_id" => intern!(py, "user_id"),
        "passport_version" => intern!(py, "passport_version"),
        "site_id" => intern!(py, "site_id"),
        "azp" => intern!(py, "azp"),
        "kyc_level" => intern!(py, "kyc_level"),
        "domain" => intern!(py, "domain"),
        "client_id" => intern!(py, "client_id"),
        "scope" => intern!(py, "scope"),
        _ => return PyString::new(py, name),
    };
    known.clone()
}

fn to_python<'py>(py: Python<'py>, value: &Value<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Value::Int(value) => value.into_pyobject(py)?.into_any(),
        Value::Float(value) => value.into_pyobject(py)?.into_any(),
        Value::Text(value) => PyString::new(py, value).into_any(),
        Value::List(values) => {
            let list = PyList::empty(py);
            for value in values {
                list.append(to_python(py, value)?)?;
            }
            list.into_any()
        }
        Value::Object(object) => to_dict(py, object)?.into_any(),
    })
}

/// A mapping of claims as JSON, if a verifier would read back the same.
pub(crate) fn to_object(mapping: &Bound<'_, PyAny>) -> PyResult<Object<'static>> {
    if !mapping.is_instance_of::<PyDict>() && mapping.cast::<PyMapping>().is_err() {
        return Err(PyTypeError::new_err("a mapping is needed"));
    }
    members(mapping, 1)
}

/// The members of an object that is `depth` containers deep, itself included.
fn members(mapping: &Bound<'_, PyAny>, depth: usize) -> PyResult<Object<'static>> {
    let items = mapping.call_method0("items")?;
    let mut members = Vec::with_capacity(16);
    for item in items.try_iter()? {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
        let Ok(name) = name.cast_into::<PyString>() else {
            return Err(unencodable("a claim's name is not a string".to_owned()));
        };
        members.push((text(&name)?, to_value(&value, depth)?));
    }
    if members.len() > MAX_MEMBERS {
        return Err(unencodable("too many claims".to_owned()));
    }
    Ok(members.into_iter().collect())
}

fn to_value(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value<'static>> {
    if let Ok(string) = value.cast::<PyString>() {
        return Ok(Value::Text(text(string)?));
    }
    // Before integers, because Python's booleans are integers and JSON's are not.
    if let Ok(value) = value.cast::<PyBool>() {
        return Ok(Value::Bool(value.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        let int = value.extract().map_err(|_| unencodable("an integer is above 64 bits".into()))?;
        return Ok(Value::Int(int));
    }
    if value.is_none() {
        return Ok(Value::Null);
    }
    if depth == MAX_DEPTH {
        return Err(unencodable("claims are nested too deeply".to_owned()));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let items = value.try_iter()?.map(|item| to_value(&item?, depth + 1));
        return Ok(Value::List(items.collect::<PyResult<_>>()?));
    }
    if value.is_instance_of::<PyDict>() || value.cast::<PyMapping>().is_ok() {
        return Ok(Value::Object(members(value, depth + 1)?));
    }
    // Floats too: no claim of ours has a fraction, and NaN is not JSON.
    Err(unencodable(format!("a claim cannot be of type {}", value.get_type().name()?)))
}

fn text(string: &Bound<'_, PyString>) -> PyResult<Cow<'static, str>> {
    let text = string.to_str().map_err(|_| unencodable("a string is not Unicode text".into()))?;
    Ok(Cow::Owned(text.to_owned()))
}
