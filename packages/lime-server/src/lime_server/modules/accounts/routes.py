"""The routes of an owner's account: parse, call, shape the answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from lime_server.core.errors import (
    CaptchaFailed,
    Conflict,
    CsrfFailed,
    InvalidCode,
    InvalidCredentials,
    InvalidInput,
    InvalidPasskey,
    NotFound,
    NotSignedIn,
    RateLimited,
    Unavailable,
    WeakPassword,
)
from lime_server.core.pages import DEFAULT_LIMIT, page, parse_cursor
from lime_server.foundation.accounts import Accounts, Half
from lime_server.foundation.captcha import Captcha
from lime_server.foundation.second_factor import SecondFactors
from lime_server.foundation.sessions import Session, Sessions, SignedIn
from lime_server.foundation.slowing import Slowing
from lime_server.modules import credentials, http
from lime_server.modules.accounts import wire
from lime_server.modules.accounts.cookies import DEVICE, HALF, REGISTRATION, RESET, Cookies

USERS = "/foundation/users"
SESSIONS = "/foundation/sessions"
PASSKEY_OPTIONS = f"{USERS}/login/passkey/options"
"""Asked by whoever is not signed in yet, and answered anew each time."""

_OPEN = (CsrfFailed, RateLimited, Unavailable)
"""How a route without a session fails in any case."""

SessionId = Annotated[str, Path(description="The session's public id, a UUID.")]
PasskeyId = Annotated[str, Path(description="The passkey's id, a UUID.")]
CurrentSession = Callable[..., Awaitable[Session]]


@dataclass(frozen=True, slots=True)
class AccountParts:
    """What the routes call."""

    accounts: Accounts
    factors: SecondFactors
    sessions: Sessions
    captcha: Captcha
    slowing: Slowing


@dataclass(frozen=True, slots=True)
class _Desk:
    """The parts, and what the routes make of them."""

    parts: AccountParts
    cookies: Cookies
    current: CurrentSession
    anyone: CurrentSession
    """Suspended owners, too."""
    fresh: CurrentSession

    def welcome(self, signed_in: SignedIn) -> Response:
        """The answer to a sign-in that is complete."""
        response = http.success(wire.LoginState(status="SIGNED_IN", methods=[]))
        device = self.parts.slowing.new_device(signed_in.session.owner.email)
        return self.cookies.signed_in(response, signed_in, device)


def router(parts: AccountParts) -> APIRouter:
    """The routes, relative to the API base."""
    sessions = parts.sessions
    desk = _Desk(
        parts=parts,
        cookies=Cookies(sessions.rules),
        current=credentials.session_of(sessions),
        anyone=credentials.session_of(sessions, suspended_too=True),
        fresh=credentials.fresh_session_of(sessions),
    )

    def own_page(request: Request) -> None:
        # Also where nobody is signed in yet: another site must not sign its victim in to an
        # account of its own, nor send mails from its visitors' addresses.
        credentials.same_origin(request, sessions)

    api = APIRouter()
    doors = APIRouter(tags=["Owners: sign-in"], dependencies=[Depends(own_page)])
    _registration_routes(doors, desk)
    _sign_in_routes(doors, desk)
    _reset_routes(doors, desk)
    api.include_router(doors)
    inside = APIRouter(tags=["Owners: account"])
    _account_routes(inside, desk)
    _session_routes(inside, desk)
    _totp_routes(inside, desk)
    _passkey_routes(inside, desk)
    api.include_router(inside)
    return api


def _registration_routes(api: APIRouter, desk: _Desk) -> None:
    accounts, captcha = desk.parts.accounts, desk.parts.captcha

    @api.get(
        "/foundation/portal-config",
        summary="See how this server lets owners in",
        response_model=http.Envelope[wire.PortalConfig],
        responses=http.succeeds_with(200, "What the pages need.") | http.fails_with(*_OPEN),
    )
    async def portal_config() -> Response:
        """Public: what a registration costs here, and whether anybody can sign in yet."""
        first_owner = await accounts.first_owner_missing()
        return http.success(wire.PortalConfig.of(captcha, first_owner=first_owner))

    @api.get(
        f"{USERS}/captcha",
        summary="Get a puzzle to register with",
        response_model=http.Envelope[wire.Puzzle],
        responses=http.succeeds_with(200, "What to solve.") | http.fails_with(NotFound, *_OPEN),
    )
    async def puzzle() -> Response:
        """A proof of work, where `captcha.kind` is `pow`: 404 elsewhere."""
        return http.success(wire.Puzzle.of(captcha.puzzle()))

    @api.post(
        f"{USERS}/register",
        summary="Register",
        status_code=201,
        response_model=http.Envelope[wire.Sent],
        responses=http.succeeds_with(201, "A mail is on its way.")
        | http.fails_with(InvalidInput, WeakPassword, CaptchaFailed, *_OPEN),
    )
    async def register(body: wire.RegisterBody) -> Response:
        """Send a code to the address. The answer is the same whether or not it is known."""
        token = await accounts.register(body.email, body.password, body.proof())
        return desk.cookies.registration(http.success(wire.Sent(), status=201), token.text)

    @api.post(
        f"{USERS}/register/verify",
        summary="Prove the address",
        response_model=http.Envelope[wire.Verified],
        responses=http.succeeds_with(200, "There is an owner now, who can sign in.")
        | http.fails_with(InvalidInput, InvalidCode, *_OPEN),
    )
    async def verify(request: Request, body: wire.VerifyBody) -> Response:
        """With the code from the mail, in the browser that registered."""
        ticket = desk.cookies.read(request, REGISTRATION)
        owner = await accounts.verify(ticket, body.email, body.code)
        return http.success(wire.Verified(user_id=owner.owner_id))

    @api.post(
        f"{USERS}/first",
        summary="Become the first owner",
        response_model=http.Envelope[wire.LoginState],
        responses=http.succeeds_with(200, "Signed in, as an operator.")
        | http.fails_with(InvalidInput, WeakPassword, InvalidCode, Conflict, *_OPEN),
    )
    async def first(body: wire.FirstBody) -> Response:
        """With the one-time link that `lime-server dev` prints on a fresh server."""
        return desk.welcome(await accounts.first(body.token, body.email, body.password))


def _sign_in_routes(api: APIRouter, desk: _Desk) -> None:
    accounts = desk.parts.accounts

    @api.post(
        f"{USERS}/login",
        summary="Sign in",
        response_model=http.Envelope[wire.LoginState],
        responses=http.succeeds_with(200, "Signed in, or asked for a second factor.")
        | http.fails_with(InvalidInput, InvalidCredentials, *_OPEN),
    )
    async def login(request: Request, body: wire.LoginBody) -> Response:
        """With address and password. Sets the session cookie and `lime_csrf`."""
        device = desk.cookies.read(request, DEVICE)
        begun = await accounts.sign_in(body.email, body.password, unverified_device=device)
        if isinstance(begun, Half):
            state = wire.LoginState(status="SECOND_FACTOR_REQUIRED", methods=begun.methods)
            return desk.cookies.half(http.success(state), begun)
        return desk.welcome(begun)

    @api.post(
        f"{USERS}/login/second-factor",
        summary="Complete the sign-in with a code",
        response_model=http.Envelope[wire.LoginState],
        responses=http.succeeds_with(200, "Signed in.")
        | http.fails_with(InvalidInput, InvalidCode, NotSignedIn, *_OPEN),
    )
    async def second_factor(request: Request, body: wire.SecondFactorBody) -> Response:
        """With a code of the authenticator or of the recovery list. Five tries, five minutes."""
        half = desk.cookies.read(request, HALF)
        signed_in = await accounts.complete(
            half,
            code=body.code,
            recovery_code=body.recovery_code,
            unverified_device=desk.cookies.read(request, DEVICE),
        )
        return desk.welcome(signed_in)

    @api.post(
        PASSKEY_OPTIONS,
        summary="Begin a sign-in with a passkey",
        response_model=http.Envelope[wire.PasskeyOptions],
        responses=http.succeeds_with(200, "What the browser asks for.") | http.fails_with(*_OPEN),
    )
    async def passkey_options() -> Response:
        """For any passkey of this server: the browser knows whose it is."""
        options = desk.parts.factors.sign_in_options()
        return http.success(wire.PasskeyOptions(options=dict(options)))

    @api.post(
        f"{USERS}/login/passkey",
        summary="Sign in with a passkey",
        response_model=http.Envelope[wire.LoginState],
        responses=http.succeeds_with(200, "Signed in.")
        | http.fails_with(InvalidInput, InvalidPasskey, *_OPEN),
    )
    async def passkey(body: wire.PasskeyBody) -> Response:
        """It is two factors in one, so no password is asked for."""
        return desk.welcome(await accounts.sign_in_with_passkey(body.credential))


def _reset_routes(api: APIRouter, desk: _Desk) -> None:
    accounts = desk.parts.accounts

    @api.post(
        f"{USERS}/password/reset",
        summary="Ask for another password",
        status_code=202,
        response_model=http.Envelope[wire.ResetSent],
        responses=http.succeeds_with(202, "If there is such an owner, a mail is on its way.")
        | http.fails_with(InvalidInput, CaptchaFailed, *_OPEN),
    )
    async def ask_reset(request: Request, body: wire.ResetBody) -> Response:
        """Send a code to the address. The answer is the same whether or not it is known."""
        device = desk.cookies.read(request, DEVICE)
        token = await accounts.ask_reset(body.email, body.proof(), unverified_device=device)
        return desk.cookies.reset(http.success(wire.ResetSent(), status=202), token.text)

    @api.post(
        f"{USERS}/password/reset/confirm",
        summary="Set another password",
        response_model=http.Envelope[wire.Done],
        responses=http.succeeds_with(200, "All sessions have ended; sign in anew.")
        | http.fails_with(InvalidInput, InvalidCode, WeakPassword, *_OPEN),
    )
    async def reset(request: Request, body: wire.ConfirmResetBody) -> Response:
        """With the code from the mail, in the browser that asked. A second factor stays."""
        ticket = desk.cookies.read(request, RESET)
        await accounts.reset(ticket, body.email, body.code, body.new_password)
        return http.success(wire.Done())


def _account_routes(api: APIRouter, desk: _Desk) -> None:
    accounts, factors = desk.parts.accounts, desk.parts.factors

    @api.get(
        f"{USERS}/me",
        summary="See who is signed in",
        response_model=http.Envelope[wire.Me],
        responses=http.succeeds_with(200, "The owner.")
        | http.fails_with(NotSignedIn, RateLimited, Unavailable),
    )
    async def me(session: Annotated[Session, Depends(desk.anyone)]) -> Response:
        """The owner of this session, also while suspended."""
        return http.success(wire.Me.of(session, await factors.of(session.owner.owner_id)))

    @api.post(
        f"{USERS}/logout",
        summary="Sign out",
        response_model=http.Envelope[wire.Done],
        responses=http.succeeds_with(200, "The session has ended.")
        | http.fails_with(NotSignedIn, *_OPEN),
    )
    async def logout(session: Annotated[Session, Depends(desk.anyone)]) -> Response:
        """End this session, also while suspended."""
        await accounts.sign_out(session)
        return desk.cookies.signed_out(http.success(wire.Done()))

    @api.post(
        f"{USERS}/step-up",
        summary="Prove who you are again",
        response_model=http.Envelope[wire.Done],
        responses=http.succeeds_with(200, "For ten minutes, what needs it is open.")
        | http.fails_with(
            InvalidInput,
            InvalidCredentials,
            InvalidCode,
            InvalidPasskey,
            *credentials.SESSION_FAILURES,
        ),
    )
    async def step_up(
        request: Request,
        session: Annotated[Session, Depends(desk.current)],
        body: wire.StepUpBody,
    ) -> Response:
        """With the password, a code of the authenticator or a passkey.

        The session gets a new secret.
        """
        renewed = await accounts.step_up(
            session,
            password=body.password,
            code=body.code,
            unverified_passkey=body.credential,
            unverified_device=desk.cookies.read(request, DEVICE),
        )
        return desk.cookies.renewed(http.success(wire.Done()), renewed)

    @api.post(
        f"{USERS}/step-up/passkey/options",
        summary="Begin to prove who you are with a passkey",
        response_model=http.Envelope[wire.PasskeyOptions],
        responses=http.succeeds_with(200, "What the browser asks for.")
        | http.fails_with(Conflict, *credentials.SESSION_FAILURES),
    )
    async def step_up_options(session: Annotated[Session, Depends(desk.current)]) -> Response:
        """For the owner's own passkeys, and for this session: 409 if there are none."""
        options = await factors.step_up_options(session.owner, session.session_id)
        return http.success(wire.PasskeyOptions(options=dict(options)))

    @api.post(
        f"{USERS}/password",
        summary="Change the password",
        response_model=http.Envelope[wire.Done],
        responses=http.succeeds_with(200, "All other sessions have ended.")
        | http.fails_with(
            InvalidInput, WeakPassword, InvalidCredentials, *credentials.SESSION_FAILURES
        ),
    )
    async def change_password(
        request: Request,
        session: Annotated[Session, Depends(desk.current)],
        body: wire.PasswordBody,
    ) -> Response:
        """With the current one. The session gets a new secret, and all others end."""
        renewed = await accounts.change_password(
            session,
            body.current_password,
            body.new_password,
            unverified_device=desk.cookies.read(request, DEVICE),
        )
        return desk.cookies.renewed(http.success(wire.Done()), renewed)


