"""An owner's own account over HTTP: registration, sign-in, sessions, second factors."""
