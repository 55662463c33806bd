"""People who use the portal, each with a browser of their own."""

import re
import secrets
from html.parser import HTMLParser
from typing import Any

import httpx
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.portal.watch import Watch
from tests.support.deployment import eventually

PASSWORD = "correct horse battery staple"


class Mailbox:
    """The page on which a development server shows what it mails."""

    def __init__(self, url: str) -> None:
        self._url = url

    def subjects_to(self, address: str) -> list[str]:
        """Of the mails for this address, the newest first."""
        reader = _Mails()
        reader.feed(httpx.get(self._url, trust_env=False).raise_for_status().text)
        return [subject for subject, to in reader.mails if to == address]

    def code_for(self, address: str, *, after: int = 0) -> str:
        """The code in the newest mail; one beyond the `after` that came before is awaited."""
        eventually(lambda: len(self.subjects_to(address)) > after)
        found = re.match(r"\d{6,8}", self.subjects_to(address)[0])
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
        return self.page.get_by_role("heading", level=1, name=name, exact=True)

    def press(self, name: str | re.Pattern[str]) -> None:
        """Press the one button of this name."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str | re.Pattern[str]) -> None:
        """Follow the one link of this name."""
        self.page.get_by_role("link", name=name, exact=True).click()

    def write(self, label: str | re.Pattern[str], text: str) -> None:
        """Fill the field of this label."""
        self.page.get_by_label(label, exact=True).fill(text)

    def see(self, heading: str | re.Pattern[str]) -> None:
        """Wait for the page with this heading."""
        expect(self.heading(heading)).to_be_visible()

    def alert(self, text: str) -> Locator:
        """What a screen reader is interrupted with."""
        return self.page.get_by_role("alert").filter(has_text=text)

    def dialog(self, name: str) -> Locator:
        """The dialog of this title."""
        return self.page.get_by_role("dialog", name=name, exact=True)

    # What everybody does

    def register(self) -> None:
        """Ask for an account, and prove the address with the code that is mailed."""
        self.page.goto("/register/")
        self.write("E-mail", self.email)
        self.write("Password", self.password)
        self.press("Register")
        self.see("Prove your address")
        self.write("Code", self.mailbox.code_for(self.email))
        self.press("Prove it")
        self.see("Sign in")
        expect(self.page.get_by_text("Your address is proven")).to_be_visible()

    def give_password(self) -> None:
        """The first half of a sign-in, on whichever page it is asked for."""
        self.see("Sign in")
        self.write("E-mail", self.email)
        self.write("Password", self.password)
        self.press("Sign in")

    def sign_in(self) -> None:
        """From the sign-in page to the overview."""
        self.page.goto("/login/")
        self.give_password()
        self.see("Overview")

    def sign_out(self) -> None:
        """By the button that is on every page."""
        self.press("Sign out")
        self.see("Sign in")

    def prove_again(self) -> None:
        """Answer the question that comes before what is hard to undo."""
        asked = self.page.get_by_role("dialog", name="Is it you?")
        asked.get_by_label("Password").fill(self.password)
        asked.get_by_role("button", name="Go on").click()
        expect(asked).to_be_hidden()

    def keep_secret(self, beginning: str) -> str:
        """The secret that a dialog shows once, and the button that says it was kept."""
        secret = (
            self.page.get_by_role("code").filter(has_text=re.compile(f"^{beginning}")).inner_text()
        )
        self.press("I have kept it")
        return secret

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
