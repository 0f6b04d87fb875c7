"""What the overview says of clusters, as pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from airflow_provider_zbackup.ui.filters import FILTERS
from airflow_provider_zbackup.ui.view import (
    ROWS,
    Answers,
    ClusterRow,
    Overview,
    Page,
    collection_names,
    copies_of,
    matching,
    overview_of,
    page_of,
)
from airflow_provider_zbackup.zilliz.models import Backup, Cluster

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
_numbers = count(1)


def a_cluster(cluster_id: str = "in01-a", **fields: Any) -> Cluster:
    return Cluster(
        **{"cluster_id": cluster_id, "cluster_name": cluster_id.upper(), "plan": "Enterprise"} | fields
    )


def a_backup(age: timedelta | None, **fields: Any) -> Backup:
    facts: dict[str, Any] = {
        "backup_id": f"backup{next(_numbers)}_x",
        "backup_type": "CLUSTER",
        "creation_method": "MANUAL",
        "status": "AVAILABLE",
        "size": 10**9,
        "cluster_id": "in01-a",
        "create_time": None if age is None else NOW - age,
    }
    return Backup(**facts | fields)


def look(
    clusters: list[Cluster], backups: list[Backup], price: float | None = None, project: str = "Default"
) -> Overview:
    return overview_of(Answers(clusters, backups, {"p1": project}, NOW), DAY, price, NOW)


def row_of(*backups: Backup, **fields: Any) -> ClusterRow:
    (row,) = look([a_cluster(**fields)], list(backups)).rows
    return row


@pytest.mark.parametrize(
    ("backups", "state", "age", "words"),
    [
        ([], "stale", None, "no backup yet"),
        ([a_backup(HOUR)], "fresh", HOUR, "of 24 h"),
        ([a_backup(DAY)], "fresh", DAY, "of 24 h"),
        ([a_backup(3 * DAY), a_backup(HOUR)], "fresh", HOUR, "of 24 h"),
        ([a_backup(DAY + timedelta(seconds=1))], "stale", DAY + timedelta(seconds=1), "old, target 24 h"),
        ([a_backup(HOUR, status="CREATING")], "stale", None, "no backup yet"),
        ([a_backup(HOUR, status="CREATING"), a_backup(2 * HOUR)], "fresh", 2 * HOUR, "of 24 h"),
        ([a_backup(HOUR, status="DELETED")], "stale", None, "no backup yet"),
        ([a_backup(HOUR, status="FAILED")], "stale", None, "no backup yet"),
        ([a_backup(HOUR, backup_type="COLLECTION")], "stale", None, "only of collections"),
        ([a_backup(-HOUR), a_backup(2 * HOUR)], "fresh", 2 * HOUR, "of 24 h"),
        ([a_backup(HOUR, creation_method="AUTO")], "fresh", HOUR, "of 24 h"),
    ],
)
def test_a_cluster_is_fresh_if_its_newest_usable_backup_is_young_enough(
    backups: list[Backup], state: str, age: timedelta | None, words: str
) -> None:
    row = row_of(*backups)
    assert (row.state, row.age) == (state, age)
    assert words in row.words


@pytest.mark.parametrize("fields", [{"plan": "Free"}, {"deployment_option": "Serverless"}])
def test_a_cluster_that_cannot_have_backups_is_not_at_risk(fields: dict[str, str]) -> None:
    overview = look([a_cluster(**fields)], [])
    assert overview.rows[0].state == "unsupported"
    assert (overview.fresh, overview.backed_up, overview.stale) == (0, 0, 0)


def test_a_dropped_cluster_is_shown_as_long_as_its_backups_cost_something() -> None:
    overview = look([], [a_backup(DAY, cluster_name="old", project_id="p1", size=5)], project="One")
    (row,) = overview.rows
    assert (row.state, row.name, row.project, row.count, row.size) == ("gone", "old", "One", 1, 5)
    assert overview.backed_up == 0


def test_those_at_risk_come_first() -> None:
    ages = {"in01-old": 5 * DAY, "in01-new": HOUR, "in01-day": 23 * HOUR, "in01-older": 9 * DAY}
    clusters = [
        a_cluster("in03-free", plan="Free"),
        *map(a_cluster, ages),
        a_cluster("in01-none"),
    ]
    backups = [a_backup(age, cluster_id=cluster_id) for cluster_id, age in ages.items()]
    shown = look(clusters, [*backups, a_backup(DAY, cluster_id="in01-gone")]).rows
    assert [row.cluster_id for row in shown] == [
        "in01-none",
        "in01-older",
        "in01-old",
        "in01-day",
        "in01-new",
        "in01-gone",
        "in03-free",
    ]


def test_the_tiles_count_what_is_there() -> None:
    overview = look(
        [a_cluster("in01-a"), a_cluster("in01-b")],
        [
            a_backup(HOUR),
            a_backup(2 * DAY, size=3 * 10**9),
            a_backup(HOUR, status="CREATING", size=0),
            a_backup(5 * DAY, status="DELETED", size=10**12),
        ],
        price=0.5,
    )
    assert (overview.fresh, overview.backed_up, overview.stale) == (1, 2, 1)
    assert (overview.running, overview.count, overview.size) == (1, 2, 4 * 10**9)
    assert overview.cost == 2.0


def test_without_a_price_there_is_no_cost() -> None:
    assert look([a_cluster()], [a_backup(HOUR)]).cost is None


def test_a_row_says_who_made_its_backups_and_names_the_newest() -> None:
    new, old = a_backup(HOUR), a_backup(2 * DAY, creation_method="AUTO")
    row = row_of(old, new)
    assert row.made == {"manual": 1, "policy": 1}
    assert row.newest_ids == f"{new.backup_id} {old.backup_id}"


def test_a_running_backup_has_a_maker_and_a_failed_one_is_none() -> None:
    running, usable = a_backup(HOUR, status="CREATING"), a_backup(2 * HOUR)
    row = row_of(running, usable, a_backup(DAY, status="FAILED"))
    # The script takes away from this number what tasks have made, so both must count the same.
    assert row.made == {"manual": 2}
    assert row.newest_ids == f"{running.backup_id} {usable.backup_id}"


def test_a_status_is_shown_only_if_it_is_unusual() -> None:
    assert [row_of(status=status).status for status in ("RUNNING", "", "STOPPED")] == ["", "", "STOPPED"]


def test_a_filter_finds_parts_of_names_ids_plans_and_states() -> None:
    clusters = [
        a_cluster("in01-a", cluster_name="Search", project_id="p1"),
        a_cluster("in01-b", cluster_name="images", plan="Standard"),
    ]
    rows = look(clusters, [a_backup(HOUR)], project="One").rows
    found = {
        text: [row.name for row in matching(rows, text)]
        for text in ("", "sEAR", "standard", "stale", "01-b", "search stale", "fresh search")
    }
    assert found == {
        "": ["images", "Search"],
        "sEAR": ["Search"],
        "standard": ["images"],
        "stale": ["images"],
        "01-b": ["images"],
        "search stale": [],
        "fresh search": ["Search"],
    }
    assert [row.name for row in matching(rows, project="One")] == ["Search"]


@pytest.mark.parametrize(
    ("asked", "number", "shown"), [(1, 1, ROWS), (3, 3, 1), (0, 1, ROWS), (-7, 1, ROWS), (99, 3, 1)]
)
def test_many_rows_are_shown_in_pages(asked: int, number: int, shown: int) -> None:
    rows = look([a_cluster(f"in01-{number}") for number in range(2 * ROWS + 1)], []).rows
    page = page_of(rows, asked)
    assert (page.number, page.pages, page.found, len(page.rows)) == (number, 3, 2 * ROWS + 1, shown)


def test_no_rows_are_one_empty_page() -> None:
    assert page_of([], 1) == Page(rows=[], found=0, number=1, pages=1)


def test_the_collections_of_another_database_are_named_with_it() -> None:
    backup = Backup.model_validate(
        {
            "dbCollections": [
                {"dbName": "", "collections": [{"collectionName": "b"}]},
                {"dbName": "sales", "collections": [{"collectionName": "a"}]},
            ]
        }
    )
    assert collection_names(backup) == ["b", "sales.a"]
    assert collection_names(Backup()) == []


def test_a_copy_has_the_same_name_in_another_region() -> None:
    home = a_backup(HOUR, backup_name="x_backup1", region_id="aws-us-west-2")
    others = [
        home,
        a_backup(HOUR, backup_name="x_backup1", region_id="aws-us-east-1"),
        a_backup(HOUR, backup_name="x_backup2", region_id="aws-eu-central-1"),
        a_backup(HOUR, backup_name="x_backup1", region_id=None),
        a_backup(HOUR, backup_name="x_backup1", region_id="aws-ap-east-1", creation_method="AUTO"),
    ]
    assert copies_of(home, others) == ["aws-us-east-1"]


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (timedelta(hours=24), "24 h"),
        (timedelta(hours=1.5), "1 h 30 min"),
        (timedelta(minutes=15), "15 min"),
        (timedelta(seconds=20), "20 s"),
    ],
)
def test_a_target_is_written_without_what_is_zero(target: timedelta, text: str) -> None:
    assert FILTERS["target"](target) == text


@pytest.mark.parametrize(
    ("cost", "text"), [(0, "0.00"), (0.004, "< 0.01"), (0.01, "0.01"), (1234.5, "1,234.50")]
)
def test_a_cost_is_written_with_the_digits_that_matter(cost: float, text: str) -> None:
    assert FILTERS["cost"](cost) == text


def test_times_are_written_for_the_script_that_knows_the_time_zone() -> None:
    html = FILTERS["time"](NOW, "past")
    assert html == '<time datetime="2026-03-02T10:00:00+00:00" data-form="past">2026-03-02 10:00 UTC</time>'
    assert FILTERS["time"](None) == ""


def test_counts_are_written_with_their_noun() -> None:
    assert [FILTERS["count"](number, "backup") for number in (0, 1, 2000)] == [
        "0 backups",
        "1 backup",
        "2,000 backups",
    ]
