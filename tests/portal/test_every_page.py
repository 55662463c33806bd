from tests.portal import checks


def test_x(visitor):
    page = visitor.page
    scripts = checks.Scripts(visitor.context.new_cdp_session(page))
    page.goto("/register/")
    checks.inspect(page, "register")
    print(scripts.bytes_of, scripts.total)
    assert scripts.total < 200000
