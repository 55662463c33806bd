//! The Python module `lime_jwt._native`.
