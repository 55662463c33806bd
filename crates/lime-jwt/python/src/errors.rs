//! Rust's errors as the exceptions that `lime_jwt.errors` declares.

use lime_jwt::Error;
use pyo3::PyErr;

mod python {
    use pyo3::import_exception;

    import_exception!(lime_jwt.errors, LimeJwtError);
    import_exception!(lime_jwt.errors, MalformedTokenError);
    import_exception!(lime_jwt.errors, UnsupportedHeaderError);
    import_exception!(lime_jwt.errors, UnknownKeyError);
    import_exception!(lime_jwt.errors, InvalidSignatureError);
    import_exception!(lime_jwt.errors, InvalidClaimError);
    import_exception!(lime_jwt.errors, ExpiredTokenError);
    import_exception!(lime_jwt.errors, InvalidKeyError);
    import_exception!(lime_jwt.errors, UnboundError);
    import_exception!(lime_jwt.errors, UnencodableClaimsError);
    import_exception!(lime_jwt.errors, DecryptionError);
}

/// The one table from errors to exceptions.
#[allow(clippy::needless_pass_by_value)] // Its shape is that of `map_err`.
pub(crate) fn raised(error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Malformed(_) => python::MalformedTokenError::new_err(message),
        Error::Header(_) => python::UnsupportedHeaderError::new_err(message),
        Error::UnknownKey { kid } => python::UnknownKeyError::new_err((message, kid)),
        Error::Signature => python::InvalidSignatureError::new_err(message),
        Error::Claim { claim, .. } => python::InvalidClaimError::new_err((message, claim)),
        Error::Expired => python::ExpiredTokenError::new_err((message, "exp")),
        Error::Key(_) => python::InvalidKeyError::new_err(message),
        Error::Unbound(_) => python::UnboundError::new_err(message),
        Error::Claims(_) => python::UnencodableClaimsError::new_err(message),
        Error::Decryption => python::DecryptionError::new_err(message),
        // `Argument`, `Crypto`, and whatever the library adds.
        _ => python::LimeJwtError::new_err(message),
    }
}

/// A claim that has no place in a token. Names the type, never the value.
pub(crate) fn unencodable(message: String) -> PyErr {
    python::UnencodableClaimsError::new_err(message)
}
