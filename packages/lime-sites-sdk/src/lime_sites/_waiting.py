"""The page that shows a login in progress: plain text in, HTML out, and no I/O.

It needs nothing from elsewhere, and works without scripts: then it asks again by itself every few
seconds. Style and script stand in the page, and its policy names them by hash, so that nothing that
somebody writes into a page can run.
"""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import quote, urlsplit

ASK_AGAIN: Final = 4
"""Seconds between two looks of a browser that runs no scripts: soon enough for somebody who waits,
and seldom enough for LIME's limit per login request."""

LONGEST_PATH: Final = 2048
"""Characters of a path to go to afterwards; what browsers and proxies take."""

_STYLE: Final = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; background: Canvas; color: CanvasText; }
main { max-width: 32rem; margin: 0 auto; padding: 1.5rem 1rem; }
h1 { font-size: 1.5rem; line-height: 1.2; }
code { display: block; padding: .75rem; border: 1px solid; border-radius: .5rem;
  font: 1rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; user-select: all; }
button { min-height: 2.75rem; padding: .5rem 1rem; border: 1px solid; border-radius: .5rem;
  background: ButtonFace; color: ButtonText; font: inherit; cursor: pointer; }
:focus-visible { outline: 3px solid Highlight; outline-offset: 2px; }
[hidden] { display: none; }
"""

# What happened is told by the server when the page is asked for again: one place that decides, for
# browsers with and without scripts. The events only say when.
_SCRIPT: Final = """
const left = document.getElementById("left");
const end = Date.now() + 1000 * Number(left.dataset.seconds);
function count() {
  const seconds = Math.max(0, Math.round((end - Date.now()) / 1000));
  left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
setInterval(count, 1000);
count();
const copy = document.getElementById("copy");
if (navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    const said = document.getElementById("copied");
    try {
      await navigator.clipboard.writeText(document.getElementById("request").textContent);
      said.textContent = "Copied.";
    } catch {
      said.textContent = "Could not be copied: select it and copy it yourself.";
    }
  });
}
const again = () => setTimeout(() => location.reload(), 3000);
const events = new EventSource("events");
events.addEventListener("message", ({ data }) => {
  const { status } = JSON.parse(data);
  if (status === "PENDING") return;
  events.close();
  if (status === "UNAVAILABLE") again(); else location.reload();
});
events.addEventListener("error", () => {
  if (events.readyState === EventSource.CLOSED) again();
});
"""


def _hash_of(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; "
        f"connect-src 'self'; script-src {_hash_of(_SCRIPT)}; style-src {_hash_of(_STYLE)}"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""What goes with the page. It is not shown in a frame: a click in it begins a login."""


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    says: str
    button: str | None = None


_WORDS: Final = {
    "NONE": _Words("Log in with an agent", "Your agent can log in for you.", "Log in"),
    "PENDING": _Words("Waiting for your agent", "Give this id to your agent. It is no secret."),
    "DENIED": _Words("Not logged in", "Your agent refused to log in here.", "Try again"),
    "EXPIRED": _Words("Not logged in", "No agent came in time.", "Try again"),
    "REFUSED": _Words("Not logged in", "The agent's passport is not valid.", "Try again"),
    "UNAVAILABLE": _Words(
        "One moment", "LIME cannot be asked at the moment. This page tries again by itself."
    ),
    "BUSY": _Words(
        "Not now", "A login cannot be started at the moment. Try again in a while.", "Try again"
    ),
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A login as the page shows it."""

    state: str
    """A key of `_WORDS`; anything else, from a newer LIME, is shown as still waiting."""
    onward: str
    """Where the browser goes when the agent is in; from `same_site_path`."""
    request_id: str = ""
    seconds_left: int = 0

    @property
    def page(self) -> str:
        """The page, to be sent with `HEADERS`."""
        words = _WORDS.get(self.state, _WORDS["PENDING"])
        waiting = words is _WORDS["PENDING"]
        refresh = f'<meta http-equiv="refresh" content="{ASK_AGAIN}">'
        if waiting:
            refresh = f"<noscript>{refresh}</noscript>"
        elif self.state != "UNAVAILABLE":
            refresh = ""
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"{refresh}<title>{words.title}</title><style>{_STYLE}</style></head>"
            f'<body><main><h1>{words.title}</h1><p role="status">{words.says}</p>'
            f"{self._request() if waiting else ''}{self._form(words.button)}</main>"
            f"{f'<script>{_SCRIPT}</script>' if waiting else ''}</body></html>"
        )

    def _request(self) -> str:
        minutes, seconds = divmod(self.seconds_left, 60)
        # Not announced every second: who cannot see it asks for it.
        timer = f'<span id="left" role="timer" data-seconds="{self.seconds_left}">'
        return (
            f'<p><code id="request">{escape(self.request_id)}</code></p>'
            '<p><button type="button" id="copy" hidden>Copy the id</button> '
            '<span id="copied" role="status"></span></p>'
            f"<p>It can be used for {timer}{minutes}:{seconds:02}</span> more. "
            "Once your agent is in, this page goes on by itself.</p>"
        )

    def _form(self, button: str | None) -> str:
        if button is None:
            return ""
        return (
            '<form method="post" action="begin">'
            f'<input type="hidden" name="next" value="{escape(self.onward)}">'
            f"<p><button>{button}</button></p></form>"
        )


def waiting_path(onward: str) -> str:
    """The page's address, seen from the other routes of its router."""
    return f"waiting?next={quote(onward, safe='')}"


def same_site_path(unverified: str | None, otherwise: str) -> str:
    """Return a path of this site to go to: `unverified` if it is one, else `otherwise`.

    Browsers read `//host` and `/\\host` as another site, and drop tabs and line ends before they
    read; so anything but a slash, then something else, in plain printable characters, is none.
    """
    if unverified is None or not 0 < len(unverified) <= LONGEST_PATH:
        return otherwise
    if not unverified.startswith("/") or unverified.startswith("//") or "\\" in unverified:
        return otherwise
    if any(not "!" <= char <= "~" for char in unverified):
        return otherwise
    return unverified if not urlsplit(unverified).netloc else otherwise