def _session_routes(api: APIRouter, desk: _Desk) -> None:
    accounts, sessions = desk.parts.accounts, desk.parts.sessions

    @api.get(
        SESSIONS,
        summary="List sessions",
        response_model=http.Envelope[http.ListOf[wire.OwnSession]],
        responses=http.succeeds_with(200, "Where the owner is signed in, the newest first.")
        | http.fails_with(InvalidInput, *credentials.SESSION_FAILURES),
    )
    async def of_owner(
        session: Annotated[Session, Depends(desk.current)],
        cursor: http.Cursor = None,
        limit: http.PageLimit = DEFAULT_LIMIT,
    ) -> Response:
        """The owner's own, and nobody else's."""
        after = parse_cursor(cursor)
        rows = [
            one
            for one in await sessions.of_owner(session.owner.owner_id)
            if after is None or one.session_id < after
        ]
        found = page(rows, limit, lambda one: one.session_id)
        items = [wire.OwnSession.of(one, session) for one in found.items]
        return http.success(
            http.ListOf[wire.OwnSession](items=items, next_cursor=found.next_cursor)
        )

    @api.delete(
        f"{SESSIONS}/{{session_id}}",
        summary="End a session",
        response_model=http.Envelope[wire.Done],
        responses=http.succeeds_with(200, "It has ended.")
        | http.fails_with(NotFound, *credentials.SESSION_FAILURES),
    )
    async def end(
        session: Annotated[Session, Depends(desk.current)], session_id: SessionId
    ) -> Response:
        """Effective with the next request made in it."""
        await accounts.end_session(session, session_id)
        return http.success(wire.Done())

    @api.post(
        f"{SESSIONS}/end-others",
        summary="End all other sessions",
        response_model=http.Envelope[wire.Ended],
        responses=http.succeeds_with(200, "Only this one is left.")
        | http.fails_with(*credentials.SESSION_FAILURES),
    )
    async def end_others(session: Annotated[Session, Depends(desk.current)]) -> Response:
        """All but the one that asks."""
        return http.success(wire.Ended(ended=await accounts.end_others(session)))


