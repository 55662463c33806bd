"""Make `.venv` ready to run and test LIME: dependencies by hash, our own packages as built
wheels.

Runs on any Python 3.11 or newer with the standard library alone, because it is what makes
everything else. A step whose inputs have not changed since it last succeeded is skipped.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMPS = VENV / "stamps"
LOCK = ROOT / "requirements" / "dev.txt"
PORTAL = ROOT / "packages" / "lime-portal"
EXPORT = ROOT / "packages" / "lime-server" / "src" / "lime_server" / "portal"

LEAST_PYTHON = (3, 11)
# The edition and the language features that the crates use.
LEAST_RUST = (1, 89)
# What the portal's framework asks for.
LEAST_NODE = (20, 9)

# In order of dependency, so that a half-finished set-up is still consistent.
CRATES = ("lime-pow", "lime-jwt")
PACKAGES = ("lime-sdk-core", "lime-agents-sdk", "lime-sites-sdk", "lime-server")


class MissingToolError(Exception):
    """Something the machine must have is not there; the text says what to install."""


def main() -> int:
    """Do every step that is due. Returns the exit status."""
    try:
        check_tools()
        make_venv()
        install_dependencies()
        for crate in CRATES:
            install_wheel(crate, build_crate, rust_sources(crate))
        make_portal()
        for package in PACKAGES:
            install_wheel(package, build_package, [ROOT / "packages" / package])
    except MissingToolError as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failed:
        command = " ".join(map(str, failed.cmd))
        print(f"error: exit status {failed.returncode} from: {command}", file=sys.stderr)
        return 1
    return 0


def check_tools() -> None:
    """Refuse early, naming what to install, rather than fail in the middle of a build."""
    if sys.version_info < LEAST_PYTHON:
        found = sys.version.split()[0]
        raise MissingToolError(
            f"Python 3.11 or newer is needed, and this is {found}. Install it (https://www.python.org/"
            f"downloads/) and run `make PYTHON=python3.12 …` with its name."
        )
    rust = shutil.which("cargo")
    if rust is None:
        raise MissingToolError(
            "the Rust toolchain (cargo) is not on PATH. Install it with rustup: https://rustup.rs"
        )
    release = subprocess.run(
        [rust, "--version"], check=True, capture_output=True, text=True
    ).stdout.split()[1]
    if tuple(int(part) for part in release.split(".")[:2]) < LEAST_RUST:
        raise MissingToolError(
            f"Rust 1.{LEAST_RUST[1]} or newer is needed, and this is {release}. "
            "Run `rustup update`."
        )
    if not any(shutil.which(name) for name in (os.environ.get("CC") or "cc", "clang", "gcc", "cl")):
        raise MissingToolError(
            "no C compiler was found, and Rust needs one to link. "
            "Install gcc or clang (Debian: `apt-get install build-essential`)."
        )


def make_venv() -> None:
    """A virtual environment of this Python; made anew when the old one cannot run."""
    if PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], check=False).returncode == 0:
        return
    say("making .venv")
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", VENV], check=False, capture_output=True, text=True
    )
    if made.returncode != 0:
        raise MissingToolError(
            "this Python cannot make virtual environments "
            f"(Debian: `apt-get install python3-venv`):\n{made.stdout}{made.stderr}"
        )


def install_dependencies() -> None:
    """Everything in the lock file, each checked against its hash."""
    stamp = STAMPS / "dependencies"
    state = digest([LOCK])
    if is_done(stamp, state):
        return
    say("installing dependencies")
    # The lock file names everything, so there is nothing to resolve. Older versions of pip would,
    # and take the newest `name[extra]` of the index where the lock file pins an earlier `name`.
    pip("install", "--no-deps", "--require-hashes", "--requirement", LOCK)
    pip("check")
    mark_done(stamp, state)


def make_portal() -> None:
    """The owners' pages as static files, where the server's wheel takes them from.

    Without Node the server is built without them, and says so where they would be.
    """
    if (lack := missing_node()) is not None:
        say(f"building without the web portal: {lack}")
        # Pages of an earlier state could ask the server for what it no longer has.
        shutil.rmtree(EXPORT, ignore_errors=True)
        return
    stamp = STAMPS / "portal"
    state = digest([PORTAL, ROOT / "tools" / "compress_export.mjs"])
    if is_done(stamp, state) and EXPORT.is_dir():
        return
    install_node_modules()
    say("building lime-portal")
    npm("run", "build")
    out = PORTAL / "out"
    run("node", ROOT / "tools" / "compress_export.mjs", out)
    shutil.rmtree(EXPORT, ignore_errors=True)
    shutil.copytree(out, EXPORT)
    mark_done(stamp, state)


def missing_node() -> str | None:
    """What has to be installed before the portal can be built; None if it can."""
    wanted = "install Node.js 20.9 or newer with npm to have it"
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return f"{wanted} (https://nodejs.org)"
    found = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout
    if tuple(int(part) for part in found.strip().lstrip("v").split(".")[:2]) < LEAST_NODE:
        return f"{wanted}, this is {found.strip()}"
    return None


def install_node_modules() -> None:
    """Everything in the portal's lock file, each checked against its hash; none runs a script.

    Raises MissingToolError when the lock file is not that of package.json.
    """
    stamp = STAMPS / "node_modules"
    state = digest([PORTAL / "package.json", PORTAL / "package-lock.json"])
    if is_done(stamp, state) and (PORTAL / "node_modules").is_dir():
        return
    say("installing the portal's dependencies")
    check_npm_lock()
    # Not `npm ci`: it insists on entries for every platform that a binary exists for, also when the
    # lock file was written where only some of them are to be had.
    shutil.rmtree(PORTAL / "node_modules", ignore_errors=True)
    npm("install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund")
    mark_done(stamp, state)


def check_npm_lock() -> None:
    """Refuse a lock file that was not written anew when package.json changed."""
    asked = json.loads((PORTAL / "package.json").read_text())
    locked = json.loads((PORTAL / "package-lock.json").read_text())["packages"][""]
    for kind in ("dependencies", "devDependencies"):
        if asked.get(kind) != locked.get(kind):
            raise MissingToolError(
                "packages/lime-portal/package-lock.json is not that of package.json. "
                "Run `npm install` there and commit what it writes."
            )


def npm(*arguments: str) -> None:
    # By its whole name: on Windows it is a script, which only a shell would find.
    run(shutil.which("npm"), *arguments, cwd=PORTAL)


def install_wheel(name: str, build: Callable[[str, Path], None], sources: list[Path]) -> None:
    """Build one of our packages and install the result, never the source tree."""
    stamp = STAMPS / name
    state = digest(sources)
    if is_done(stamp, state):
        return
    say(f"building {name}")
    with tempfile.TemporaryDirectory() as folder:
        wheels = Path(folder)
        build(name, wheels)
        (wheel,) = wheels.glob("*.whl")
        pip("install", "--no-deps", "--no-index", "--force-reinstall", wheel)
        keep = ROOT / "dist"
        keep.mkdir(exist_ok=True)
        shutil.copy2(wheel, keep / wheel.name)
    mark_done(stamp, state)


def build_crate(name: str, wheels: Path) -> None:
    """An abi3 wheel by maturin, in release mode, from the committed Cargo.lock."""
    manifest = ROOT / "crates" / name / "python" / "Cargo.toml"
    run(
        PYTHON, "-m", "maturin", "build", "--release", "--locked",
        "--interpreter", PYTHON, "--manifest-path", manifest, "--out", wheels,
    )  # fmt: skip


def build_package(name: str, wheels: Path) -> None:
    """A pure wheel by hatchling, which the lock file pins."""
    run(
        PYTHON, "-m", "hatchling", "build", "--target", "wheel", "--directory", wheels,
        cwd=ROOT / "packages" / name,
    )  # fmt: skip


def rust_sources(crate: str) -> list[Path]:
    """What a crate's wheel depends on; tests do not go into it."""
    return [ROOT / "crates" / crate, ROOT / "Cargo.toml", ROOT / "Cargo.lock"]


