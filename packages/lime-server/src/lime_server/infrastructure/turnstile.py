"""Cloudflare Turnstile: the page shows a widget, and its token is verified over HTTP."""

from logging import getLogger
from typing import Any, ClassVar

import httpx
from pydantic import SecretStr

from lime_server.core.errors import CaptchaFailed, NotFound
from lime_server.foundation.captcha import Kind, Proof, Puzzle

SITEVERIFY = "https://challenges.cloudflare.com/turnstile/v0/siteverify"
TIMEOUT = 5.0
"""Seconds for the whole exchange: somebody is waiting in front of a form."""
LONGEST = 2048
"""Characters of a token (Turnstile's own limit)."""
LARGEST = 16384
"""Bytes of an answer; a real one has a few hundred."""

log = getLogger(__name__)


class Turnstile:
    """Asks Cloudflare. Whatever is not a clear yes is a no, an absent answer included."""

    kind: ClassVar[Kind] = "turnstile"

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        site_key: str,
        secret: SecretStr,
        hostname: str,
        url: str = SITEVERIFY,
    ) -> None:
        """`hostname` is where the widget must have been solved."""
        self._client = client
        self.site_key: str | None = site_key
        self._secret = secret
        self._hostname = hostname
        self._url = url

    def puzzle(self) -> Puzzle:
        """Raises NotFound."""
        raise NotFound

    async def check(self, proof: Proof) -> None:
        """Return if Cloudflare says that the token is good, and ours. Raises CaptchaFailed."""
        token = proof.turnstile_token
        if not token or len(token) > LONGEST:
            raise CaptchaFailed
        # In the body: a secret in a URL ends in somebody's log.
        form = {"secret": self._secret.get_secret_value(), "response": token}
        verdict = await self._ask(form)
        # A token is spent by being asked about, so no second question is needed.
        if verdict.get("success") is not True or verdict.get("hostname") != self._hostname:
            raise CaptchaFailed

    async def _ask(self, form: dict[str, str]) -> dict[str, Any]:
        try:
            answer = await self._client.post(self._url, data=form, timeout=TIMEOUT)
            verdict = answer.json() if len(answer.content) <= LARGEST else None
        except (httpx.HTTPError, ValueError) as error:
            log.error("Turnstile cannot be asked: %s", type(error).__name__)
            return {}
        return verdict if isinstance(verdict, dict) else {}
