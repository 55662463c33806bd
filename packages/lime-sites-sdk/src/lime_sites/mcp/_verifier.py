"""`LimeTokenVerifier` and its blocking twin."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from dataclasses import dataclass
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from lime_sdk_core import (
    AsyncDriver,
    Config,
    ConfigurationError,
    Credential,
    Flow,
    Secret,
    SyncDriver,
    check_base_url,
    user_agent,
)
from lime_sites._jwks import KeyCache
from lime_sites._passports import Host, Verifier
from lime_sites._setup import KEYS_PATIENCE, __version__, cache_ttl
from lime_sites._tasks import end, keep
from lime_sites.errors import InvalidPassportError, LimeError
from lime_sites.mcp._access import AgentAccess, verify_access
from lime_sites.mcp._metadata import metadata_url, protected_resource_metadata
from lime_sites.mcp._pin import Pin

if TYPE_CHECKING:
    from mcp.server.auth.provider import AccessToken
    from mcp.server.auth.settings import AuthSettings

logger = logging.getLogger("lime_sites")

D = TypeVar("D", AsyncDriver, SyncDriver)

DEFAULT_SCOPES: Final[tuple[str, ...]] = ("mcp",)
"""What a token needs unless told otherwise: the scope that a LIME has unless told otherwise."""

BASE_URL_ENV: Final = "LIME_API_BASE"
ALLOW_INSECURE_ENV: Final = "LIME_ALLOW_INSECURE_HTTP"

_OAUTH = "/modules/oauth"
_API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Shared(Generic[D]):
    """What a site's client lends to a verifier: its connections and its keys."""

    driver: D
    cache: KeyCache
    host: Host
    wall_clock: Callable[[], float]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the keys are, and what the tokens say that it is."""

    base_url: str
    issuer: str

    @classmethod
    def of(cls, base_url: str | None, issuer: str | None, *, insecure: bool) -> Self:
        found = (base_url or os.environ.get(BASE_URL_ENV, "")).strip()
        if not found and issuer and issuer.endswith(_API + _OAUTH):
            found = issuer.removesuffix(_OAUTH)
        if not found:
            raise ConfigurationError(
                f"There is no API base: pass base_url= or set {BASE_URL_ENV}, for example "
                "https://lime.example.com/api/v1."
            )
        checked = check_base_url(found, allow_insecure_http=insecure)
        return cls(checked, issuer or oauth_issuer(checked))

    def config(self) -> Config:
        return Config(
            base_url=self.base_url,
            # Keys are public. No request of a verifier carries this, and it opens nothing.
            credential=Credential("x-site-token", Secret("a-verifier-has-no-token")),
            user_agent=user_agent("lime-sites-sdk", __version__),
        )


def oauth_issuer(base_url: str) -> str:
    """Return the `iss` of access tokens of the LIME at this API base: protocol section 8.

    Raises:
        ConfigurationError: it does not end in `/api/v1`.
    """
    if not base_url.endswith(_API):
        raise ConfigurationError(
            f"the API base does not end in {_API}: correct it, or pass issuer= with the issuer "
            "that LIME's OAuth metadata names"
        )
    return base_url + _OAUTH


class _Verifying:
    """What both verifiers know."""

    _verifier: Verifier
    _pin: Pin

    def __init__(self, required_scopes: Sequence[str] | None) -> None:
        self.required_scopes = DEFAULT_SCOPES if required_scopes is None else tuple(required_scopes)
        """What a token needs here; the verifier itself tells and does not insist."""

    @property
    def issuer(self) -> str:
        """Whose tokens are accepted: LIME's OAuth issuer."""
        return self._verifier.issuer

    @property
    def resource(self) -> str:
        """The URL of this server, as it is advertised.

        Raises:
            ConfigurationError: the verifier was given a domain alone.
        """
        if self._pin.resource is None:
            raise ConfigurationError("pass resource= with the URL of this server")
        return self._pin.resource

    @property
    def domain(self) -> str:
        """The host of this server."""
        return self._pin.host

    @property
    def resource_metadata_url(self) -> str | None:
        """Where the metadata of this server is (RFC 9728); None without a resource."""
        return None if self._pin.resource is None else metadata_url(self._pin.resource)

    def protected_resource_metadata(
        self, *, name: str | None = None, documentation: str | None = None
    ) -> dict[str, object]:
        """Return the metadata of this server, to be served at `resource_metadata_url`."""
        return protected_resource_metadata(
            self.resource,
            self.issuer,
            scopes=self.required_scopes,
            name=name,
            documentation=documentation,
        )

    def auth_settings(self, **options: Any) -> "AuthSettings":
        """Return `auth=` for a server of the official SDK, beside `token_verifier=self`.

        Args:
            options: further fields of `AuthSettings`, or other values for those that are set here.

        Raises:
            ConfigurationError: the verifier was given a domain alone.
        """
        from mcp.server.auth.settings import AuthSettings  # noqa: PLC0415 - only servers have it

        return AuthSettings.model_validate(
            {
                "issuer_url": self.issuer,
                "resource_server_url": self.resource,
                "required_scopes": list(self.required_scopes),
                # Version 2 compares once more; version 1 does not know the field.
                "validate_token_resource": True,
                **options,
            }
        )

    def _as_access_token(self, token: str, access: AgentAccess) -> "AccessToken":
        # Late, because it is dear to import, and plain servers do without.
        from mcp.server.auth.provider import AccessToken  # noqa: PLC0415 - the reason is above

        return AccessToken.model_validate(
            {
                "token": token,
                "client_id": access.client_id,
                "scopes": list(access.scopes),
                "expires_at": int(access.expires_at.timestamp()),
                # A token in the short form was accepted for this server by its host.
                "resource": access.resource or self._pin.resource,
                # Older versions know neither of these, and ignore them.
                "subject": access.agent_id,
                "claims": access.claims,
            }
        )


