import sys

import pytest

from lime_sdk_core._late import Late


@pytest.fixture
def unloaded(tmp_path, monkeypatch):
    (tmp_path / "lime_late_example.py").write_text("answer = [42]\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "lime_late_example"
    sys.modules.pop("lime_late_example", None)


def test_the_module_is_imported_at_the_first_look(unloaded):
    late = Late(unloaded)
    assert unloaded not in sys.modules
    assert late.answer == [42]
    assert unloaded in sys.modules


def test_what_was_found_once_is_at_hand(unloaded):
    late = Late(unloaded)
    assert late.answer is late.answer
    assert vars(late)["answer"] is sys.modules[unloaded].answer


def test_what_the_module_lacks_is_lacking(unloaded):
    with pytest.raises(AttributeError, match="question"):
        _ = Late(unloaded).question
