"""Lays out one target as mutmut wants it: `src` and `tests` in a folder of its own.

mutmut names mutants after the path below `src`, and imports what it changed from a copy of that
folder. So the packages of this repository cannot be mutated where they are, beside their installed
wheels.
"""

import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]

CONFIGURATION = """\
[tool.mutmut]
source_paths = ["src/"]
only_mutate = ["src/{mutated}"]
pytest_add_cli_args = [{arguments}]
pytest_add_cli_args_test_selection = [{selection}]
# Logs are for people, and failpoints (`reach`) exist in test builds alone, for `tests/chaos`.
do_not_mutate_patterns = ['log\\.\\w+', 'await reach']

[tool.pytest.ini_options]
addopts = ["--import-mode=importlib", "-p", "no:cacheprovider"]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
asyncio_default_test_loop_scope = "function"
timeout = 60
filterwarnings = ["error"]
"""


@dataclass(frozen=True)
class Target:
    """A file whose mutants tests must notice."""

    mutated: str
    """Below `sources`."""
    sources: str
    tests: str
    selection: tuple[str, ...]
    """The narrowest fast tests of it, below `tests`."""
    arguments: tuple[str, ...] = ()
    compiled: str | None = None
    """A package whose compiled half is taken from where it is installed."""


TARGETS = {
    "lime-sites-jwks": Target(
        "lime_sites/_jwks.py",
        "packages/lime-sites-sdk/src",
        "packages/lime-sites-sdk/tests",
        ("test_jwks.py",),
    ),
    "lime-jwt": Target(
        "lime_jwt/errors.py",
        "crates/lime-jwt/python",
        "crates/lime-jwt/python/tests",
        # The others are about the compiled half, which is mutated as Rust.
        ("test_module.py",),
        ("-k", "errors_keep or every_error"),
        compiled="lime_jwt",
    ),
    "site-login": Target(
        "lime_server/modules/site_login/service.py",
        "packages/lime-server/src",
        "packages/lime-server/tests/login",
        ("test_service.py", "test_given_out.py"),
        # The same rules hold on both kinds of stores, and this one starts at once.
        ("-k", "not postgres"),
    ),
}


def lay_out(name: str, folder: Path) -> None:
    """Make `folder` anew for the target `name`."""
    target = TARGETS[name]
    shutil.rmtree(folder, ignore_errors=True)
    package = target.mutated.partition("/")[0]
    no_caches = shutil.ignore_patterns("__pycache__", "portal")
    shutil.copytree(ROOT / target.sources / package, folder / "src" / package, ignore=no_caches)
    shutil.copytree(ROOT / target.tests, folder / "tests", ignore=no_caches)
    # Imported by tests as what it is here, too.
    shutil.copytree(ROOT / "tests/support", folder / "tests/support", ignore=no_caches)
    if target.compiled is not None:
        spec = find_spec(f"{target.compiled}._native")
        assert spec is not None
        assert spec.origin is not None
        shutil.copy(spec.origin, folder / "src" / package)
    (folder / "pyproject.toml").write_text(
        CONFIGURATION.format(
            mutated=target.mutated,
            arguments=", ".join(f'"{argument}"' for argument in target.arguments),
            selection=", ".join(f'"tests/{test}"' for test in target.selection),
        )
    )


if __name__ == "__main__":
    lay_out(sys.argv[1], Path(sys.argv[2]))
