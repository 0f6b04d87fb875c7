"""The last 30 days and the growth, as numbers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_zbackup.ui.timeline import (
    CHART_HEIGHT,
    CHART_WIDTH,
    DAYS,
    HEIGHT,
    Day,
    days_of,
    describe_days,
    growth_of,
)
from tests.ui.test_view import DAY, HOUR, NOW, a_backup

TODAY = NOW.date()
MIDNIGHT = NOW - datetime.combine(TODAY, datetime.min.time(), UTC)


def test_each_backup_counts_on_its_day_by_its_kind() -> None:
    days = days_of(
        [
            a_backup(HOUR),
            a_backup(HOUR, status="CREATING"),
            a_backup(MIDNIGHT, creation_method="AUTO"),
            a_backup(MIDNIGHT + timedelta(seconds=1)),
            a_backup(29 * DAY),
            a_backup(2 * DAY, status="FAILED"),
            a_backup(-HOUR),
            a_backup(30 * DAY),
            a_backup(None),
            a_backup(HOUR, status="DELETED"),
        ],
        NOW,
        UTC,
    )
    assert [day.ago for day in days] == [*range(DAYS)][::-1]
    assert days[-1] == Day(TODAY, 0, manual=2, automatic=1, running=1)
    assert days[-2] == Day(TODAY - DAY, 1, manual=1)
    assert days[-3] == Day(TODAY - 2 * DAY, 2, failed=1)
    assert days[0] == Day(TODAY - 29 * DAY, 29, manual=1)
    assert describe_days(days) == "Backups on 3 of the last 30 days, 1 failed"


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        # A minute before and after midnight in New York, which is 5:00 in UTC.
        ("America/New_York", ["2026-03-01", "2026-03-02"]),
        ("UTC", ["2026-03-02", "2026-03-02"]),
    ],
)
def test_a_day_begins_at_the_midnight_of_the_user(zone: str, days: list[str]) -> None:
    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    midnight = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
    minute = timedelta(minutes=1)
    backups = [a_backup(NOW - midnight + minute), a_backup(NOW - midnight - minute)]
    shown = [day for day in days_of(backups, now, ZoneInfo(zone)) for _ in range(day.manual)]
    assert [str(day.date) for day in shown] == days


def test_a_day_of_23_hours_is_a_day() -> None:
    zone = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 3, 30, 12, 0, tzinfo=zone)
    noons = [datetime(2026, 3, day, 12, 0, tzinfo=zone) for day in (27, 28, 29, 30)]
    days = days_of([a_backup(NOW - noon) for noon in noons], now, zone)
    assert [day.manual for day in days[-5:]] == [0, 1, 1, 1, 1]


def test_a_day_says_what_it_shows() -> None:
    day = date(2026, 3, 2)
    assert Day(day, 0, manual=2, failed=1).words == "Mon 2 Mar: 2 manual, 1 failed"
    assert Day(day, 3).words == "Mon 2 Mar: no backup"


@pytest.mark.parametrize(
    "day",
    [
        Day(TODAY, 0, manual=1),
        Day(TODAY, 0, 1, 1, 1, 1),
        Day(TODAY, 0, manual=1000),
        Day(TODAY, 29, automatic=7, manual=9),
    ],
)
def test_the_bars_of_a_day_stand_on_the_ground_and_fit(day: Day) -> None:
    bars = day.bars
    assert bars[0][1] + bars[0][2] == HEIGHT
    assert [top + height for _, top, height in bars[1:]] == [top for _, top, _ in bars[:-1]]
    assert all(top >= 0 and height >= 0 for _, top, height in bars)


def test_failures_and_running_backups_are_never_hidden_by_others() -> None:
    bars = {kind: height for kind, _, height in Day(TODAY, 0, 9, 9, 1, 1).bars}
    assert bars["failed"] > 0
    assert bars["running"] > 0


def test_growth_is_the_size_of_whole_backups_over_time() -> None:
    growth = growth_of(
        [
            a_backup(HOUR, size=200),
            a_backup(3 * HOUR, size=100),
            a_backup(2 * HOUR, size=10**9, backup_type="COLLECTION"),
            a_backup(2 * HOUR, size=10**9, status="CREATING"),
        ]
    )
    assert growth is not None
    numbers = [float(number) for point in growth.line.split() for number in point.split(",")]
    assert numbers == pytest.approx([0, CHART_HEIGHT * 0.54, CHART_WIDTH, CHART_HEIGHT * 0.08])
    assert growth.words == "Size of 2 backups, from the oldest to the newest: 100 B → 200 B"
    assert (growth.first, growth.last, growth.change) == (NOW - 3 * HOUR, NOW - HOUR, "100 B → 200 B")


@pytest.mark.parametrize("ages", [[], [HOUR], [HOUR, HOUR]])
def test_one_moment_shows_no_growth(ages: list[timedelta]) -> None:
    assert growth_of([a_backup(age) for age in ages]) is None
