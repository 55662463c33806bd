//! The Python module `lime_jwt._native`: conversions and errors. All rules are in `lime-jwt`.

use pyo3::prelude::*;

mod convert;
mod errors;
mod keys;
mod secrets;
mod verify;

/// Signs and verifies LIME passports. Import `lime_jwt` instead of this module.
#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::keys::{JwkSet, SigningKey, encode_jwks, thumbprint};
    #[pymodule_export]
    use crate::secrets::{KeyEncryptionKey, TokenHasher};
    #[pymodule_export]
    use crate::verify::{Expectation, verify};

    #[pymodule_init]
    fn constants(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("TYP_LOGIN", lime_jwt::Kind::Login.typ())?;
        module.add("TYP_BINDING", lime_jwt::Kind::Binding.typ())?;
        module.add("TYP_ACCESS", lime_jwt::Kind::Access.typ())?;
        module.add("MAX_TOKEN_BYTES", lime_jwt::MAX_TOKEN_BYTES)?;
        module.add("MAX_JWKS_BYTES", lime_jwt::MAX_JWKS_BYTES)?;
        module.add("MAX_LEEWAY", lime_jwt::MAX_LEEWAY)
    }
}
