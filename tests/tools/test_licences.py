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
    monkeypatch.setattr(licences.metadata, "distributions", lambda: [bad])
    monkeypatch.setattr(licences, "crates", list)
    assert licences.main() == 1
    assert "bad 1.0: GPL-3.0-only" in capsys.readouterr().err
