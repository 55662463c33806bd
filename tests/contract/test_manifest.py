"""The manifest and the tests hold each other: nothing promised is untested, nothing tested is unpromised."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.promises import PROMISES, promise

FOLDER = Path(__file__).parent


def _tests(source: str) -> Iterator[tuple[str, set[str], bool]]:
    """Every test of a file: its name, the promises it is marked with, and whether something may keep it from running."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test_"
        ):
            promised, hindered = set(), False
            for decorator in node.decorator_list:
                text = ast.unparse(decorator)
                if isinstance(decorator, ast.Call) and text.startswith("promise("):
                    promised |= {ast.literal_eval(each) for each in decorator.args}
                hindered |= ".skip" in text or ".xfail" in text
            yield node.name, promised, hindered


def _everything() -> Iterator[tuple[str, str, set[str], bool]]:
    for file in sorted(FOLDER.rglob("test_*.py")):
        if file != Path(__file__):
            for name, promised, hindered in _tests(file.read_text()):
                yield file.name, name, promised, hindered


def test_every_promise_has_a_test() -> None:
    kept = set().union(*(promised for _, _, promised, hindered in _everything() if not hindered))
    assert set(PROMISES) - kept == set()


def test_every_test_keeps_a_promise() -> None:
    assert [f"{file}: {name}" for file, name, promised, _ in _everything() if not promised] == []


def test_every_test_names_promises_that_exist() -> None:
    assert [
        (file, name) for file, name, promised, _ in _everything() if promised - set(PROMISES)
    ] == []


def test_no_promise_is_tested_by_nothing_but_a_file_that_pytest_does_not_collect() -> None:
    # `rglob` above sees test_*.py; pytest sees the same, unless somebody configures it otherwise.
    stray = [
        file
        for file in FOLDER.rglob("*.py")
        if not file.name.startswith("test_") and "@promise(" in file.read_text()
    ]
    assert stray == []


def test_a_misspelt_promise_fails_where_it_is_written() -> None:
    with pytest.raises(KeyError):
        promise("site-login:aprove")


def test_every_promise_names_a_section_and_makes_a_sentence() -> None:
    headings = (FOLDER.parents[1] / "docs" / "protocol.md").read_text()
    for identifier, each in PROMISES.items():
        number = each.source.removeprefix("protocol ").split(",")[0]
        assert f"\n## {number}. " in headings, identifier
        assert each.says.endswith("."), identifier


def test_the_search_for_tests_sees_what_it_should() -> None:
    source = '@promise("a", "b")\n@pytest.mark.skip\nasync def test_one(): ...\nclass T:\n    def test_two(self): ...\ndef helper(): ...\n'
    assert list(_tests(source)) == [("test_one", {"a", "b"}, True), ("test_two", set(), False)]
