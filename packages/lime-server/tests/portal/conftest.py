"""A small export, as Node would have left it, and a browser for it."""

import gzip
import io
import json
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI

from lime_server.infrastructure.web import errors
from lime_server.infrastructure.web.metrics import Metrics
from lime_server.infrastructure.web.portal import install
from lime_server.infrastructure.web.portal_export import read_export
from lime_server.infrastructure.web.trace import Trace
from lime_server.logging import configure
from tests.support.logs import lent_logging

BASE = "https://lime.example"

_PAGE = """<!DOCTYPE html><html><head><title>{name}</title>
<style>main{{color:red}}</style><script src="/_next/static/chunks/a.js" async=""></script></head>
<body><main>{name}</main><script>(self.__next_f=self.__next_f||[]).push([0])</script>
<script id="x">self.__next_f.push([1,"{name}"])</script>
<SCRIPT type="text/javascript"
 >1 < 2</SCRIPT ><script>(self.__next_f=self.__next_f||[]).push([0])</script></body></html>
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    for page in ("", "agents/", "agents/one/", "connect/", "_not-found/", "404/"):
        write(folder / page / "index.html", _PAGE.format(name=page or "home"))
    write(folder / "404.html", _PAGE.format(name="lost"))
    write(folder / "agents/index.txt", '0:["agents"]')
    write(folder / "_next/static/chunks/0a[id].js", "self.a=1;" * 200)
    write(folder / "_next/static/chunks/a.css", "main{}")
    write(folder / "_next/static/lime-portal/_buildManifest.js", "1")
    write(folder / "icon.svg", "<svg/>")
    write(folder / "odd.bin", "?")
    for name in ("index.html", "404.html", "_next/static/chunks/0a[id].js"):
        raw = (folder / name).read_bytes()
        (folder / (name + ".gz")).write_bytes(gzip.compress(raw))
        # No brotli here: whatever stands in the file is what is sent.
        (folder / (name + ".br")).write_bytes(b"br:" + raw[:9])
    return folder


def write(name, text):
    name.parent.mkdir(parents=True, exist_ok=True)
    name.write_text(text)


@pytest.fixture(scope="session")
def export(folder):
    return read_export(folder)


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def lines():
    """What the access log says, line by line."""
    stream = io.StringIO()
    with lent_logging():
        configure(level="info", style="json", stream=stream)
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def application(metrics):
    def application(export, *, turnstile=False):
        app = FastAPI(redirect_slashes=False, docs_url=None, openapi_url=None)

        @app.get("/api/v1/things/{name}")
        async def read(name: str):
            return {"name": name}

        @app.get("/docs")
        async def docs():
            return "docs"

        errors.install(app)
        app.add_middleware(
            Trace, metrics=metrics, monotonic=lambda: 0.0, secure=True, access_log=True
        )
        install(app, export, turnstile=turnstile)
        return app

    return application


@pytest.fixture
def served(application, export):
    return application(export)


@pytest.fixture
def visit(application):
    """A browser that follows no redirect and decodes nothing by itself."""

    @asynccontextmanager
    async def visit(export, **options):
        transport = httpx.ASGITransport(application(export, **options))
        headers = {"Accept": "text/html,*/*;q=0.8", "Accept-Encoding": "identity"}
        async with httpx.AsyncClient(
            transport=transport, base_url=BASE, headers=headers
        ) as browser:
            yield browser

    return visit


@pytest.fixture
async def browser(visit, export):
    async with visit(export) as browser:
        yield browser
