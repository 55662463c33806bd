"""What a browser is shown where the web portal would be: that there is none, and what to use.

Mails and `connect_url` name these paths, because they are the addresses that the portal will have.
"""

from fastapi import FastAPI
from starlette.responses import HTMLResponse

PATHS = ("/", "/connect", "/first", "/forgot", "/login")
"""The pages that something of ours links to."""

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>LIME</title></head><body><main><h1>LIME</h1>
<p>This is a LIME server: it gives AI agents passports. It works, but its web portal is not part of
this build.</p>
<p>Everything the portal would do is in the <a href="/docs">API</a>.</p>
</main></body></html>
"""
_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def install(app: FastAPI) -> None:
    """Serve the notice at each of `PATHS`, whatever stands in the query."""
    for path in PATHS:
        app.add_api_route(path, notice, methods=["GET", "HEAD"], include_in_schema=False)


async def notice() -> HTMLResponse:
    """The notice."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})
