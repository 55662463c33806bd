"""What every page is measured by: accessibility, room, weight and calm."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, expect

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
_AXE = ROOT / "packages" / "lime-portal" / "node_modules" / "axe-core" / "axe.min.js"

WIDTHS = {"narrow": 360, "wide": 1280}
"""In CSS pixels: a small phone, which must do (issue of the portal), and a usual laptop."""
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
_OVERHANG = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def settle(page: Page) -> None:
    """Wait until a page shows what it is about."""
    page.wait_for_load_state("load")
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="Loading ")).to_have_count(0)


def assert_accessible(page: Page) -> None:
    """Axe has nothing to say, in light and in dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
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


def photograph(page: Page, name: str) -> None:
    """Keep how a page looks, at both widths, for whoever reads the results of CI."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for label, width in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 800})
        assert_fits(page)
        page.screenshot(path=SCREENSHOTS / f"{name}-{label}.png", full_page=True)


def inspect(page: Page, name: str) -> None:
    """All of it, for a page as it stands."""
    settle(page)
    assert_calm(page)
    assert_accessible(page)
    photograph(page, name)
    # What is folded away on a phone only, such as the menu, has to be accessible there, too.
    page.set_viewport_size({"width": WIDTHS["narrow"], "height": 800})
    assert_accessible(page)
    page.set_viewport_size({"width": WIDTHS["wide"], "height": 800})


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

    @property
    def total(self) -> int:
        """Bytes, headers included."""
        return sum(self.bytes_of.values())


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
