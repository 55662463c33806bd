"""The cookies of an owner's browser, and what each of them may be read by."""

from datetime import timedelta
from typing import Literal

from fastapi import Request, Response

from lime_server.foundation.accounts import CODE_LIFE, HALF_LIFE, Half
from lime_server.foundation.sessions import SessionRules, SignedIn
from lime_server.modules.credentials import CSRF_COOKIE

REGISTRATION = "lime_registration"
RESET = "lime_reset"
HALF = "lime_half"
DEVICE = "lime_device"
DEVICE_LIFE = timedelta(days=365)
"""How long a browser is remembered as one of the owner's; renewed at each sign-in."""


class Cookies:
    """Sets and reads them. Everything but the CSRF token is out of the reach of scripts."""

    def __init__(self, rules: SessionRules) -> None:
        """`rules` say how cookies are named, and whether they need TLS."""
        self._rules = rules

    def signed_in(self, response: Response, signed_in: SignedIn, device: str) -> Response:
        """The session, its CSRF token, and that this browser is the owner's."""
        life = self._rules.absolute
        self._set(response, self._rules.cookie, signed_in.token.text, life)
        self._set(response, CSRF_COOKIE, signed_in.csrf, life, readable=True)
        self._set(response, self._rules.named(DEVICE), device, DEVICE_LIFE)
        self._drop(response, HALF)
        return response

    def renewed(self, response: Response, signed_in: SignedIn) -> Response:
        """The same session under its new secret."""
        life = self._rules.absolute
        self._set(response, self._rules.cookie, signed_in.token.text, life)
        self._set(response, CSRF_COOKIE, signed_in.csrf, life, readable=True)
        return response

    def half(self, response: Response, half: Half) -> Response:
        """The sign-in that waits for its second factor."""
        self._set(response, self._rules.named(HALF), half.token.text, HALF_LIFE, same_site="strict")
        return response

    def registration(self, response: Response, text: str) -> Response:
        """The registration that waits for its code."""
        name = self._rules.named(REGISTRATION)
        self._set(response, name, text, CODE_LIFE, same_site="strict")
        return response

    def reset(self, response: Response, text: str) -> Response:
        """The lost password that waits for its code."""
        self._set(response, self._rules.named(RESET), text, CODE_LIFE, same_site="strict")
        return response

    def signed_out(self, response: Response) -> Response:
        """None of them, except that the browser is known."""
        self._drop(response, "lime_session")
        self._expire(response, CSRF_COOKIE)
        return response

    def read(self, request: Request, name: str) -> str | None:
        """What the browser sent, unverified."""
        return request.cookies.get(self._rules.named(name))

    def _drop(self, response: Response, name: str) -> None:
        self._expire(response, self._rules.named(name))

    def _expire(self, response: Response, full_name: str) -> None:
        self._set(response, full_name, "", timedelta())

    def _set(
        self,
        response: Response,
        full_name: str,
        value: str,
        life: timedelta,
        *,
        readable: bool = False,
        same_site: Literal["lax", "strict"] = "lax",
    ) -> None:
        response.set_cookie(
            full_name,
            value,
            max_age=int(life.total_seconds()),
            path="/",
            secure=not self._rules.plain_cookies,
            httponly=not readable,
            samesite=same_site,
        )
