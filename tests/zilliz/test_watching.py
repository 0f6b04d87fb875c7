"""Which backups a watcher reports, from one look at the list to the next."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.flows.watching import MEMORY, Cursor, Snapshot, WatchRule, compare
from airflow_provider_zbackup.zilliz.models import Backup
from tests.clock import START

HOUR = 3600.0
ANY = WatchRule()


def backup(backup_id: str, created: float | None = START, status: str = "AVAILABLE", **facts: Any) -> Backup:
    time = None if created is None else datetime.fromtimestamp(created, UTC)
    return Backup(backup_id=backup_id, status=status, create_time=time, **facts)


def look(
    cursor: Cursor | None,
    *backups: Backup,
    at: float = START,
    rule: WatchRule = ANY,
    at_most: int | None = None,
) -> tuple[list[str], Cursor]:
    """Look once, and return the ids of the new backups and the cursor as it is stored."""
    new, after = compare(cursor, Snapshot(backups, at), rule, at_most)
    return [item.backup_id for item in new], Cursor(**json.loads(json.dumps(after._asdict())))


def test_what_is_there_at_the_first_look_is_not_new() -> None:
    new, cursor = look(None, backup("old", START - 2 * MEMORY), backup("young"), backup("undated", None))
    assert new == []
    assert set(cursor.reported) == {"young", "undated"}
    assert look(cursor, backup("old", START - 2 * MEMORY), backup("young"), backup("undated", None))[0] == []


def test_each_backup_is_reported_once_when_it_is_available() -> None:
    _, cursor = look(None)
    new, cursor = look(cursor, backup("a", status="CREATING"), at=START + 1)
    assert new == []
    new, cursor = look(cursor, backup("a"), at=START + 2)
    assert new == ["a"]
    assert look(cursor, backup("a"), at=START + 3)[0] == []


def test_one_being_made_at_the_first_look_is_reported() -> None:
    _, cursor = look(None, backup("slow", START - 3 * MEMORY, status="CREATING"))
    assert look(cursor, backup("slow", START - 3 * MEMORY), at=START + 1)[0] == ["slow"]


def test_an_older_one_may_end_after_a_newer_one() -> None:
    _, cursor = look(None, backup("slow", START - HOUR, status="CREATING"))
    new, cursor = look(cursor, backup("slow", START - HOUR, status="CREATING"), backup("quick"))
    assert new == ["quick"]
    new, cursor = look(cursor, backup("slow", START - HOUR), backup("quick"))
    assert new == ["slow"]


def test_the_oldest_comes_first() -> None:
    _, cursor = look(None)
    assert look(cursor, backup("b", START + 2), backup("c", START + 2), backup("a", START + 1))[0] == [
        "a",
        "b",
        "c",
    ]


def test_what_is_too_much_at_once_comes_next() -> None:
    """Even if it is so old by then that it would count as reported."""
    many = [backup(f"b{number}", START + number) for number in range(5)]
    _, cursor = look(None)
    new, cursor = look(cursor, *many, at=START + MEMORY / 2, at_most=2)
    assert new == ["b0", "b1"]
    new, cursor = look(cursor, *many, at=START + 2 * MEMORY, at_most=2)
    assert new == ["b2", "b3"]
    new, cursor = look(cursor, *many, at=START + 4 * MEMORY, at_most=2)
    assert new == ["b4"]
    assert look(cursor, *many, at=START + 5 * MEMORY, at_most=2)[0] == []


def test_after_a_long_silence_all_that_came_meanwhile_is_reported() -> None:
    _, cursor = look(None)
    week = START + 7 * MEMORY
    days = [backup(f"day{number}", START + number * MEMORY) for number in range(7)]
    new, cursor = look(cursor, *days, at=week)
    assert new == [f"day{number}" for number in range(7)]
    assert look(cursor, *days, at=week + 1)[0] == []


@pytest.mark.parametrize("missing_for", [1, 5])
def test_a_list_that_fails_to_show_backups_makes_none_new_again(missing_for: int) -> None:
    """As with a key that for a while belongs to another organisation."""
    there = [backup("old", START - 2 * MEMORY), backup("young"), backup("undated", None)]
    _, cursor = look(None, *there)
    for number in range(missing_for):
        new, cursor = look(cursor, at=START + number)
        assert new == []
    assert look(cursor, *there, at=START + HOUR)[0] == []


def test_one_without_a_time_stays_reported_for_as_long_as_it_is_listed() -> None:
    _, cursor = look(None, backup("undated", None))
    for day in range(1, 10):
        new, cursor = look(cursor, backup("undated", None), at=START + day * MEMORY)
        assert new == []


def test_one_from_the_future_is_reported_once() -> None:
    _, cursor = look(None)
    new, cursor = look(cursor, backup("future", START + 3 * MEMORY))
    assert new == ["future"]
    for day in range(1, 6):
        new, cursor = look(cursor, backup("future", START + 3 * MEMORY), at=START + day * MEMORY)
        assert new == []


@pytest.mark.parametrize("status", ["FAILED", "DELETED", "DELETING", "CREATING", "ODD", ""])
def test_only_an_available_one_is_reported(status: str) -> None:
    _, cursor = look(None)
    assert look(cursor, backup("a", status=status))[0] == []


@pytest.mark.parametrize("other", [{"size": 2}, {"status": "CREATING"}])
@pytest.mark.parametrize("comes_first", [True, False])
def test_one_shown_twice_is_reported_once(other: dict[str, Any], comes_first: bool) -> None:
    shown = [backup("a", **other), backup("a")]
    _, cursor = look(None)
    assert look(cursor, *(shown if comes_first else reversed(shown)))[0] == ["a"]


def test_one_without_an_id_cannot_be_reported() -> None:
    _, cursor = look(None)
    assert look(cursor, backup(""))[0] == []


@pytest.mark.parametrize("status", ["CREATING", "STUCK"])
def test_the_cursor_stays_small(status: str) -> None:
    """One backup in an odd state for ever does not make it grow, unless it is really being made."""
    stuck = backup("stuck", START, status=status)
    _, cursor = look(None, stuck)
    backups = [stuck]
    for hour in range(1, 24 * 10):
        time = START + hour * HOUR
        backups.append(backup(f"hour{hour}", time))
        new, cursor = look(cursor, *backups, at=time)
        assert new == [f"hour{hour}"]
    assert len(cursor.reported) == (239 if status == "CREATING" else 25)


@pytest.mark.parametrize(
    ("rule", "reported"),
    [
        (WatchRule(), ["a", "b", "c"]),
        (WatchRule(cluster_id="in01-1"), ["a", "b"]),
        (WatchRule(project_id="proj-2"), ["c"]),
        (WatchRule(backup_type="COLLECTION"), ["b"]),
        (WatchRule(creation_method="AUTO"), ["b", "c"]),
        (WatchRule(cluster_id="in01-1", creation_method="AUTO", backup_type="CLUSTER"), []),
    ],
)
def test_only_the_right_kind_is_reported(rule: WatchRule, reported: list[str]) -> None:
    mine: dict[str, Any] = {"cluster_id": "in01-1", "project_id": "proj-1"}
    there = [
        backup("a", **mine, backup_type="CLUSTER", creation_method="MANUAL"),
        backup("b", **mine, backup_type="COLLECTION", creation_method="AUTO"),
        backup("c", cluster_id="in01-2", project_id="proj-2", backup_type="CLUSTER", creation_method="AUTO"),
    ]
    _, cursor = look(None, rule=rule)
    assert look(cursor, *there, rule=rule)[0] == reported


@pytest.mark.parametrize("seed", range(20))
def test_none_is_lost_whatever_is_saved_and_in_whatever_order_they_end(seed: int) -> None:
    """The watcher may go back to any cursor that was saved since the last events, as after a kill."""
    draw = random.Random(seed)
    jobs = {f"b{number}": float(draw.randrange(int(3 * MEMORY))) for number in range(60)}
    ends = {name: begin + draw.expovariate(1 / HOUR) for name, begin in jobs.items()}
    reported: list[str] = []
    _, saved = look(None)
    cursor = saved
    time = 0.0
    while time < 5 * MEMORY:
        was_away = draw.random() < 0.05
        time += draw.expovariate(1 / HOUR) + was_away * 2 * MEMORY
        listed = [
            backup(name, START + begin, "AVAILABLE" if ends[name] <= time else "CREATING")
            for name, begin in jobs.items()
            # The list may fail to show a young one, but not just after the watcher was away for days.
            if begin <= time and (was_away or time - begin > MEMORY / 2 or draw.random() < 0.9)
        ]
        new, cursor = look(cursor, *listed, at=START + time, at_most=3)
        reported += new
        if draw.random() < 0.5:
            saved = cursor
        elif draw.random() < 0.5:
            # What was reported after the last save may be reported again.
            reported = [
                name for name in reported if name in saved.reported or START + jobs[name] < saved.since
            ]
            cursor = saved
    ended = [backup(name, START + begin) for name, begin in jobs.items()]
    new, cursor = look(cursor, *ended, at=START + time)
    assert sorted(reported + new) == sorted(jobs)
