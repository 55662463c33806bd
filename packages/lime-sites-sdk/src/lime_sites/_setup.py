"""What both clients are made of, from arguments and the environment."""

import math
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Final

from lime_sdk_core import Config, ConfigurationError
from lime_sites._jwks import DEFAULT_TTL, KeyCache
from lime_sites._passports import Host, Verifier

__version__: Final = "4.0.0"

TTL_ENV: Final = "LIME_JWKS_CACHE_TTL_SECONDS"

CLOSE_GRACE: Final = 5.0
"""Seconds that running handlers get to end when a client is closed."""

KEYS_PATIENCE: Final = 10.0
"""Seconds to wait for a fetch of the keys that somebody else makes: twice what it may take."""

_API = "/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The arguments that `LimeSite` and `LimeSiteSync` share; described there."""

    site_token: str | None
    base_url: str | None
    issuer: str | None
    site_id: str | None
    timeout: float
    max_retries: int
    sse_backoff_base: float
    jwks_cache_ttl: float | None
    handler_concurrency: int
    allow_insecure_http: bool

    def config(self) -> Config:
        """Return where LIME is and how to talk to it.

        Raises:
            AuthenticationError: there is no site token.
            ConfigurationError: something else is missing or impossible.
        """
        if self.handler_concurrency < 1:
            raise ConfigurationError("handler_concurrency is 1 or more")
        if not self.sse_backoff_base > 0:
            raise ConfigurationError("sse_backoff_base is a number of seconds above 0")
        if self.jwks_cache_ttl is not None and not self.jwks_cache_ttl > 0:
            raise ConfigurationError("jwks_cache_ttl is a number of seconds above 0")
        # Now, like the HTTP client: the first answer would hold up the event loop for it.
        import_module("lime_sites._wire")
        return Config.resolve(
            product="lime-sites-sdk",
            version=__version__,
            header="x-site-token",
            credential_env="LIME_SITE_TOKEN",
            credential_argument="site_token",
            token=self.site_token,
            base_url=self.base_url,
            timeout=self.timeout,
            max_retries=self.max_retries,
            allow_insecure_http=self.allow_insecure_http,
        )

    def verifier(
        self,
        config: Config,
        host: Host,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> Verifier:
        """Return what verifies this site's passports."""
        ttl = cache_ttl(os.environ) if self.jwks_cache_ttl is None else self.jwks_cache_ttl
        return Verifier(
            issuer=self.issuer or issuer_of(config.base_url),
            cache=KeyCache(ttl=ttl, clock=clock),
            host=host,
            wall_clock=wall_clock,
            site_id=self.site_id,
        )


def issuer_of(base_url: str) -> str:
    """Return the `iss` of the LIME at this API base: its public URL (protocol section 1).

    Raises:
        ConfigurationError: it is not a public URL with `/api/v1` behind it.
    """
    if not base_url.endswith(_API):
        raise ConfigurationError(
            f"the API base does not end in {_API}: correct it, or pass issuer= with the public URL"
        )
    return base_url.removesuffix(_API)


def cache_ttl(environ: Mapping[str, str]) -> float:
    """Return the life of cached keys in seconds, from the environment or the protocol's 300.

    Raises:
        ConfigurationError: the environment holds no positive number.
    """
    text = environ.get(TTL_ENV, "").strip()
    if not text:
        return DEFAULT_TTL
    try:
        ttl = float(text)
    except ValueError:
        ttl = math.nan
    if not (math.isfinite(ttl) and ttl > 0):
        raise ConfigurationError(f"{TTL_ENV} must be a number of seconds above 0")
    return ttl


def consumer_id() -> str:
    """Return the name by which LIME tells this process from the site's other workers."""
    # By process: a fork must not share the leases of its parent.
    return _consumer_of(os.getpid())


@cache
def _consumer_of(pid: int) -> str:  # noqa: ARG001 - it is the key of the cache
    return uuid.uuid4().hex