def _totp_routes(api: APIRouter, desk: _Desk) -> None:
    factors = desk.parts.factors

    @api.post(
        f"{USERS}/totp",
        summary="Begin to add an authenticator",
        response_model=http.Envelope[wire.TotpSecret],
        responses=http.succeeds_with(200, "It counts once it has shown a code.")
        | http.fails_with(Conflict, *credentials.FRESH_SESSION_FAILURES),
    )
    async def start(session: Annotated[Session, Depends(desk.fresh)]) -> Response:
        """A new secret, shown once."""
        secret, uri = await factors.start_totp(session.owner)
        return http.success(wire.TotpSecret(secret=secret, otpauth_uri=uri))

    @api.post(
        f"{USERS}/totp/confirm",
        summary="Add an authenticator",
        response_model=http.Envelope[wire.RecoveryCodes],
        responses=http.succeeds_with(200, "Sign-ins need it from now on.")
        | http.fails_with(InvalidInput, InvalidCode, *credentials.FRESH_SESSION_FAILURES),
    )
    async def confirm(
        request: Request, session: Annotated[Session, Depends(desk.fresh)], body: wire.CodeBody
    ) -> Response:
        """With its first code. Answers with ten recovery codes, shown once."""
        device = desk.cookies.read(request, DEVICE)
        await desk.parts.slowing.factor(session.owner.email, unverified_device=device)
        codes = await factors.confirm_totp(session.owner, body.code)
        return http.success(wire.RecoveryCodes(recovery_codes=codes))

    @api.delete(
        f"{USERS}/totp",
        summary="Remove the authenticator",
        response_model=http.Envelope[wire.Done],
        responses=http.succeeds_with(200, "It is forgotten.")
        | http.fails_with(NotFound, *credentials.FRESH_SESSION_FAILURES),
    )
    async def remove(session: Annotated[Session, Depends(desk.fresh)]) -> Response:
        """Without any second factor left, recovery codes go as well."""
        await factors.remove_totp(session.owner)
        return http.success(wire.Done())

    @api.post(
        f"{USERS}/recovery-codes",
        summary="Get new recovery codes",
        response_model=http.Envelope[wire.RecoveryCodes],
        responses=http.succeeds_with(200, "The old ones are void.")
        | http.fails_with(Conflict, *credentials.FRESH_SESSION_FAILURES),
    )
    async def recovery_codes(session: Annotated[Session, Depends(desk.fresh)]) -> Response:
        """Ten codes, shown once, each for one sign-in."""
        codes = await factors.new_recovery_codes(session.owner)
        return http.success(wire.RecoveryCodes(recovery_codes=codes))


