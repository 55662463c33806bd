"""What docs/mcp.md says is shown by a test is shown by a test that is there."""

import re

import pytest

from tests.docs.test_documents import ROOT, tracked

PAGE = (ROOT / "docs" / "mcp.md").read_text()
HEADINGS = ("The authorization server", "The resource server", "The client")
LEVEL = re.compile(r"\(?(?:MUST|SHOULD|MAY)\)?")
TEST = re.compile(r"`([\w/.-]+\.py)::(test_\w+)`")
FILES = tracked("*.py")


def rows(heading):
    """The cells of each row of the table below a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


ROWS = [(heading, row) for heading in HEADINGS for row in rows(heading)]
NAMED = sorted({found for _, row in ROWS for found in TEST.findall(row[-1])})


def test_there_are_requirements_of_every_party():
    assert {heading for heading, _ in ROWS} == set(HEADINGS)
    assert len(ROWS) > 50


@pytest.mark.parametrize(("heading", "row"), ROWS, ids=lambda value: str(value)[:40])
def test_every_requirement_has_a_level_and_a_test_or_a_reason(heading, row):
    _, level, here, shown_by = row
    assert LEVEL.fullmatch(level)
    named = TEST.findall(shown_by)
    # Nothing stands there that is not the name of a test.
    assert TEST.sub("", shown_by).strip(" ,") == ""
    assert named or here.startswith("none: ")


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda value: value[:60])
def test_every_test_that_is_named_exists(file, name):
    (found,) = [path for path in FILES if str(path).endswith(f"/{file}")]
    assert re.search(rf"^(?:async )?def {name}\(", found.read_text(), re.MULTILINE), found
