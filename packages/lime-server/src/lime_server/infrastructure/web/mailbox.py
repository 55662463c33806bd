"""`/dev/mailbox`: the mails that a development server would have sent. Never in `serve`."""

import base64
import hashlib
from html import escape

from fastapi import APIRouter, Response

from lime_server.infrastructure.mail import Mailbox

PATH = "/dev/mailbox"

# Long links must not make the page wider than a phone.
_STYLE = "pre{white-space:pre-wrap;overflow-wrap:anywhere}"
_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Mailbox</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<style>{style}</style></head><body><main><h1>Mailbox</h1>{mails}</main></body></html>"
)
_MAIL = "<article><h2>{subject}</h2><p>To <b>{to}</b></p><pre>{text}</pre></article>"
_EMPTY = "<p>Nothing yet. What this server mails appears here; reload the page.</p>"
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'"
    ),
}


def mailbox_route(mailbox: Mailbox) -> APIRouter:
    """The page, newest mail first."""
    api = APIRouter(include_in_schema=False)

    @api.get(PATH)
    async def show() -> Response:
        mails = "".join(
            _MAIL.format(
                subject=escape(mail.subject), to=escape(mail.to or ""), text=escape(mail.text)
            )
            for mail in mailbox.mails
        )
        page = _PAGE.format(style=_STYLE, mails=mails or _EMPTY)
        return Response(page, media_type="text/html", headers=_HEADERS)

    return api