def digest(sources: Iterable[Path]) -> str:
    """A digest over the interpreter and the named files, so that a change of either is seen."""
    state = hashlib.sha256(sys.version.encode())
    for path in files(sources):
        state.update(str(path.relative_to(ROOT)).encode())
        state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def files(sources: Iterable[Path]) -> Iterator[Path]:
    """Every source file below `sources`, in a fixed order."""
    left_out = {"__pycache__", "tests", "fuzz", "target"}
    left_out |= {"node_modules", ".next", "generated", "out"}
    for source in sources:
        if source.is_file():
            yield source
            continue
        for path in sorted(source.rglob("*")):
            made = path.name == "next-env.d.ts" or path.suffix == ".tsbuildinfo"
            if path.is_file() and not made and not left_out & set(path.relative_to(ROOT).parts):
                yield path


def is_done(stamp: Path, state: str) -> bool:
    return stamp.exists() and stamp.read_text() == state


def mark_done(stamp: Path, state: str) -> None:
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(state)


def pip(*arguments: object) -> None:
    run(PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


def run(*command: object, cwd: Path = ROOT) -> None:
    """Run a step; what it prints is shown only when it fails."""
    arguments = [str(part) for part in command]
    environment = {**os.environ, "NEXT_TELEMETRY_DISABLED": "1"}
    done = subprocess.run(
        arguments, check=False, cwd=cwd, env=environment, capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        done.check_returncode()


def say(what: str) -> None:
    print(f"lime: {what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
