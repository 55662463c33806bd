"""Questions that are put together, and what becomes of each."""

import asyncio

import pytest

from lime_server.core.errors import Unavailable
from lime_server.core.origin import Origin, coming_from, current_origin
from lime_server.infrastructure.grouping import Grouped


class Engine:
    """Answers a question by its double, when it is let."""

    def __init__(self, *, at_once=1, most=64):
        self.groups = []
        self.may_answer = asyncio.Event()
        self.was_asked = asyncio.Event()
        self.fail = {}
        self.ask = Grouped(self.answer, at_once=at_once, most=most)

    async def answer(self, questions):
        self.groups.append(questions)
        self.was_asked.set()
        await self.may_answer.wait()
        for question in questions:
            if question in self.fail:
                raise self.fail[question]
        return [question * 2 for question in questions]

    def asking(self, *questions):
        return [asyncio.ensure_future(self.ask(question)) for question in questions]

    async def has_groups(self, count):
        while len(self.groups) < count:
            await self.was_asked.wait()
            self.was_asked.clear()


async def test_what_is_asked_in_one_turn_of_the_loop_travels_together():
    engine = Engine()
    engine.may_answer.set()
    assert await asyncio.gather(*engine.asking(1, 2, 3)) == [2, 4, 6]
    assert engine.groups == [[1, 2, 3]]


async def test_what_arrives_while_an_answer_travels_makes_up_the_next_group():
    engine = Engine()
    first = engine.asking(1)
    await engine.has_groups(1)
    late = engine.asking(2, 3)
    await asyncio.sleep(0)
    # Nobody's question joins a group that is under way: its answer may be older than the question.
    assert engine.groups == [[1]]
    engine.may_answer.set()
    assert await asyncio.gather(*first, *late) == [2, 4, 6]
    assert engine.groups == [[1], [2, 3]]


async def test_as_many_groups_as_allowed_travel_at_once():
    engine = Engine(at_once=2)
    asked = []
    for question in (1, 2, 3):
        asked += engine.asking(question)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert engine.groups == [[1], [2]]
    engine.may_answer.set()
    assert await asyncio.gather(*asked) == [2, 4, 6]


async def test_a_group_has_a_greatest_size():
    engine = Engine(most=2)
    engine.may_answer.set()
    assert await asyncio.gather(*engine.asking(1, 2, 3)) == [2, 4, 6]
    assert engine.groups == [[1, 2], [3]]


async def test_somebody_elses_bad_question_harms_nobody():
    engine = Engine()
    engine.fail[2] = ValueError("bad")
    engine.may_answer.set()
    one, two, three = await asyncio.gather(*engine.asking(1, 2, 3), return_exceptions=True)
    assert (one, three) == (2, 6)
    assert isinstance(two, ValueError)
    assert engine.groups == [[1, 2, 3], [1], [2], [3]]


async def test_an_engine_that_is_away_is_not_asked_again_for_each():
    engine = Engine()
    engine.fail[2] = Unavailable()
    engine.may_answer.set()
    answers = await asyncio.gather(*engine.asking(1, 2, 3), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    assert engine.groups == [[1, 2, 3]]


async def test_a_line_behind_an_engine_that_says_nothing_is_told_at_once():
    engine = Engine(most=1)
    engine.fail[1] = Unavailable()
    first, second, third = engine.asking(1, 2, 3)
    await engine.has_groups(1)
    # Who comes while it is silent has not waited through all of that, and may be luckier.
    (late,) = engine.asking(4)
    await asyncio.sleep(0)
    engine.may_answer.set()
    answers = await asyncio.gather(first, second, third, late, return_exceptions=True)
    assert [type(answer) for answer in answers[:3]] == [Unavailable] * 3
    assert answers[3] == 8
    assert engine.groups == [[1], [4]]


async def test_who_is_cancelled_in_time_has_not_asked():
    engine = Engine()
    first, second, third = engine.asking(1, 2, 3)
    await asyncio.sleep(0)
    second.cancel()
    engine.may_answer.set()
    assert await asyncio.gather(first, third) == [2, 6]
    assert engine.groups == [[1, 3]]


async def test_a_group_that_nobody_waits_for_any_more_is_not_asked():
    engine = Engine()
    (only,) = engine.asking(1)
    await asyncio.sleep(0)
    only.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert engine.groups == []
    engine.may_answer.set()
    assert await engine.ask(2) == 4


@pytest.mark.parametrize("failing", [False, True])
async def test_who_is_cancelled_too_late_leaves_the_others_alone(failing):
    engine = Engine()
    if failing:
        engine.fail[2] = Unavailable()
    first, second = engine.asking(1, 2)
    await engine.has_groups(1)
    first.cancel()
    engine.may_answer.set()
    (answer,) = await asyncio.gather(second, return_exceptions=True)
    assert first.cancelled()
    assert isinstance(answer, Unavailable) if failing else answer == 4


async def test_nobody_waits_for_a_group_whose_end_was_cut_off():
    engine = Engine()
    asked = engine.asking(1, 2)
    await engine.has_groups(1)
    (asker,) = engine.ask._askers
    asker.cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 2
    engine.may_answer.set()
    assert await engine.ask(3) == 6


async def test_a_question_in_the_turn_in_which_an_asker_ends_finds_another():
    engine = Engine()
    engine.may_answer.set()
    for question in range(100):
        # Asked by whoever was answered, which is while that asker is about to end.
        assert await engine.ask(question) == question * 2
    assert len(engine.groups) == 100


async def test_a_group_belongs_to_no_request():
    seen = []

    async def answer(questions):
        seen.append(current_origin())
        return questions

    with coming_from(Origin("r1")):
        await Grouped(answer)(1)
    assert seen == [Origin()]
