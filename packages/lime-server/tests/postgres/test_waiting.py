"""Waiting for a PostgreSQL that is not there yet."""

import gc

import asyncpg
import pytest

from lime_server.core.errors import Unavailable
from lime_server.infrastructure.postgres import waiting
from lime_server.infrastructure.postgres.pool import failures_as_unavailable
from lime_server.infrastructure.postgres.waiting import patiently


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(waiting, "LONGEST_PAUSE", 0.03)


async def test_it_is_asked_after_pauses_that_grow_until_it_answers(caplog):
    answers = [Unavailable(), Unavailable(), Unavailable(), "here"]

    async def attempt():
        answer = answers.pop(0)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    gc.disable()
    assert await patiently(attempt) == "here"
    assert gc.isenabled()
    pauses = [record.args[0] for record in caplog.records]
    assert pauses == [0.01, 0.02, 0.03]


async def test_patience_has_an_end(caplog):
    async def attempt():
        raise Unavailable

    with pytest.raises(Unavailable):
        await patiently(attempt, at_most=0.02)
    assert len(caplog.records) == 1


async def test_what_waiting_does_not_mend_is_not_waited_for():
    async def attempt():
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        await patiently(attempt)


@pytest.mark.parametrize(
    ("changes", "level", "says"),
    [
        ({"database": "no_such_database"}, "ERROR", "it has no database of the name"),
        ({"user": "no_such_user"}, "ERROR", "it refuses the user or the password"),
        ({"host": "/nonexistent"}, "WARNING", "it cannot be reached"),
    ],
)
async def test_what_an_operator_has_to_mend_is_told(postgres_url, caplog, changes, level, says):
    where = [changes, {}]

    async def attempt():
        with failures_as_unavailable():
            return await asyncpg.connect(postgres_url, **where.pop(0))

    connection = await patiently(attempt)
    await connection.close()
    (said,) = [record for record in caplog.records if "waiting for" in record.getMessage()]
    assert (said.levelname, says in said.getMessage()) == (level, True)
