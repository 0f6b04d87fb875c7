"""A policy in words, with its next run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_zbackup.ui.schedule import Schedule, schedule_of
from airflow_provider_zbackup.zilliz.models import BackupPolicy

#: A Monday.
NOW = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)


def policy(**fields: Any) -> BackupPolicy:
    facts = {"status": "ENABLED", "frequency": "1,3", "startTime": "10:00-12:00", "retentionDays": 7}
    return BackupPolicy.model_validate(facts | fields)


@pytest.mark.parametrize(
    ("fields", "words", "next_run"),
    [
        ({}, "Mon, Wed 10:00-12:00 UTC, kept 7 days", "2026-03-04T10:00"),
        ({"frequency": "1"}, "Mon 10:00-12:00 UTC, kept 7 days", "2026-03-09T10:00"),
        (
            {"frequency": "7,1,2,3,4,5,6", "startTime": "22:00-00:00"},
            "daily 22:00-00:00 UTC, kept 7 days",
            "2026-03-02T22:00",
        ),
        ({"startTime": "10:31-12:31"}, "Mon, Wed 10:31-12:31 UTC, kept 7 days", "2026-03-02T10:31"),
        ({"startTime": "08:30-10:30"}, "Mon, Wed 08:30-10:30 UTC, kept 7 days", "2026-03-04T08:30"),
        ({"startTime": "24:00-02:00"}, "Mon, Wed 00:00-02:00 UTC, kept 7 days", "2026-03-04T00:00"),
    ],
)
def test_the_next_run_is_when_the_next_window_opens(
    fields: dict[str, str], words: str, next_run: str
) -> None:
    used = NOW.replace(hour=10, minute=10)
    schedule = schedule_of(policy(**fields), NOW, used)
    assert schedule == Schedule(words, datetime.fromisoformat(next_run + ":00+00:00"))


@pytest.mark.parametrize(
    ("now", "last", "opens", "closes"),
    [
        ("01T22:59", "28T23:30", "01T23:00", None),
        ("01T23:00", "28T23:30", "01T23:00", "02T01:00"),
        ("02T00:30", None, "01T23:00", "02T01:00"),
        ("02T00:30", "02T00:10", "02T23:00", None),
        ("02T01:00", "28T23:30", "02T23:00", None),
    ],
)
def test_while_a_window_is_open_that_has_made_no_backup_the_run_may_come_any_moment(
    now: str, last: str | None, opens: str, closes: str | None
) -> None:
    def moment(text: str) -> datetime:
        month = "02" if text.startswith("28") else "03"
        return datetime.fromisoformat(f"2026-{month}-{text}:00+00:00")

    nightly = policy(frequency="1,2,3,4,5,6,7", startTime="23:00-01:00")
    schedule = schedule_of(nightly, moment(now), moment(last) if last else None)
    assert (schedule.next_run, schedule.closes) == (moment(opens), moment(closes) if closes else None)


def test_copies_are_told_too() -> None:
    copies = [{"regionId": "aws-us-east-1", "retentionDays": 3}]
    assert (
        schedule_of(policy(crossRegionCopies=copies), NOW, None).details
        == "Copies in aws-us-east-1 for 3 days"
    )


def test_a_cluster_without_a_policy() -> None:
    assert schedule_of(BackupPolicy(status="DISABLED"), NOW, None) == Schedule("no policy")


@pytest.mark.parametrize(
    "fields", [{"frequency": None}, {"startTime": "soon"}, {"frequency": "0 3 1 * *"}, {"cron": "x"}]
)
def test_nobody_guesses_a_schedule_that_only_the_console_can_make(fields: dict[str, Any]) -> None:
    schedule = schedule_of(policy(**fields), NOW, None)
    assert (schedule.words, schedule.next_run) == ("set in the console", None)
