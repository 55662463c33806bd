"""A Django site that lets agents in, with the blocking client, in one file.

The browser's session holds the id of its login request; only there does an approval open anything.
Nothing is kept in memory, so any number of workers may answer.
"""

import os
import secrets
import sys
from functools import cache
from http import HTTPStatus

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_POST

from lime_sites import (
    LimeSiteSync,
    LoginTimeoutError,
    RequestDeniedError,
    RequestExpiredError,
)

HTTPS = os.environ.get("SITE_HTTPS") == "1"

settings.configure(
    # Without a secret of its own, everybody is signed out when the site is started again.
    SECRET_KEY=os.environ.get("SITE_SECRET") or secrets.token_hex(32),
    ALLOWED_HOSTS=os.environ.get("SITE_HOSTS", "127.0.0.1,localhost").split(","),
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    # Signed cookies: this site needs no database.
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    SESSION_COOKIE_SECURE=HTTPS,
    CSRF_COOKIE_SECURE=HTTPS,
)
django.setup()

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>A site that lets agents in</title>
{}
<h1>Members only</h1>
{}
</html>
"""


@cache
def lime() -> LimeSiteSync:
    """Return the client, made by the first request of each worker process."""
    return LimeSiteSync()


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Begin a login for this browser."""
    request.session["login"] = lime().create_login_request().request_id
    return redirect("home")


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show how this browser's login stands."""
    waiting = request.session.get("login")
    if waiting is not None:
        waiting = _settle(request, waiting)
    refresh: SafeString | str = ""
    if waiting is not None:
        refresh = format_html('<meta http-equiv="refresh" content="{}">', 1)
        body = format_html("<p>Give this to your agent: <code>{}</code></p>", waiting)
    elif "agent" in request.session:
        body = format_html("<p>Welcome, agent {}.</p>", request.session["agent"])
    else:
        body = format_html(
            '<form method="post" action="/login">'
            '<input type="hidden" name="csrfmiddlewaretoken" value="{}">'
            "<button>Log in with an agent</button></form>",
            get_token(request),
        )
    return HttpResponse(format_html(PAGE, refresh, body))


@require_GET
def members(request: HttpRequest) -> HttpResponse:
    """Show what only a signed-in agent may see."""
    if "agent" not in request.session:
        return HttpResponse("no agent is signed in", status=HTTPStatus.UNAUTHORIZED)
    return JsonResponse({"welcome": request.session["agent"]})


def _settle(request: HttpRequest, request_id: str) -> str | None:
    """Look at this browser's login once; return its id if it is still open."""
    try:
        passport = lime().wait_for_login(request_id, timeout=0)
    except LoginTimeoutError:
        return request_id
    except (RequestDeniedError, RequestExpiredError):
        request.session.flush()
        return None
    # A fresh session, as at every change of rights.
    request.session.flush()
    request.session["agent"] = passport.agent_id
    return None


urlpatterns = [
    path("", home, name="home"),
    path("login", start),
    path("members", members),
]


if __name__ == "__main__":
    port = os.environ.get("PORT", "8003")
    execute_from_command_line([sys.argv[0], "runserver", f"127.0.0.1:{port}", "--noreload"])
