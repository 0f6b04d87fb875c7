"""The last 30 days and the growth, as numbers."""

from __future__ import annotations

from datetime import timedelta

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


def test_each_backup_counts_on_its_day_by_its_kind() -> None:
    days = days_of(
        [
            a_backup(HOUR),
            a_backup(HOUR, status="CREATING"),
            a_backup(DAY - timedelta(seconds=1), creation_method="AUTO"),
            a_backup(DAY),
            a_backup(29 * DAY + 23 * HOUR),
            a_backup(2 * DAY, status="FAILED"),
            a_backup(-HOUR),
            a_backup(30 * DAY),
            a_backup(None),
            a_backup(HOUR, status="DELETED"),
        ],
        NOW,
    )
    assert [day.ago for day in days] == [*range(DAYS)][::-1]
    assert days[-1] == Day(0, manual=2, automatic=1, running=1)
    assert days[-2] == Day(1, manual=1)
    assert days[-3] == Day(2, failed=1)
    assert days[0] == Day(29, manual=1)
    assert describe_days(days) == "Backups on 3 of the last 30 days, 1 failed"


def test_a_day_says_what_it_shows() -> None:
    assert Day(0, manual=2, failed=1).words == "last 24 hours: 2 manual, 1 failed"
    assert Day(3).words == "3 to 4 days ago: no backup"


@pytest.mark.parametrize(
    "day", [Day(0, manual=1), Day(0, 1, 1, 1, 1), Day(0, manual=1000), Day(29, automatic=7, manual=9)]
)
def test_the_bars_of_a_day_stand_on_the_ground_and_fit(day: Day) -> None:
    bars = day.bars
    assert bars[0][1] + bars[0][2] == HEIGHT
    assert [top + height for _, top, height in bars[1:]] == [top for _, top, _ in bars[:-1]]
    assert all(top >= 0 and height >= 0 for _, top, height in bars)


def test_failures_and_running_backups_are_never_hidden_by_others() -> None:
    bars = {kind: height for kind, _, height in Day(0, 9, 9, 1, 1).bars}
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
