from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_zbackup.zilliz.errors import ZillizThrottledError
from airflow_provider_zbackup.zilliz.pacing import (
    CLOCK,
    RequestBudget,
    backoff,
    jitter,
    parse_http_date,
    parse_retry_after,
    poll_pause,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@given(st.floats(0, 1e6))
def test_jitter_stays_within_its_limit(longest: float) -> None:
    assert 0 <= jitter(longest) <= longest


def test_backoff_doubles_up_to_its_longest() -> None:
    pauses = list(islice(backoff(first=1.0, longest=10.0), 8))
    for pause, step in zip(pauses, [1, 2, 4, 8, 10, 10, 10, 10], strict=True):
        assert step / 2 <= pause <= step


def test_backoff_differs_between_clients() -> None:
    assert len({next(backoff()) for _ in range(20)}) > 1


@given(st.floats(0, 1e7), st.none() | st.integers(0, 100), st.floats(1, 3600))
def test_poll_pause_stays_between_a_second_and_the_limit(
    age: float, progress: int | None, longest: float
) -> None:
    assert 1.0 <= poll_pause(age, progress, longest) <= longest


def test_a_second_is_the_floor_even_below_the_users_limit() -> None:
    assert poll_pause(100.0, None, 0.2) == 1.0


@pytest.mark.parametrize(
    ("age", "progress", "expected"),
    [
        (0.0, None, 1.0),
        (5.0, None, 5 / 3),
        (15.0, None, 2.0),
        (100.0, None, 10.0),
        (100.0, 0, 10.0),
        (60.0, 10, 30.0),
        (300.0, 1, 60.0),
        (300.0, 90, 300 / 9 / 2),
        (300.0, 99, 300 / 99 / 2),
        (300.0, 100, 1.5),
        (1e6, None, 60.0),
    ],
)
def test_poll_pause_grows_with_age_and_shrinks_near_the_end(
    age: float, progress: int | None, expected: float
) -> None:
    pause = poll_pause(age, progress, 60.0)
    assert min(60.0, max(1.0, expected * 0.9)) <= pause + 1e-9
    assert pause <= min(60.0, max(1.0, expected * 1.1)) + 1e-9


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("121", 120.0),
        ("1e400", 120.0),
        ("-inf", 0.0),
        ("Mon, 02 Mar 2026 12:00:30 GMT", 30.0),
        ("Mon, 02 Mar 2026 13:00:30 +0100", 30.0),
        ("Mon, 02 Mar 2026 11:00:00 GMT", 0.0),
        ("Tue, 03 Mar 2026 12:00:00 GMT", 120.0),
        ("Mon, 32 Mar 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOON.timestamp()) == seconds


@pytest.mark.parametrize(
    ("header", "time"),
    [
        ("Mon, 02 Mar 2026 12:00:00 GMT", NOON),
        ("Mon, 02 Mar 2026 12:00:00 -0000", NOON),
        ("Mon, 02 Mar 2026 12:00:00", NOON),
        (None, None),
        ("", None),
        ("today", None),
        ("Mon, 02 Mar 2026 25:00:00 GMT", None),
        ("Mon, 02 Mar 2026 12:00:00 +9900", None),
    ],
)
def test_http_date(header: str | None, time: datetime | None) -> None:
    assert parse_http_date(header) == time


@pytest.mark.parametrize(
    "header", ["Mon, 02 Mar 2026 12:00:00 +99999999999999", "Mon, 02 Mar 9999999999999999 12:00:00 GMT"]
)
def test_a_date_with_huge_numbers_is_none(header: str) -> None:
    assert parse_http_date(header) is None
    assert parse_retry_after(header, 0.0) is None


def take(budget: RequestBudget, now: float) -> float:
    """Wait for a moment to send, and return it."""
    while delay := budget.take(now):
        now += delay
    return now


@given(st.floats(0.1, 50), st.lists(st.floats(0, 3), min_size=1, max_size=80))
def test_a_budget_keeps_its_rate(rate: float, gaps: list[float]) -> None:
    budget = RequestBudget(rate)
    now, sent = 1_000_000.0, []
    for gap in gaps:
        now = take(budget, now + gap)
        sent.append(now)
    for begin, at in enumerate(sent):
        within = sum(time < at + 1.0 for time in sent[begin:])
        assert within <= 2 * rate + 2
    whole = sent[-1] - sent[0]
    assert len(sent) <= rate * (whole + 1.0) + 1 + 1e-6


def test_a_short_burst_passes_without_any_pause() -> None:
    budget = RequestBudget(10.0)
    sent = [1000.0]
    for _ in range(12):
        sent.append(take(budget, sent[-1]))
    assert sent[1:] == pytest.approx([1000.0] * 10 + [1000.1, 1000.2], abs=1e-9)


def test_a_slow_budget_has_no_burst() -> None:
    budget = RequestBudget(0.5)
    assert [budget.take(time) for time in (1000.0, 1000.0, 1001.5, 1002.0, 1002.0)] == [0, 2.0, 0.5, 0, 2.0]


def test_an_idle_budget_saves_up_no_more_than_a_burst() -> None:
    budget = RequestBudget(10.0)
    budget.take(1000.0)
    sent = [9000.0]
    for _ in range(50):
        sent.append(take(budget, sent[-1]))
    assert sum(time < 9000.01 for time in sent[1:]) == 10


def test_hold_stops_everybody_until_then() -> None:
    budget = RequestBudget(10.0)
    budget.hold(1030.0)
    budget.hold(1010.0)
    for time in (1000.0, 1029.0):
        with pytest.raises(ZillizThrottledError, match="nothing was sent") as caught:
            budget.take(time)
        assert (caught.value.retry_after, caught.value.unprocessed) == (1030.0 - time, True)
    assert budget.take(1030.0) == 0.0


@pytest.mark.parametrize("back", [200.0, 86_400.0])
def test_a_clock_that_is_set_back_stops_nobody(back: float) -> None:
    budget = RequestBudget(10.0)
    budget.take(100_000.0)
    assert budget.take(100_000.0 - back) == 0.0


def test_a_clock_that_is_set_back_holds_nobody_for_longer() -> None:
    budget = RequestBudget(10.0)
    budget.take(100_000.0)
    budget.hold(100_030.0)
    with pytest.raises(ZillizThrottledError) as caught:
        budget.take(50_000.0)
    assert caught.value.retry_after == 30.0


def test_the_real_clock_tells_the_time_and_sleeps() -> None:
    begin = CLOCK.time(), CLOCK.monotonic()
    CLOCK.sleep(0.01)
    asyncio.run(CLOCK.asleep(0.01))
    assert CLOCK.time() > begin[0]
    assert CLOCK.monotonic() >= begin[1] + 0.02
