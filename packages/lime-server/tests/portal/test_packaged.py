"""The pages that this build really has, held against the policy that they are served under."""

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from lime_server.infrastructure.web.portal_export import LINKED, NO_PORTAL, PACKAGED, read_export


@pytest.fixture(scope="module")
def packaged():
    export = read_export(PACKAGED)
    if export is NO_PORTAL:
        pytest.skip("this build has no portal")
    return export


def pages(export):
    return [file for file in (*export.files.values(), export.not_found) if file.is_page]


def test_every_page_that_something_links_to_is_there(packaged):
    assert set(LINKED) <= set(packaged.files)


class Reader(HTMLParser):
    """Writes down what a policy of hashes refuses, and whatever is not of this origin."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.refused = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            loaded = name in {"src", "srcset", "action", "formaction"} or (
                name == "href" and tag in {"link", "base", "use", "image"}
            )
            foreign = loaded and not re.match(r"/(?!/)|data:image/", value or "")
            if name == "style" or name.startswith("on") or foreign:
                self.refused.append((self.path, tag, name, value))


def test_nothing_stands_in_a_page_that_its_policy_refuses(packaged):
    refused = []
    for page in pages(packaged):
        reader = Reader(page.path)
        reader.feed(page.body.decode())
        refused += reader.refused
    assert refused == []


def test_every_inline_script_is_seen(packaged):
    for page in pages(packaged):
        opened = re.findall(rb"<script(?![^>]*\ssrc=)", page.body)
        found = re.findall(rb"<script(?![^>]*\ssrc=)[^>]*>.*?</script>", page.body, re.DOTALL)
        assert len(opened) == len(found)
        assert page.script_hashes()


def test_everything_worth_it_is_packed_and_best_is_smallest(packaged):
    for file in packaged.files.values():
        if file.is_page or (file.path.endswith((".js", ".css")) and len(file.body) > 2000):
            sizes = [len(file.encoded[coding]) for coding in ("br", "gzip")] + [len(file.body)]
            assert all(small <= large for small, large in pairwise(sizes)), file.path
