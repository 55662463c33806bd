"""Every page: axe finds nothing, nothing jumps, it fits a phone, and its picture is kept."""

import pytest

from tests.portal import checks

PUBLIC = {
    "register": "Register",
    "verify": "Prove your address",
    "login": "Sign in",
    "forgot": "Another password",
}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_page_for_everybody_is_accessible_calm_and_fits(visitor, name):
    visitor.page.goto(f"/{name}/")
    visitor.see(PUBLIC[name])
    checks.inspect(visitor.page, name)
