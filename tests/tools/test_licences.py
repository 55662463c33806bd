import pytest

from tools import licences


@pytest.mark.parametrize(
    "expression",
    ["MIT", "MIT OR Apache-2.0", "GPL-3.0-only OR MIT", "(MIT OR X) AND ISC", "MIT/Apache-2.0",
     "Apache-2.0 WITH LLVM-exception", "ISC AND (Apache-2.0 OR ISC) AND OpenSSL"],
)  # fmt: skip
def test_a_licence_we_can_choose_is_accepted(expression):
    assert licences.is_allowed(expression)


@pytest.mark.parametrize(
    "expression",
    ["", "GPL-3.0-only", "MIT AND AGPL-3.0-only", "Proprietary", "MIT OR", "(MIT", "MIT)"],
)
def test_a_licence_we_cannot_choose_is_refused(expression):
    assert not licences.is_allowed(expression)


class Described:
    def __init__(self, **about):
        self.metadata = type("Metadata", (), {"json": about})()


def test_a_classifier_is_read_where_there_is_no_expression():
    old = Described(classifier=["Topic :: X", "License :: OSI Approved :: BSD License"])
    assert licences.licence_of(old) == "BSD-3-Clause"


def test_free_text_is_read_where_there_is_nothing_else():
    assert licences.licence_of(Described(license="MIT License\nlong text")) == "MIT"


def test_a_text_that_names_no_known_licence_stays_as_it_is_and_is_refused():
    said = licences.licence_of(Described(license="Ask us first"))
    assert said == "Ask us first"
    assert not licences.is_allowed(said)


def test_an_offending_distribution_is_named_and_fails_the_check(monkeypatch, capsys):
    bad = Described(license_expression="GPL-3.0-only")
    bad.name, bad.version = "bad", "1.0"
    tool = Described(license="Artistic License")
    tool.name = "text-unidecode"
    monkeypatch.setattr(licences.metadata, "distributions", lambda: [bad, tool])
    monkeypatch.setattr(licences, "crates", list)
    monkeypatch.setattr(licences, "npm_packages", lambda lock: [])
    assert licences.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "bad 1.0: GPL-3.0-only"


def test_a_package_of_the_portal_needs_a_licence_unless_it_stays_out_of_the_pages():
    lock = {
        "packages": {
            "": {"license": "Ask us"},
            "node_modules/good": {"version": "1", "license": "(MIT OR CC0-1.0)"},
            "node_modules/good/node_modules/@bad/one": {"version": "2", "license": "AGPL-3.0-only"},
            "node_modules/silent": {"version": "3"},
            "node_modules/tool": {"version": "4", "license": "Ask us", "dev": True},
            "node_modules/binary": {"version": "5", "license": "Ask us", "optional": True},
            "node_modules/caniuse-lite": {"version": "6", "license": "CC-BY-4.0"},
        }
    }
    assert licences.npm_packages(lock) == [
        "npm @bad/one 2: AGPL-3.0-only",
        "npm silent 3: no licence stated",
    ]


def test_a_tool_that_goes_into_nothing_we_ship_may_ask_more_of_those_who_pass_it_on(monkeypatch):
    tool = Described(license_expression="Artistic-1.0-Perl OR GPL-1.0-or-later")
    tool.name, tool.version = "text-unidecode", "1.3"
    monkeypatch.setattr(licences.metadata, "distributions", lambda: [tool])
    assert licences.distributions() == []
