"""The exported portal as it lies in the package: read once, and looked up by path afterwards.

A request never becomes a file name. What is not in the index does not exist.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

PACKAGED = Path(__file__).parents[2] / "portal"
"""Where a build with Node puts the export. Never in the repository; absent from other builds."""

CODINGS = {"br": ".br", "gzip": ".gz"}
"""Content codings (RFC 9110, section 8.4.1) and the suffix of files in them, best first."""

LINKED = ("/", "/connect/", "/consent/", "/first/", "/forgot/", "/login/")
"""The pages that mails, `connect_url`, the authorization endpoint and the command line name."""

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    # What the pages fetch of one another when somebody follows a link.
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_UNKNOWN = "application/octet-stream"
# Not all of `/_next/static`: manifests lie in a folder that is called the same in every build.
_HASHED_NAMES = ("/_next/static/chunks/", "/_next/static/media/")
_NOT_FOUND = "/404.html"
_ICON = "/icon.svg"
# What browsers ask for beside a document that names no icon, such as a picture in a tab of its own.
_ICON_BY_DEFAULT = "/favicon.ico"
# The exporter's other copies of that page, at addresses that would answer 200.
_COPIES = frozenset({"/404/", "/_not-found/"})

# What these do not see is not hashed, and the browser does not run it.
_ANYWHERE = re.DOTALL | re.IGNORECASE
_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)(?:\s[^>]*)?>(.*?)</script", _ANYWHERE)
_STYLE = re.compile(rb"<style(?:\s[^>]*)?>(.*?)</style", _ANYWHERE)

_NOTICE = b"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>LIME</title></head><body><main><h1>LIME</h1>
<p>This is a LIME server: it gives AI agents passports. It works, but its web portal is not part of
this build.</p>
<p>To get it, install Node.js 20.9 or newer with npm where the server is built, build again with
<code>make setup</code>, and restart the server.</p>
<p>Everything the portal would do is in the <a href="/docs">API</a>.</p>
</main></body></html>
"""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file, in every coding that it was packed in."""

    path: str
    """The path of its URL; a page's ends with a slash."""
    content_type: str
    body: bytes = field(repr=False)
    encoded: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """The same by content coding."""

    @property
    def is_page(self) -> bool:
        """Whether it is HTML."""
        return self.content_type.startswith("text/html")

    @property
    def is_immutable(self) -> bool:
        """Whether its name changes with its content, so that it may be kept for ever."""
        return self.path.startswith(_HASHED_NAMES)

    def script_hashes(self) -> tuple[str, ...]:
        """CSP sources for the inline scripts of a page, each once, in order."""
        return _hashes(_SCRIPT, self.body) if self.is_page else ()

    def style_hashes(self) -> tuple[str, ...]:
        """CSP sources for the inline style sheets of a page, each once, in order."""
        return _hashes(_STYLE, self.body) if self.is_page else ()


@dataclass(frozen=True, slots=True)
class Export:
    """What a server shows to browsers."""

    files: Mapping[str, ExportedFile]
    """By path."""
    not_found: ExportedFile | None
    """The page for every other path; None where there is no portal."""


def read_export(folder: Path) -> Export:
    """The export in `folder`, or the notice that there is none.

    Raises ValueError for a folder that holds something else, and OSError when it cannot be read.
    """
    if not folder.is_dir():
        return NO_PORTAL
    read = {file.path: file for file in _read(folder)}
    not_found = read.pop(_NOT_FOUND, None)
    if not_found is None or "/" not in read:
        raise ValueError("the folder of the portal holds no export of it")
    if _ICON in read:
        read[_ICON_BY_DEFAULT] = replace(read[_ICON], path=_ICON_BY_DEFAULT)
    return Export({path: file for path, file in read.items() if path not in _COPIES}, not_found)


def _read(folder: Path) -> Iterator[ExportedFile]:
    packed = set(CODINGS.values())
    for name in sorted(folder.rglob("*")):
        if not name.is_file() or name.suffix in packed:
            continue
        path = "/" + name.relative_to(folder).as_posix()
        if name.name == "index.html":
            path = path.removesuffix("index.html")
        yield ExportedFile(
            path,
            _KINDS.get(name.suffix, _UNKNOWN),
            name.read_bytes(),
            {
                coding: twin.read_bytes()
                for coding, suffix in CODINGS.items()
                if (twin := name.with_name(name.name + suffix)).is_file()
            },
        )


def _hashes(inline: re.Pattern[bytes], page: bytes) -> tuple[str, ...]:
    digests = (hashlib.sha256(text).digest() for text in inline.findall(page))
    return tuple(dict.fromkeys(f"'sha256-{b64encode(digest).decode()}'" for digest in digests))


NO_PORTAL = Export(
    {path: ExportedFile(path, _KINDS[".html"], _NOTICE) for path in LINKED}, not_found=None
)
"""Served by a build without the portal: where its pages would be, what it is and how to get it."""
