"""What watches over the other tests sees what it is there for."""

import pytest

from tests.portal import checks

POLICY = {"Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline'"}
STRICT = {"Content-Security-Policy": "default-src 'self'"}


@pytest.fixture
def show(visitor):
    """Shows a page of ours that we would never make; what it did is forgotten afterwards."""

    def show(body, headers=POLICY):
        html = f"<!doctype html><html lang=en><title>Bad</title><main><h1>Bad</h1>{body}</main>"
        visitor.context.route(
            "**/bad/",
            lambda route: route.fulfill(body=html, content_type="text/html", headers=headers),
        )
        visitor.page.goto("/bad/")
        return visitor.page

    yield show
    visitor.watch.faults.clear()


@pytest.mark.parametrize(
    ("body", "headers", "said"),
    [
        ("<script>console.error('oh')</script>", POLICY, "console: oh"),
        ("<script>setTimeout(() => { throw new Error('lost') })</script>", POLICY, "lost"),
        ("<img alt='' src='https://cdn.example/a.png'>", {}, "request elsewhere"),
        ("<img alt='' src='https://cdn.example/a.png'>", STRICT, "policy: img-src"),
        ("<script>1</script>", STRICT, "policy: script-src-elem"),
        ("<p style='color: red'>x</p>", STRICT, "policy: style-src-attr"),
        ("<img alt='' src='/no-such-picture.png'>", POLICY, "404"),
    ],
)
def test_what_no_page_may_do_is_noticed(show, visitor, body, headers, said):
    # Whatever the page had still to do is done before this.
    show(body, headers).evaluate("() => new Promise((go) => setTimeout(go))")
    with pytest.raises(AssertionError, match=said):
        visitor.watch.assert_nothing_happened()


def test_a_page_that_is_too_wide_is_noticed(show):
    page = show("<pre>" + "w" * 500)
    page.set_viewport_size({"width": 360, "height": 800})
    with pytest.raises(AssertionError, match="too wide"):
        checks.assert_fits(page)


def test_a_picture_without_a_text_is_noticed(show):
    with pytest.raises(AssertionError, match="image-alt"):
        checks.assert_accessible(show("<img src='/icon.svg'>"))


def test_what_can_be_read_in_light_only_is_noticed(show):
    style = "@media (prefers-color-scheme: dark) { h1 { color: #eee; } }"
    page = show(f"<style>{style}</style>", headers={})
    with pytest.raises(AssertionError, match=r"in dark.*color-contrast"):
        checks.assert_accessible(page)


def test_a_page_that_jumps_is_noticed(show):
    late = "document.querySelector('h1').style.marginTop = '300px'"
    script = f"requestAnimationFrame(() => requestAnimationFrame(() => {{ {late} }}))"
    page = show(f"<p>{'word ' * 2000}</p><script>{script}</script>")
    page.wait_for_function("document.querySelector('h1').style.marginTop !== ''")
    with pytest.raises(AssertionError, match="shifted"):
        checks.assert_calm(page)


def test_heavy_pages_are_noticed(show, visitor):
    scripts = checks.Scripts(visitor.context.new_cdp_session(visitor.page))
    visitor.context.route(
        "**/heavy.js",
        lambda route: route.fulfill(
            body=f"'{'x' * checks.MAX_SCRIPT_BYTES}'", content_type="text/javascript"
        ),
    )
    show("<script src='/heavy.js'></script>")
    with pytest.raises(AssertionError, match=r"heavy\.js"):
        scripts.assert_light()
