"""From an unverified token to a `Passport` or `BindingPassport`, or to `InvalidPassportError`."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import lime_jwt
from lime_jwt import Expectation, JwkSet
from lime_jwt.errors import InvalidKeyError, InvalidTokenError, UnknownKeyError
from lime_sdk_core import Callback, Flow, LimeError, Request, as_model, call, call_document
from lime_sdk_core._late import Late
from lime_sites._jwks import Flight, KeyCache
from lime_sites._types import BindingPassport, Passport
from lime_sites.errors import ERRORS, InvalidPassportError, KeysUnavailableError

if TYPE_CHECKING:
    import pydantic

    from lime_sites import _wire
else:
    pydantic = Late("pydantic")
    _wire = Late("lime_sites._wire")

logger = logging.getLogger("lime_sites")

M = TypeVar("M", bound="pydantic.BaseModel")

LEEWAY: Final = 30
"""Seconds by which the clocks of issuer and verifier may differ: protocol section 10."""

FETCH_TIMEOUT: Final = 5.0
"""Seconds for one fetch of the keys. Short, because somebody may be waiting at the door."""


class Host(Protocol):
    """What a verification needs of the client it runs in, blocking or not."""

    def background(self, flow: Flow[None]) -> Any:
        """Run `flow` to its end, whatever becomes of the caller; need not wait for it."""

    def await_landing(self, landed: Future[None]) -> Any:
        """Wait until `landed` is done, for a bounded time; how it ended does not matter."""


@dataclass(slots=True)
class Verifier:
    """Verifies passports for one site.

    With keys at hand that are fresh, and a request id or a known site id, it performs no step at
    all but the check itself: no I/O.
    """

    issuer: str
    cache: KeyCache
    host: Host
    wall_clock: Callable[[], float]
    site_id: str | None = None
    """This site's id; asked for once when it is needed and not known."""

    def verify(self, unverified_jwt: str, expected_request_id: str | None) -> Flow[Passport]:
        """Return the proven passport.

        Raises:
            InvalidPassportError: it proves nothing.
            KeysUnavailableError: nothing can be said about it now.
            LimeError: this site's id was needed and could not be learned.
        """
        # 1. Bound to one request, or to this site: there is no third way.
        if expected_request_id is None:
            site_id = yield from self.own_site_id()
            expect = Expectation.login(site_id=site_id, leeway=LEEWAY)
        elif expected_request_id:
            expect = Expectation.login(request_id=expected_request_id, leeway=LEEWAY)
        else:
            raise refused("the request id to expect is empty")
        # 2. Signed by the issuer. 3. Only what was signed is handed on.
        return _passport((yield from self.prove(unverified_jwt, expect)))

    def verify_binding(
        self, unverified_jwt: str, expected_binding_id: str | None
    ) -> Flow[BindingPassport]:
        """Return the proven binding passport. Raises as `verify` does."""
        # 1. Bound to this site in any case, and to one binding if the caller knows which.
        site_id = yield from self.own_site_id()
        if expected_binding_id == "":
            raise refused("the binding id to expect is empty")
        expect = Expectation.binding(site_id=site_id, binding_id=expected_binding_id, leeway=LEEWAY)
        # 2. Signed by the issuer. 3. Only what was signed is handed on.
        return _binding_passport((yield from self.prove(unverified_jwt, expect)))

    def make_ready(self) -> Flow[None]:
        """Learn this site's id and the keys, for a token that is still to be asked for.

        Raises:
            KeysUnavailableError: the keys cannot be had.
            LimeError: this site's id could not be learned.
        """
        yield from self.own_site_id()
        yield from self._keys()

    def prove(self, unverified_jwt: str, expect: Expectation) -> Flow[dict[str, Any]]:
        """Return the claims that the issuer signed, of a token that says what `expect` wants.

        Raises:
            InvalidPassportError: it proves nothing.
            KeysUnavailableError: nothing can be said about it now.
        """
        # 1. With the keys at hand. 2. If they lack the one that is named, with fresh ones, once.
        claims = self._check(unverified_jwt, (yield from self._keys()), expect)
        if claims is None:
            keys = yield from self._keys(unknown_kid=True)
            claims = self._check(unverified_jwt, keys, expect)
        if claims is None:
            raise refused("signed with a key that the issuer does not publish")
        return claims

    def own_site_id(self) -> Flow[str]:
        """Return this site's id, from LIME the first time."""
        if self.site_id is None:
            site = yield from call(
                Request("GET", "/foundation/sites/me"), as_model(_wire.Site), errors=ERRORS
            )
            self.site_id = site.site_id
        return self.site_id

    def _check(
        self, unverified_jwt: str, keys: JwkSet, expect: Expectation
    ) -> dict[str, Any] | None:
        """Return the proven claims, or None if `keys` lacks the key that signed them."""
        now = int(self.wall_clock())
        try:
            return lime_jwt.verify(unverified_jwt, keys=keys, expect=expect, now=now)
        except UnknownKeyError:
            return None
        # The latter for text that has no UTF-8 form, and so is no token either.
        except (InvalidTokenError, UnicodeEncodeError) as error:
            kind = type(error).__name__
            reason = f"{kind}: {error}" if isinstance(error, InvalidTokenError) else kind
        # Raised here, so that the reason does not travel along as `__context__`.
        raise refused(reason)

    def _keys(self, *, unknown_kid: bool = False) -> Flow[JwkSet]:
        plan = self.cache.plan(self.issuer, unknown_kid=unknown_kid)
        keys = plan.keys
        if plan.start is not None:
            yield Callback(self.host.background, (self._fetch(plan.start),))
        if plan.wait is not None:
            yield Callback(self.host.await_landing, (plan.wait.landed,))
            keys = self.cache.keys(self.issuer)
        if keys is None:
            raise KeysUnavailableError("the issuer's signing keys cannot be had just now")
        return keys

    def _fetch(self, flight: Flight) -> Flow[None]:
        keys = None
        # Not authenticated: the token has no business there. Not repeated: one try per interval.
        request = Request(
            "GET",
            "/core/.well-known/jwks.json",
            authenticated=False,
            idempotent=False,
            timeout=FETCH_TIMEOUT,
        )
        try:
            reply = yield from call_document(request, errors=ERRORS)
            keys = JwkSet.parse(reply.body, issuer=flight.issuer)
        except (LimeError, InvalidKeyError) as error:
            logger.warning("no new keys from %s: %s", flight.issuer, error)
        finally:
            # Also when the flow is abandoned: others wait for this.
            self.cache.land(flight, keys)


