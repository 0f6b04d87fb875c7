from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import ZillizServerError
from airflow_provider_zbackup.zilliz.flows.steps import Reply
from airflow_provider_zbackup.zilliz.models import Job
from airflow_provider_zbackup.zilliz.operations import describe_job
from airflow_provider_zbackup.zilliz.poll_cache import LONGEST_AGE, PollCache

DESCRIBE, OTHER = describe_job("job-1"), describe_job("job-2")


class Source:
    """Gives answers, one number after the other, when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.error: BaseException | None = None
        self.shared = PollCache()

    async def _ask(self) -> Reply[Job]:
        self.asked += 1
        number = self.asked
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return Reply(Job(job_id=str(number)))

    async def get(self, time: float, operation: Any = DESCRIBE, max_age: float = 0.0) -> str:
        reply: Reply[Job] = await self.shared.get(operation.accept_cached(max_age), time, self._ask)
        return reply.value.job_id


def playing(play: Callable[[Source], Awaitable[None]]) -> Callable[[], None]:
    """Make a test of something that is played with a source on an event loop."""

    def test() -> None:
        async def run() -> None:
            await play(Source())

        asyncio.run(run())

    return test


@playing
async def test_who_asks_at_once_shares_one_answer(source: Source) -> None:
    source.may_answer.clear()
    asking = [asyncio.create_task(source.get(float(time))) for time in range(5)]
    other = asyncio.create_task(source.get(0.0, OTHER))
    await asyncio.sleep(0)
    source.may_answer.set()
    assert len(set(await asyncio.gather(*asking))) == 1
    assert await other
    assert source.asked == 2


@playing
async def test_an_answer_is_shared_while_it_is_younger_than_one_is_content_with(source: Source) -> None:
    assert await source.get(100.0) == "1"
    assert await source.get(104.9, max_age=5.0) == "1"
    assert await source.get(105.0, max_age=5.0) == "2"
    assert await source.get(105.1, max_age=5.0) == "2"


@playing
async def test_no_answer_is_shared_that_is_too_old_however_content_one_is(source: Source) -> None:
    ages = (0.0, LONGEST_AGE - 1, LONGEST_AGE)
    assert [await source.get(age, max_age=10 * LONGEST_AGE) for age in ages] == ["1", "1", "2"]


@playing
async def test_who_wants_a_fresh_answer_gets_one_even_at_the_same_moment(source: Source) -> None:
    assert await source.get(100.0) == "1"
    assert await source.get(100.0) == "2"


@playing
async def test_a_failure_is_everybodys_own(source: Source) -> None:
    source.error = ZillizServerError("Down.", http_status=503)
    errors = await asyncio.gather(source.get(0.0), source.get(0.0), return_exceptions=True)
    assert source.asked == 1
    first, second = errors
    assert first is not second
    assert [str(error) for error in errors] == ["Down (HTTP 503)."] * 2


@playing
async def test_a_failure_is_not_kept(source: Source) -> None:
    source.error = ZillizServerError("Down.")
    with pytest.raises(ZillizServerError):
        await source.get(100.0, max_age=30.0)
    source.error = None
    assert await source.get(100.0, max_age=30.0) == "2"
    assert await source.get(101.0, max_age=30.0) == "2"


@playing
async def test_who_asked_first_may_go_while_others_wait(source: Source) -> None:
    source.may_answer.clear()
    first, second = (asyncio.create_task(source.get(0.0)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    source.may_answer.set()
    assert await second == "1"
    assert first.cancelled()
    assert source.asked == 1


@playing
async def test_old_answers_are_dropped(source: Source) -> None:
    await source.get(0.0)
    source.error = ZillizServerError("Down.")
    with pytest.raises(ZillizServerError):
        await source.get(1.0, OTHER)
    source.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await source.get(2.0, describe_job("job-3"))
    source.error = None
    await source.get(3.0 + LONGEST_AGE, describe_job("job-4"))
    assert list(source.shared._asked) == [describe_job("job-4")]


@playing
async def test_what_is_being_asked_is_not_dropped(source: Source) -> None:
    source.may_answer.clear()
    asking = asyncio.create_task(source.get(0.0))
    await asyncio.sleep(0)
    later = asyncio.create_task(source.get(2 * LONGEST_AGE, OTHER))
    await asyncio.sleep(0)
    again = asyncio.create_task(source.get(2 * LONGEST_AGE))
    await asyncio.sleep(0)
    assert source.asked == 2
    source.may_answer.set()
    await asyncio.gather(asking, later, again)


@playing
async def test_a_clock_that_is_set_back_makes_no_answer_new(source: Source) -> None:
    await source.get(1000.0)
    assert await source.get(990.0, max_age=5.0) == "2"
    assert await source.get(980.0) == "3"
    await source.get(970.0, OTHER)
    assert list(source.shared._asked) == [OTHER]


@playing
async def test_closing_stops_asking(source: Source) -> None:
    source.may_answer.clear()
    asking = asyncio.create_task(source.get(0.0))
    await asyncio.sleep(0)
    await source.shared.aclose()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not source.shared._asked
