"""The other side: programs that use what an owner was given in the portal, and a shop's pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import BrowserContext, Page

from lime_agents import LimeAgentSync
from lime_sites import LimeSiteSync, Passport
from tests.portal.watch import Watch

CALLBACK = "https://shop.example/lime/callback"


def log_in(site: LimeSiteSync, agent: LimeAgentSync) -> Passport:
    """A whole login, by the two clients that people install."""
    asked = site.create_login_request()
    agent.login(asked.request_id)
    return site.wait_for_login(asked.request_id, timeout=20)


@contextmanager
def listening(api_base: str, site_token: str, logins: list[str]) -> Iterator[LimeSiteSync]:
    """A site that hears of logins by its event stream, and notes who came."""
    with LimeSiteSync(site_token=site_token, base_url=api_base) as site:

        @site.on_login
        def note(request_id: str, unverified_passport: str) -> None:
            passport = site.verify_passport(unverified_passport, expected_request_id=request_id)
            logins.append(passport.agent_id)

        yield site


def open_the_shop(context: BrowserContext, watch: Watch) -> None:
    """Let browsers be sent back to a page of the shop, which is nowhere on the network."""
    watch.allow(CALLBACK)
    shop = "<!doctype html><title>Shop</title><h1>Back at the shop</h1>"
    icon = "https://shop.example/favicon.ico"
    watch.allow(icon)
    context.route(icon, lambda route: route.fulfill(status=204))
    context.route(f"{CALLBACK}?*", lambda route: route.fulfill(body=shop, content_type="text/html"))


def brought_back(page: Page) -> dict[str, str]:
    """What a browser carries when it is back at the shop."""
    page.get_by_role("heading", name="Back at the shop").wait_for()
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
