"""What every page is measured by: accessibility, room, weight and calm."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, Response, expect

from tests.portal.people import Person

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
_AXE = ROOT / "packages" / "lime-portal" / "node_modules" / "axe-core" / "axe.min.js"

WIDTHS = {"narrow": 360, "wide": 1280}
"""In CSS pixels: a small phone, which must do (issue of the portal), and a usual laptop."""
HEIGHT = 800
MAX_SCRIPT_BYTES = 200_000
"""Most JavaScript, compressed as it travels, that a page may load before it can be used."""
MAX_SHIFT = 0.02
"""Most cumulative layout shift: a fifth of what web vitals call good, because nothing should jump."""

_SHIFT = """
() => new Promise((resolve) => {
  let sum = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
  });
  observer.observe({ type: "layout-shift", buffered: true });
  // Buffered entries are handed over before the next frame but one.
  requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)));
})
"""
# On a change of scheme Chromium leaves some inherited colours as they were; a fresh page has none.
_DRAW_ANEW = """
() => {
  const { body } = document;
  body.style.display = "none";
  body.getBoundingClientRect();
  body.style.display = "";
}
"""
_OVERHANG = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def settle(page: Page) -> None:
    """Wait until a page shows what it is about."""
    page.wait_for_load_state("load")
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="Loading ")).to_have_count(0)


def assert_accessible(page: Page, *schemes: str) -> None:
    """Axe has nothing to say, by default in light and in dark."""
    for scheme in schemes or ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.evaluate(_DRAW_ANEW)
        found = _axe(page)
        assert found == [], f"{page.url} in {scheme}: {found}"
    page.emulate_media(color_scheme="light")


def assert_fits(page: Page) -> None:
    """Nobody has to scroll sideways."""
    overhang = page.evaluate(_OVERHANG)
    assert overhang <= 0, f"{page.url} is {overhang} px too wide for {page.viewport_size}"


def assert_calm(page: Page) -> None:
    """Nothing jumped while the page came."""
    shift = page.evaluate(_SHIFT)
    assert shift < MAX_SHIFT, f"{page.url} shifted by {shift:.3f}"


def assert_guarded(answer: Response) -> None:
    """The policy lets a page run its own scripts only, and nobody frame it."""
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy, policy
    assert "frame-ancestors 'none'" in policy, policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def photograph(page: Page, name: str) -> None:
    """Keep how a page looks, at both widths, for whoever reads the results of CI."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for label, width in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.screenshot(path=SCREENSHOTS / f"{name}-{label}.png", full_page=True)


def inspect(page: Page, name: str, *, fresh: bool = False) -> None:
    """All of it, for a page as it stands; its pictures are called `name`.

    Whether it is calm is asked of a `fresh` page only, which nobody has touched since it was loaded:
    what somebody asked for may move things when it comes, and browsers forgive that for half a second,
    so it would be the machine that is measured.
    """
    settle(page)
    if fresh:
        assert_calm(page)
    # First, because the pictures of what is wrong help most.
    photograph(page, name)
    for width in WIDTHS.values():
        page.set_viewport_size({"width": width, "height": HEIGHT})
        assert_fits(page)
        # On a phone other things are folded away, such as the menu; colours are the same.
        assert_accessible(page, *(["light"] if width == WIDTHS["narrow"] else []))


def look_at(person: Person, pages: dict[str, str], *, scripts: bool = True) -> None:
    """Visit pages as if for the first time, and inspect them. One run says everything that is wrong.

    Pages without `scripts` load none at all.
    """
    wrong = []
    for name, path in pages.items():
        loaded = Scripts(person.context.new_cdp_session(person.page))
        try:
            answer = person.page.goto(path)
            assert answer is not None
            assert_guarded(answer)
            inspect(person.page, name, fresh=True)
            loaded.assert_light() if scripts else loaded.assert_none()
        except AssertionError as problem:
            wrong.append(f"{name}: {problem}")
        loaded.session.detach()
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)


@dataclass
class Scripts:
    """How many bytes of JavaScript travelled, by address."""

    session: CDPSession
    bytes_of: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names: dict[str, str] = {}

        def started(event: dict[str, Any]) -> None:
            if event["type"] == "Script":
                names[event["requestId"]] = event["response"]["url"]

        def finished(event: dict[str, Any]) -> None:
            if (url := names.get(event["requestId"])) is not None:
                self.bytes_of[url] = int(event["encodedDataLength"])

        self.session.on("Network.responseReceived", started)
        self.session.on("Network.loadingFinished", finished)
        self.session.send("Network.enable")
        # As if nothing of us had been seen before.
        self.session.send("Network.clearBrowserCache")

    @property
    def total(self) -> int:
        """Bytes, headers included."""
        return sum(self.bytes_of.values())

    def assert_none(self) -> None:
        """A page that needs none has none."""
        assert not self.bytes_of, self.bytes_of

    def assert_light(self) -> None:
        """A first visit costs little."""
        assert 0 < self.total < MAX_SCRIPT_BYTES, f"{self.total} bytes of {self.bytes_of}"


def _axe(page: Page) -> list[str]:
    # Handed over by the debugger, so that the page's policy need not be relaxed for it.
    page.evaluate(_axe_source())
    answer = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{violation['id']} ({violation['impact']}): {node['html']} - {node['failureSummary']}"
        for violation in answer["violations"]
        for node in violation["nodes"]
    ]


@cache
def _axe_source() -> str:
    return _AXE.read_text()
