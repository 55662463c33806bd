"""What an owner does with agents and sites, by hand."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests.portal.people import Person


@dataclass(frozen=True)
class Thing:
    """An agent or a site."""

    ident: str
    token: str = field(repr=False)
    url: str
    """Its page."""


def make_agent(person: Person, name: str) -> Thing:
    """From the list of agents to the page of the new one."""
    person.follow("Agents")
    return _make(person, "agent", name)


def make_site(person: Person, name: str) -> Thing:
    """From the list of sites to the page of the new one."""
    person.follow("Sites")
    return _make(person, "site", name)


def _make(person: Person, noun: str, name: str) -> Thing:
    person.see(f"{noun.capitalize()}s")
    person.press(f"New {noun}")
    dialog = person.page.get_by_role("dialog", name=f"A new {noun}")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_role("button", name=f"Make the {noun}").click()
    token = person.keep_secret({"agent": "at_", "site": "st_"}[noun])
    person.see(name)
    url = person.page.url
    return Thing(parse_qs(urlsplit(url).query)["id"][0], token, url)


def rotate_token(person: Person, kind: str, overlap: str) -> str:
    """On the page of an agent (`at_`) or site (`st_`); the new token."""
    person.press("Rotate the token")
    dialog = person.page.get_by_role("dialog", name="A new token")
    dialog.get_by_label("Overlap").select_option(overlap)
    dialog.get_by_role("button", name="Make a new token").click()
    return person.keep_secret(kind)


def allow_redirects_to(person: Person, uri: str) -> None:
    """On the page of a site."""
    person.write("Another redirect URI", uri)
    person.press("Add it")
    listed = person.page.get_by_role("list", name="Redirect URIs")
    expect(listed.get_by_text(uri, exact=True)).to_be_visible()


def part(page: Page, title: str):
    """The part of a page under this heading."""
    heading = page.get_by_role("heading", name=title, exact=True)
    return page.locator("section").filter(has=heading)
