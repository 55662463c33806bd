"""The servers' common clock: the database's, whatever a machine's own says."""

import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from lime_server.core.errors import Unavailable
from lime_server.infrastructure.postgres import clock as module
from lime_server.infrastructure.postgres.clock import DatabaseClock
from lime_server.infrastructure.postgres.pool import Database, open_database

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Answers:
    """A database that is asked for the time. Each answer costs what `monotonic` moves by."""

    def __init__(self, *answers: datetime | Exception) -> None:
        self.answers: Iterator[datetime | Exception] = iter(answers)

    async def fetchval(self, query: str) -> datetime:
        answer = next(self.answers, RuntimeError("nothing more was expected"))
        if isinstance(answer, Exception):
            raise answer
        return answer


def ticking(*readings: float) -> Iterator[float]:
    return iter(readings)


def clock_of(answers: Answers, *readings: float) -> DatabaseClock:
    return DatabaseClock(answers, monotonic=ticking(*readings).__next__)  # type: ignore[arg-type]


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    async with open_database(postgres_url, size=2, patience=20) as opened:
        yield opened


async def test_it_says_what_postgresql_says(database: Database):
    clock = DatabaseClock(database)
    await clock.look()
    before = await database.fetchval("SELECT clock_timestamp()")
    now = clock.now()
    after = await database.fetchval("SELECT clock_timestamp()")
    assert before - timedelta(seconds=1) <= now <= after + timedelta(seconds=1)
    assert now.tzinfo is UTC


async def test_between_looks_the_monotonic_clock_carries_it_on():
    # Asked at 100, answered at 102: it was noon at 101.
    clock = clock_of(Answers(NOON), 100.0, 102.0, 111.0)
    await clock.look()
    assert clock.now() == NOON + timedelta(seconds=10)


async def test_an_answer_that_took_long_does_not_replace_a_good_one():
    clock = clock_of(Answers(NOON, NOON), 0.0, 0.0, 10.0, 10.0 + module.LONGEST_LOOK + 0.1, 20.0)
    await clock.look()
    await clock.look()
    assert clock.now() == NOON + timedelta(seconds=20)


async def test_a_database_with_another_time_is_followed():
    later = NOON + timedelta(hours=1)
    clock = clock_of(Answers(NOON, later), 0.0, 0.0, 10.0, 10.0, 10.0)
    await clock.look()
    await clock.look()
    assert clock.now() == later


def test_before_the_first_look_nothing_is_known():
    with pytest.raises(Unavailable):
        clock_of(Answers()).now()


async def test_it_looks_again_and_again_whatever_the_answer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    later = NOON + timedelta(hours=1)
    answers = Answers(NOON, Unavailable(), later)
    clock = clock_of(answers, *[0.0] * 7)
    await clock.look()
    # The fourth question has no answer prepared, and ends the loop.
    with pytest.raises(RuntimeError):
        await clock.run()
    assert clock.now() == later


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="has no clock of that kind")
def test_time_goes_on_while_the_machine_sleeps():
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= module.UPTIME() <= time.clock_gettime(time.CLOCK_BOOTTIME)
