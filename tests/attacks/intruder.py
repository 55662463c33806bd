"""A browser that is driven by hand, for good people and bad ones."""

import secrets
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.wire import PATIENCE, data

PASSWORD = "correct horse battery staple"


class Person:
    """Somebody with a mail address and a browser."""

    def __init__(self, public_url: str) -> None:
        self.public_url = public_url
        self.email = f"{secrets.token_hex(8)}@people.example"
        self.http = httpx.Client(
            base_url=f"{public_url}/api/v1",
            timeout=PATIENCE,
            trust_env=False,
            # Everybody is slowed down per address, and all of them are on loopback.
            headers={
                "X-Forwarded-For": f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()

    @property
    def session(self) -> str | None:
        """The session cookie."""
        return self.http.cookies.get("lime_session")

    def send(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """What one of our own pages would send, unless `headers` say otherwise."""
        sent = {
            "Origin": self.public_url,
            "Sec-Fetch-Site": "same-origin",
            "X-CSRF-Token": self.http.cookies.get("lime_csrf") or "",
            **(headers or {}),
        }
        kept = {name: value for name, value in sent.items() if value}
        return self.http.request(method, path, json=body, headers=kept)

    def get(self, path: str) -> httpx.Response:
        """Read."""
        return self.send("GET", path)

    def post(self, path: str, **body: Any) -> httpx.Response:
        """Change."""
        return self.send("POST", path, body)


def sign_in(person: Person) -> httpx.Response:
    """With the password that everybody here has."""
    answer = person.post("/foundation/users/login", email=person.email, password=PASSWORD)
    assert data(answer)["status"] == "SIGNED_IN"
    return answer
