//! Which Python exception an error becomes. They are declared in Python: `lime_pow/errors.py`.

use lime_pow::Error;
use pyo3::{PyErr, import_exception};

import_exception!(lime_pow.errors, InvalidChallengeError);
import_exception!(lime_pow.errors, InvalidDifficultyError);
import_exception!(lime_pow.errors, InvalidNonceError);
import_exception!(lime_pow.errors, InvalidStartError);
import_exception!(lime_pow.errors, InvalidThreadsError);
import_exception!(lime_pow.errors, LimePowError);
import_exception!(lime_pow.errors, UnavailableEngineError);

/// The exception of that error.
pub(crate) fn exception(error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::ChallengeLength(_) | Error::ChallengeCharacter => {
            InvalidChallengeError::new_err(message)
        }
        Error::DifficultyTooHigh(_) => InvalidDifficultyError::new_err(message),
        Error::NonceLength(_) | Error::NonceCharacter | Error::NotSolved => {
            InvalidNonceError::new_err(message)
        }
        Error::StartTooHigh(_) => InvalidStartError::new_err(message),
        Error::ThreadCount(_) => InvalidThreadsError::new_err(message),
        Error::EngineUnavailable => UnavailableEngineError::new_err(message),
        // The crate may learn new errors before this table does.
        _ => LimePowError::new_err(message),
    }
}
