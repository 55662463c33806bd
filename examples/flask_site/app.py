"""A Flask site that lets agents in, with the blocking client.

The browser's own session holds the id of its login request; only there does an approval open
anything. Nothing is kept in memory, so any number of workers may answer.
"""

import os
import secrets
from http import HTTPStatus

from flask import Flask, redirect, render_template_string, session, url_for
from flask.typing import ResponseReturnValue

from lime_sites import (
    LimeSiteSync,
    LoginTimeoutError,
    RequestDeniedError,
    RequestExpiredError,
)

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>A site that lets agents in</title>
{% if waiting %}<meta http-equiv="refresh" content="1">{% endif %}
<h1>Members only</h1>
{% if agent %}<p>Welcome, agent {{ agent }}.</p>
{% elif waiting %}<p>Give this to your agent: <code>{{ waiting }}</code></p>
{% else %}
<form method="post" action="{{ url_for('start') }}"><button>Log in with an agent</button></form>
{% endif %}
</html>
"""


def create_app() -> Flask:
    """Return the site; `LIME_API_BASE` and `LIME_SITE_TOKEN` say which one it is."""
    app = Flask(__name__)
    app.config.update(
        # Without a secret of its own, everybody is signed out when the site is started again.
        SECRET_KEY=os.environ.get("SITE_SECRET") or secrets.token_hex(32),
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=os.environ.get("SITE_HTTPS") == "1",
    )
    site = LimeSiteSync()

    @app.post("/login")
    def start() -> ResponseReturnValue:
        session["login"] = site.create_login_request().request_id
        return redirect(url_for("home"), HTTPStatus.SEE_OTHER)

    @app.get("/")
    def home() -> ResponseReturnValue:
        waiting = session.get("login")
        if waiting is not None:
            waiting = _settle(site, waiting)
        return render_template_string(PAGE, agent=session.get("agent"), waiting=waiting)

    @app.get("/members")
    def members() -> ResponseReturnValue:
        agent = session.get("agent")
        if agent is None:
            return "no agent is signed in", HTTPStatus.UNAUTHORIZED
        return {"welcome": agent}

    return app


def _settle(site: LimeSiteSync, request_id: str) -> str | None:
    """Look at this browser's login once; return its id if it is still open."""
    try:
        passport = site.wait_for_login(request_id, timeout=0)
    except LoginTimeoutError:
        return request_id
    except (RequestDeniedError, RequestExpiredError):
        session.clear()
        return None
    # A fresh session, as at every change of rights.
    session.clear()
    session["agent"] = passport.agent_id
    return None


if __name__ == "__main__":
    create_app().run(host="127.0.0.1", port=int(os.environ.get("PORT", "8002")))