def _passport(claims: dict[str, Any]) -> Passport:
    known = read_claims(_wire.LoginClaims, claims)
    return Passport(
        agent_id=known.sub,
        request_id=known.request_id,
        user_id=known.user_id,
        site_id=known.site_id,
        kyc_level=known.kyc_level,
        expires_at=datetime.fromtimestamp(known.exp, tz=UTC),
        jti=known.jti,
        claims=_with_agent_id(claims),
    )


def _binding_passport(claims: dict[str, Any]) -> BindingPassport:
    known = read_claims(_wire.BindingClaims, claims)
    return BindingPassport(
        agent_id=known.sub,
        binding_id=known.binding_id,
        user_id=known.user_id,
        site_id=known.site_id,
        expires_at=datetime.fromtimestamp(known.exp, tz=UTC),
        jti=known.jti,
        claims=_with_agent_id(claims),
    )


def _with_agent_id(claims: dict[str, Any]) -> dict[str, Any]:
    # Set, not only added: a claim of that name must not speak for another agent than `sub`.
    return {**claims, "agent_id": claims["sub"]}


def read_claims(model: type[M], claims: dict[str, Any]) -> M:
    """Return proven claims under their names. Raises InvalidPassportError."""
    try:
        return model.model_validate(claims)
    except pydantic.ValidationError as error:
        wrong = ", ".join(str(detail["loc"]) for detail in error.errors(include_input=False))
    # Raised here, so that the claims do not travel along as `__context__`.
    raise refused(f"claims of another shape: {wrong}")


def refused(reason: str) -> InvalidPassportError:
    """Write `reason` to the log and return the error that does not tell it."""
    logger.warning("passport refused: %s", reason)
    return InvalidPassportError("the passport is not valid", code="INVALID_PASSPORT")
