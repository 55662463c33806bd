"""People who use the portal, each with a browser of their own."""

import re
import secrets
from html.parser import HTMLParser
from types import TracebackType
from typing import Any, Self

import httpx
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.portal.watch import Watch
from tests.support.deployment import eventually

PASSWORD = "correct horse battery staple"


class Mailbox:
    """The page on which a development server shows what it mails."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx.Client(trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def subjects_to(self, address: str) -> list[str]:
        """Of the mails for this address, the newest first."""
        reader = _Mails()
        reader.feed(self._http.get(self._url).raise_for_status().text)
        return [subject for subject, to in reader.mails if to == address]

    def code_for(self, address: str, *, after: int = 0) -> str:
        """The code in the newest mail; one beyond the `after` that came before is awaited."""
        eventually(lambda: len(self.subjects_to(address)) > after)
        found = re.match(r"\d{6}", self.subjects_to(address)[0])
        assert found is not None, self.subjects_to(address)
        return found[0]


class _Mails(HTMLParser):
    """Subject and recipient of every mail on the page."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[tuple[str, str]] = []
        self._subject = ""
        self._tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag == "h2":
            self._subject = data
        elif self._tag == "b":
            self.mails.append((self._subject, data))


class Person:
    """Somebody with a mail address, a password and a browser with one page open."""

    def __init__(
        self, context: BrowserContext, mailbox: Mailbox, watch: Watch, *, email: str | None = None
    ) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.watch = watch
        self.mailbox = mailbox
        self.email = email or f"{secrets.token_hex(6)}@people.example"
        self.password = PASSWORD

    # By hand

    def heading(self, name: str | re.Pattern[str]) -> Locator:
        """The page's own heading."""
        return self.page.get_by_role("heading", level=1, name=name)

    def press(self, name: str | re.Pattern[str]) -> None:
        """Press the one button of this name."""
        self.page.get_by_role("button", name=name).click()

    def follow(self, name: str | re.Pattern[str]) -> None:
        """Follow the one link of this name."""
        self.page.get_by_role("link", name=name).click()

    def write(self, label: str | re.Pattern[str], text: str) -> None:
        """Fill the field of this label."""
        self.page.get_by_label(label).fill(text)

    # By the API, for what a test needs and is not about

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """What our own pages would send from this browser; the data of the answer."""
        cookies = {cookie["name"]: cookie["value"] for cookie in self.context.cookies()}
        origin = self.watch.origin
        answer = self.context.request.fetch(
            f"{origin}/api/v1{path}",
            method=method,
            headers={"Origin": origin, "X-CSRF-Token": cookies.get("lime_csrf", "")},
            **({} if method == "GET" else {"data": body}),
        )
        assert answer.ok, f"{method} {path}: {answer.status} {answer.text()}"
        data: dict[str, Any] = answer.json()["data"]
        return data

    def see(self, heading: str | re.Pattern[str]) -> None:
        """Wait for the page with this heading."""
        expect(self.heading(heading)).to_be_visible()