class LimeTokenVerifier(_Verifying):
    """Verifies the access tokens that agents bring to one MCP server.

    It is a `TokenVerifier` of the official SDK (`mcp` 1.12 to 2.x), and serves plain servers as
    well. Once the keys are known it makes no network request.

    Args:
        resource: the URL of this server, as its clients write it. Only tokens that were requested
            for it are accepted.
        domain: the host name of this server. Alone, tokens for any server at this host are
            accepted; beside `resource`, also tokens in the short form, which name no resource.
        base_url: LIME's API base including `/api/v1`; `LIME_API_BASE` if not given.
        issuer: LIME's OAuth issuer, if it is not the API base with `/modules/oauth` behind it.
            Given alone, the API base follows from it.
        required_scopes: what a token needs; `mcp` if not given. The official SDK and
            `RequireToken` insist on them.
        jwks_cache_ttl: seconds for which signing keys count as fresh;
            `LIME_JWKS_CACHE_TTL_SECONDS`, or 300, if not given.
        http_client: an `httpx.AsyncClient` for proxies, certificates or tests; yours to close.
        allow_insecure_http: fetch keys over plain http from another machine.
        shared: what `LimeSite.mcp_verifier` lends; overrides the five arguments before it.
        clock: monotonic seconds, for tests.
        wall_clock: Unix seconds, for tests.

    Raises:
        UnpinnedVerifierError: there is neither resource nor domain (also a ValueError).
        ConfigurationError: something else is missing or impossible.
    """

    def __init__(
        self,
        *,
        resource: str | None = None,
        domain: str | None = None,
        base_url: str | None = None,
        issuer: str | None = None,
        required_scopes: Sequence[str] | None = None,
        jwks_cache_ttl: float | None = None,
        http_client: object | None = None,
        allow_insecure_http: bool = False,
        shared: Shared[AsyncDriver] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(required_scopes)
        self._pin = Pin.parse(resource, domain)
        self._fetches: set[asyncio.Task[None]] = set()
        self._is_owner = shared is None
        if shared is None:
            place = _Place.of(base_url, issuer, insecure=_is_insecure(allow_insecure_http))
            driver = AsyncDriver(place.config(), http_client, clock=clock)
            cache = _cache(jwks_cache_ttl, clock)
            shared, issuer = Shared(driver, cache, self, wall_clock), place.issuer
        self._driver = shared.driver
        issuer = issuer or oauth_issuer(shared.driver.config.base_url)
        self._verifier = Verifier(issuer, shared.cache, shared.host, shared.wall_clock)

    async def verify(self, unverified_token: str) -> AgentAccess:
        """Return what the token proves, or raise. Does not look at scopes.

        Raises:
            InvalidPassportError: it proves nothing; the log says why.
            KeysUnavailableError: the signing keys cannot be had, so nothing is known about it.
            ClosedError: the verifier was closed.
        """
        return await self._driver.run(verify_access(self._verifier, self._pin, unverified_token))

    async def verify_token(self, token: str) -> "AccessToken | None":
        """Return the token as the official SDK knows it, or None unless it is proven.

        `subject` is the agent, `claims` are all that LIME signed. Never raises a `LimeError`: what
        cannot be verified is refused.
        """
        try:
            return self._as_access_token(token, await self.verify(token))
        except InvalidPassportError:
            # The log has the reason.
            return None
        except LimeError as error:
            logger.warning("a token was refused unseen: %s", error)
            return None

    async def aclose(self) -> None:
        """Close the connections, if they are the verifier's own. Safe to call more than once."""
        await end(self._fetches, grace=0)
        if self._is_owner:
            await self._driver.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    # What the verifier needs of its host.

    def background(self, flow: Flow[None]) -> None:
        """Run `flow` in a task of its own, which no caller's cancellation ends."""
        keep(self._fetches, self._driver.run(flow))

    async def await_landing(self, landed: Future[None]) -> None:
        """Wait for somebody's fetch of the keys."""
        await asyncio.wait([asyncio.wrap_future(landed)], timeout=KEYS_PATIENCE)


class LimeTokenVerifierSync(_Verifying):
    """`LimeTokenVerifier` for servers without asyncio; threads may share it.

    Arguments and errors are the same, with an `httpx.Client`.
    """

    def __init__(
        self,
        *,
        resource: str | None = None,
        domain: str | None = None,
        base_url: str | None = None,
        issuer: str | None = None,
        required_scopes: Sequence[str] | None = None,
        jwks_cache_ttl: float | None = None,
        http_client: object | None = None,
        allow_insecure_http: bool = False,
        shared: Shared[SyncDriver] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(required_scopes)
        self._pin = Pin.parse(resource, domain)
        self._is_owner = shared is None
        if shared is None:
            place = _Place.of(base_url, issuer, insecure=_is_insecure(allow_insecure_http))
            driver = SyncDriver(place.config(), http_client, clock=clock)
            cache = _cache(jwks_cache_ttl, clock)
            shared, issuer = Shared(driver, cache, self, wall_clock), place.issuer
        self._driver = shared.driver
        issuer = issuer or oauth_issuer(shared.driver.config.base_url)
        self._verifier = Verifier(issuer, shared.cache, shared.host, shared.wall_clock)

    def verify(self, unverified_token: str) -> AgentAccess:
        """Return what the token proves, or raise, as `LimeTokenVerifier.verify` does."""
        return self._driver.run(verify_access(self._verifier, self._pin, unverified_token))

    def verify_token(self, token: str) -> "AccessToken | None":
        """Return the token as the official SDK knows it, or None unless it is proven."""
        try:
            return self._as_access_token(token, self.verify(token))
        except InvalidPassportError:
            return None
        except LimeError as error:
            logger.warning("a token was refused unseen: %s", error)
            return None

    def close(self) -> None:
        """Close the connections, if they are the verifier's own. Safe to call more than once."""
        if self._is_owner:
            self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # What the verifier needs of its host.

    def background(self, flow: Flow[None]) -> None:
        """Run `flow` in a thread of its own: who has usable keys does not wait for newer ones."""
        work = Thread(target=self._driver.run, args=(flow,), name="lime-mcp-keys", daemon=True)
        work.start()

    def await_landing(self, landed: Future[None]) -> None:
        """Wait for somebody's fetch of the keys."""
        wait_for_futures([landed], timeout=KEYS_PATIENCE)


def _is_insecure(allow_insecure_http: bool) -> bool:
    return allow_insecure_http or os.environ.get(ALLOW_INSECURE_ENV, "") == "1"


def _cache(ttl: float | None, clock: Callable[[], float]) -> KeyCache:
    if ttl is not None and not ttl > 0:
        raise ConfigurationError("jwks_cache_ttl is a number of seconds above 0")
    return KeyCache(ttl=cache_ttl(os.environ) if ttl is None else ttl, clock=clock)
