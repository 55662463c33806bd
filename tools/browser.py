"""Run a command with a Chromium behind `LIME_TEST_CHROMIUM`, the path of its program.

    python tools/browser.py pytest tests/portal

As root on Debian it installs what is missing. Elsewhere it uses what is installed, and where there
is nothing to use it says so and leaves the command out, except under CI, where that is a failure.
Without a command it only installs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Debian's name first; the others are what the same program is called elsewhere.
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Chromium brings no fonts, and a page of boxes has neither the width nor the contrast of text.
PACKAGES = ("chromium", "fonts-dejavu-core", "fonts-liberation")
FONTS = Path("/usr/share/fonts")


class NotHereError(Exception):
    """This machine has no such browser and no way for us to install it."""


def main(command: list[str]) -> int:
    """Run `command` with a browser. Returns its exit status."""
    try:
        browser = find_or_install()
    except NotHereError as reason:
        print(f"left out: {reason}", file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    print(f"browser: {version(browser)}", flush=True)
    if not command:
        return 0
    environment = {**os.environ, "LIME_TEST_CHROMIUM": str(browser)}
    return subprocess.run(command, env=environment, check=False).returncode


def find_or_install() -> Path:
    """The browser's program.

    Raises:
        NotHereError: if there is none, and nothing that we could install it with.
    """
    if (found := find()) is not None:
        return found
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise NotHereError(
            "no Chromium with fonts, and only root on Debian can install them "
            f"(`apt-get install {' '.join(PACKAGES)}`)"
        )
    apt("update")
    apt("install", "--no-install-recommends", *PACKAGES)
    if (found := find()) is None:
        raise NotHereError("Debian's package did not bring the program we expected")
    return found


def find() -> Path | None:
    """What is installed already, if it can also draw text."""
    if sys.platform == "linux" and not any(FONTS.rglob("*.[ot]tf")):
        return None
    paths = (shutil.which(name) for name in NAMES)
    return next((Path(path) for path in paths if path), None)


def apt(*arguments: str) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(
        ["apt-get", "-qq", "-y", "-o", "Dpkg::Use-Pty=0", *arguments],
        check=True,
        env=quiet,
        stdout=sys.stderr,
    )


def version(program: Path) -> str:
    done = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
