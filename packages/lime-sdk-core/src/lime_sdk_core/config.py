"""Settings of a client, complete and checked, or an error that says what to set."""

from __future__ import annotations

import ipaddress
import math
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lime_sdk_core._secret import Secret
from lime_sdk_core.errors import AuthenticationError, ConfigurationError
from lime_sdk_core.retry import RetryPolicy

#: Seconds that one call may take when the caller names no other time.
DEFAULT_TIMEOUT = 30.0

#: Largest body read, in bytes. LIME's largest answer, a JWKS in rotation, stays under 16 KiB.
DEFAULT_MAX_RESPONSE_BYTES = 1024 * 1024

BASE_URL_ENV = "LIME_API_BASE"
ALLOW_INSECURE_ENV = "LIME_ALLOW_INSECURE_HTTP"


@dataclass(frozen=True, slots=True)
class Credential:
    """A token and the header that carries it."""

    header: str
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How a client reaches LIME.

    Attributes:
        base_url: API base without a trailing slash, checked by `check_base_url`.
        credential: What authenticated requests carry.
        user_agent: The `User-Agent` header.
        timeout: Seconds for one call, repetitions and pauses included.
        retry: When a failed request is sent again.
        max_response_bytes: A longer body is refused with `ProtocolError`.
    """

    base_url: str
    credential: Credential
    user_agent: str
    timeout: float = DEFAULT_TIMEOUT
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES

    @classmethod
    def resolve(
        cls,
        *,
        product: str,
        version: str,
        header: str,
        credential_env: str,
        credential_argument: str,
        token: str | None,
        base_url: str | None,
        timeout: float = DEFAULT_TIMEOUT,
        max_retries: int = 3,
        allow_insecure_http: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> Config:
        """Make a configuration from arguments, or the environment where one is missing.

        Args:
            product: Name in the `User-Agent`.
            version: Version in the `User-Agent`.
            header: The header that carries the token.
            credential_env: Environment variable of the token.
            credential_argument: What the SDK's constructor calls the token, for the error message.
            token: The token, or `None` to read `credential_env`.
            base_url: The API base, or `None` to read `LIME_API_BASE`. There is no default: a secret
                must not go to a host that nobody chose.
            timeout: Seconds for one call; above 0.
            max_retries: Repetitions of an idempotent call; 0 or more.
            allow_insecure_http: Send the token over plain http to hosts other than this machine
                (also `LIME_ALLOW_INSECURE_HTTP=1`).
            environ: The environment; the process's own by default.

        Raises:
            AuthenticationError: No token, or one that cannot be a header value.
            ConfigurationError: Something else is missing or impossible.
        """
        env = os.environ if environ is None else environ
        found_token = (token or env.get(credential_env, "")).strip()
        if not found_token:
            raise AuthenticationError(
                f"There is no token: pass {credential_argument}= or set {credential_env}."
            )
        found_base = (base_url or env.get(BASE_URL_ENV, "")).strip()
        if not found_base:
            raise ConfigurationError(
                "There is no API base: pass base_url= or set "
                f"{BASE_URL_ENV}, for example https://lime.example.com/api/v1."
            )
        if not 0 < timeout < math.inf:
            raise ConfigurationError("timeout is a finite number of seconds above 0.")
        if max_retries < 0:
            raise ConfigurationError("max_retries is 0 or more.")
        insecure = allow_insecure_http or env.get(ALLOW_INSECURE_ENV, "") == "1"
        return cls(
            base_url=check_base_url(found_base, allow_insecure_http=insecure),
            credential=Credential(header, Secret(found_token)),
            user_agent=user_agent(product, version),
            timeout=timeout,
            retry=RetryPolicy(max_retries=max_retries),
        )

    @property
    def is_local(self) -> bool:
        """Does the API base name this machine?"""
        return _is_loopback(urlsplit(self.base_url).hostname or "")


def check_base_url(url: str, *, allow_insecure_http: bool = False) -> str:
    """Return `url` without trailing slashes if a token may be sent there.

    Raises:
        ConfigurationError: It is not an absolute http(s) URL, holds credentials, a query or a
            fragment, or would carry the token in clear text to another machine.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise ConfigurationError(
            "The API base must be an absolute http(s) URL such as https://lime.example.com/api/v1."
        )
    if "@" in parts.netloc or "?" in url or "#" in url:
        # The URL is not repeated in the message: what stands before the @ is a password.
        raise ConfigurationError(
            "The API base must hold no user name, password, query or fragment."
        )
    if parts.scheme == "http" and not (allow_insecure_http or _is_loopback(host)):
        raise ConfigurationError(
            f"The API base is plain http and {host} is another machine: the token would travel in "
            f"clear text. Use https, or set {ALLOW_INSECURE_ENV}=1 on a network that you trust."
        )
    return url.rstrip("/")


def user_agent(product: str, version: str) -> str:
    """Return the `User-Agent` value, for example `lime-agents-sdk/4.0.0 (python 3.11.7; linux)`."""
    return f"{product}/{version} (python {platform.python_version()}; {sys.platform})"


def _is_loopback(host: str) -> bool:
    # RFC 6761, section 6.3: `localhost` and names below it are this machine.
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
