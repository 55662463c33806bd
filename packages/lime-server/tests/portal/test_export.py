"""What is read of an export, and what stands in its place when there is none."""

import hashlib
from base64 import b64encode
from html.parser import HTMLParser

import pytest

from lime_server.infrastructure.web.portal_export import LINKED, NO_PORTAL, read_export


class Inline(HTMLParser):
    """Collects inline scripts and styles as a browser's parser finds them."""

    def __init__(self):
        super().__init__(convert_charrefs=False)
        self.found = {"script": [], "style": []}
        self.within = None

    def handle_starttag(self, tag, attrs):
        if tag in self.found and "src" not in dict(attrs):
            self.within = tag
            self.found[tag].append("")

    def handle_endtag(self, tag):
        self.within = None

    def handle_data(self, data):
        if self.within:
            self.found[self.within][-1] += data


def source(text):
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_paths_are_those_of_urls_and_pages_end_with_a_slash(export):
    assert set(export.files) == {
        "/",
        "/agents/",
        "/agents/index.txt",
        "/agents/one/",
        "/connect/",
        "/favicon.ico",
        "/icon.svg",
        "/odd.bin",
        "/_next/static/chunks/0a[id].js",
        "/_next/static/chunks/a.css",
        "/_next/static/lime-portal/_buildManifest.js",
    }
    assert b"lost" in export.not_found.body


def test_the_icon_is_also_where_browsers_look_for_one_by_themselves(export, tmp_path):
    icon, default = export.files["/icon.svg"], export.files["/favicon.ico"]
    assert (default.body, default.content_type) == (icon.body, "image/svg+xml")
    for name in ("index.html", "404.html"):
        (tmp_path / name).write_text("")
    assert "/favicon.ico" not in read_export(tmp_path).files


def test_content_types_are_known_or_say_nothing(export):
    assert export.files["/"].content_type == "text/html; charset=utf-8"
    assert export.files["/odd.bin"].content_type == "application/octet-stream"


def test_only_what_is_called_after_its_content_may_be_kept_for_ever(export):
    kept = {path for path, file in export.files.items() if file.is_immutable}
    assert kept == {"/_next/static/chunks/0a[id].js", "/_next/static/chunks/a.css"}


def test_a_repr_holds_no_file(export):
    assert "__next" not in repr(export).replace("/_next", "")


def test_hashes_are_of_what_a_parser_finds_inline(export):
    page = export.files["/"]
    parser = Inline()
    parser.feed(page.body.decode())
    scripts = [source(text) for text in parser.found["script"]]
    assert len(scripts) == 4
    assert page.script_hashes() == tuple(dict.fromkeys(scripts))
    assert page.style_hashes() == (source("main{color:red}"),)


def test_only_pages_have_inline_parts(export):
    icon = export.files["/icon.svg"]
    assert (icon.script_hashes(), icon.style_hashes()) == ((), ())


def test_an_absent_export_is_a_notice_at_every_page_that_is_linked(tmp_path):
    absent = read_export(tmp_path / "portal")
    assert absent is NO_PORTAL
    assert set(absent.files) == set(LINKED)
    assert absent.not_found is None


@pytest.mark.parametrize("only", [[], ["404.html"], ["index.html"]])
def test_a_folder_that_is_no_export_is_refused(tmp_path, only):
    for name in only:
        (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match="no export"):
        read_export(tmp_path)