def _passkey_routes(api: APIRouter, desk: _Desk) -> None:
    factors = desk.parts.factors

    @api.post(
        f"{USERS}/passkeys/options",
        summary="Begin to add a passkey",
        response_model=http.Envelope[wire.PasskeyOptions],
        responses=http.succeeds_with(200, "What the browser makes one from.")
        | http.fails_with(*credentials.FRESH_SESSION_FAILURES),
    )
    async def options(session: Annotated[Session, Depends(desk.fresh)]) -> Response:
        """For `navigator.credentials.create`."""
        made = await factors.passkey_options(session.owner)
        return http.success(wire.PasskeyOptions(options=dict(made)))

    @api.post(
        f"{USERS}/passkeys",
        summary="Add a passkey",
        status_code=201,
        response_model=http.Envelope[wire.AddedPasskey],
        responses=http.succeeds_with(201, "The owner can sign in with it.")
        | http.fails_with(
            InvalidInput, InvalidPasskey, Conflict, *credentials.FRESH_SESSION_FAILURES
        ),
    )
    async def add(
        session: Annotated[Session, Depends(desk.fresh)], body: wire.NewPasskeyBody
    ) -> Response:
        """What the browser made."""
        passkey, codes = await factors.add_passkey(session.owner, body.name, body.credential)
        return http.success(wire.AddedPasskey.with_codes(passkey, codes), status=201)

    @api.delete(
        f"{USERS}/passkeys/{{passkey_id}}",
        summary="Remove a passkey",
        response_model=http.Envelope[wire.Done],
        responses=http.succeeds_with(200, "It is forgotten.")
        | http.fails_with(NotFound, *credentials.FRESH_SESSION_FAILURES),
    )
    async def remove(
        session: Annotated[Session, Depends(desk.fresh)], passkey_id: PasskeyId
    ) -> Response:
        """It opens nothing any more."""
        await factors.remove_passkey(session.owner, passkey_id)
        return http.success(wire.Done())
