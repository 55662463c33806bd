"""What `import lime_sites` costs."""

import subprocess
import sys

#: What costs more to import than all of this package.
DEAR = {
    *("anyio", "click", "django", "fastapi", "httpcore", "httpx", "itsdangerous", "mcp"),
    *("pydantic", "pydantic_core", "rich", "starlette", "typer"),
}


def test_importing_imports_nothing_dear() -> None:
    assert not DEAR & modules_after("import lime_sites")


def test_a_client_has_loaded_everything_that_an_answer_needs() -> None:
    for name in ("LimeSite", "LimeSiteSync"):
        made = f"lime_sites.{name}(site_token='st_x', base_url='https://lime.example/api/v1')"
        loaded = modules_after(f"import lime_sites; {made}")
        assert {"httpx", "pydantic", "lime_sites._wire"} <= loaded


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded once it has run `code`."""
    return set(
        subprocess.run(
            [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout.split()
    )
