"""Whether a backup is young enough, and waiting for one that is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_zbackup.zilliz.errors import (
    ZillizNotFoundError,
    ZillizNotFreshError,
    ZillizServerError,
    ZillizTimeoutError,
)
from airflow_provider_zbackup.zilliz.flows.freshness import (
    FreshnessRule,
    evaluate_freshness,
    wait_for_fresh_backup,
)
from airflow_provider_zbackup.zilliz.flows.polling import Wait
from airflow_provider_zbackup.zilliz.flows.steps import Reply
from airflow_provider_zbackup.zilliz.flows.waiting import check_cluster
from airflow_provider_zbackup.zilliz.models import Backup, Cluster
from tests.clock import START
from tests.zilliz.driver import CLUSTER, Driver, at, backup, page, scripted

HOUR, DAY = 3600.0, 86400.0
NOW = at(0)
CHECK = Wait(deadline=START)
WAIT = Wait(deadline=START + DAY)


def rule(**facts: Any) -> FreshnessRule:
    return FreshnessRule(CLUSTER, **{"max_age": timedelta(days=1)} | facts)


ANY, ORDERS = rule(), rule(collections=("orders",))


def aged(backup_id: str, age: float, **facts: Any) -> Backup:
    return backup(backup_id, create_time=at(-age), **facts)


def of_collections(backup_id: str, age: float, *names: str, database: str = "", **facts: Any) -> Backup:
    held = [{"dbName": database, "collections": [{"collectionName": name} for name in names]}]
    shown = Backup.model_validate({"dbCollections": held}).db_collections
    return aged(backup_id, age, **{"backup_type": "COLLECTION", "db_collections": shown} | facts)


def newest(*backups: Backup, of: FreshnessRule = ANY, unfit: dict[str, str] | None = None) -> str | None:
    candidate = evaluate_freshness(backups, of, NOW, unfit or {}).candidate
    return candidate.backup_id if candidate else None


def why(*backups: Backup, of: FreshnessRule = ANY, unfit: dict[str, str] | None = None) -> str:
    return evaluate_freshness(backups, of, NOW, unfit or {}).state


def test_the_newest_is_the_candidate() -> None:
    assert newest(aged("b2", 200), aged("b1", 100), aged("b3", 300)) == "b1"


@pytest.mark.parametrize(("age", "is_fresh"), [(0, True), (DAY, True), (DAY + 1, False), (-1, False)])
def test_just_as_old_is_not_older_and_the_future_is_not_young(age: float, is_fresh: bool) -> None:
    assert (newest(aged("b", age)) == "b") is is_fresh


@pytest.mark.parametrize(
    "facts",
    [
        {"status": "CREATING"},
        {"status": "DELETED"},
        {"status": ""},
        {"create_time": None},
        {"backup_id": ""},
        {"cluster_id": "in01-other"},
        {"backup_type": ""},
        {"backup_type": "COLLECTION"},
    ],
    ids=str,
)
def test_what_cannot_be_fresh(facts: dict[str, Any]) -> None:
    assert newest(backup("b", create_time=NOW).model_copy(update=facts)) is None


@pytest.mark.parametrize(
    ("asked", "types"),
    [
        ({}, {"CLUSTER"}),
        ({"backup_type": "COLLECTION"}, {"COLLECTION"}),
        ({"collections": ("orders",)}, {"CLUSTER", "COLLECTION"}),
        ({"collections": ("orders",), "backup_type": "CLUSTER"}, {"CLUSTER"}),
    ],
    ids=["any", "of collections", "with a collection", "of the cluster with a collection"],
)
def test_which_types_count(asked: dict[str, Any], types: set[str]) -> None:
    for kind in ("CLUSTER", "COLLECTION"):
        assert (newest(aged("b", 0, backup_type=kind), of=rule(**asked)) == "b") is (kind in types)


@pytest.mark.parametrize("method", ["MANUAL", "AUTO"])
def test_which_creation_methods_count(method: str) -> None:
    made = [aged("manual", 0), aged("auto", 0, creation_method="AUTO")]
    assert newest(*made, of=rule(creation_method=method)) == method.lower()


def test_why_none_is_fresh() -> None:
    old = aged("b1", 74 * HOUR)
    assert why(old, aged("b2", 80 * HOUR)) == (
        f"Newest usable backup b1 of cluster {CLUSTER} is 3 d 2 h old, older than max_age 1 d 0 h"
    )
    assert why() == f"Cluster {CLUSTER} has no usable cluster backup"
    assert why(of=rule(collections=("orders",), creation_method="AUTO")).endswith("no usable auto backup")
    assert "b shows no creation time, so its age is unknown" in why(backup("b", create_time=None)).replace(
        f" of cluster {CLUSTER}", ""
    )
    assert "a creation time in the future" in why(aged("b", -60))
    unfit = {"b0": "does not hold orders", "b9": "does not hold orders"}
    state = why(old, aged("b0", HOUR), aged("b9", 90 * HOUR), of=ORDERS, unfit=unfit)
    assert state.startswith("Newest usable backup b1 ")
    assert state.endswith("max_age 1 d 0 h; backup b0, 1 h 0 min old, does not hold orders")


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (of_collections("b", 0, "orders"), ""),
        (of_collections("b", 0, "orders", "users"), ""),
        (of_collections("b", 0, "users"), "does not hold orders"),
        (of_collections("b", 0, "orders", database="sales"), "does not hold orders"),
        (of_collections("b", 0), "does not show its collections"),
        (aged("b", 0), ""),
        (of_collections("b", 0, "users", backup_type="CLUSTER"), "does not hold orders"),
    ],
    ids=["it", "more", "another", "another database", "nothing shown", "cluster", "cluster without it"],
)
def test_what_covers_the_collections(shown: Backup, reason: str) -> None:
    assert ORDERS.missing(shown, shown) == reason
    assert rule(collections=("orders",), database="default").missing(shown, shown) == reason
    assert ANY.missing(shown, shown) == ""


def test_a_database_of_its_own() -> None:
    sales = rule(collections=("orders", "users"), database="sales")
    shown = of_collections("b", 0, "orders", "users", database="sales")
    assert sales.missing(shown, shown) == ""
    shown = of_collections("b", 0, "orders", "users")
    assert sales.missing(shown, shown) == "does not hold orders, users"


BACKUPS = st.lists(
    st.builds(
        lambda number, age, **facts: (
            aged(f"b{number}", age, **facts) if age is not None else backup(f"b{number}", create_time=None)
        ),
        st.integers(0, 9),
        st.none() | st.sampled_from([-HOUR, 0.0, HOUR, DAY, 2 * DAY]),
        status=st.sampled_from(["AVAILABLE", "CREATING"]),
        backup_type=st.sampled_from(["CLUSTER", "COLLECTION"]),
    ),
    max_size=8,
    unique_by=lambda made: made.backup_id,
)


@given(BACKUPS, st.sets(st.integers(0, 9)), st.sampled_from([ANY, ORDERS]))
def test_a_candidate_is_the_newest_that_can_be_shown_to_be_fresh(
    backups: list[Backup], known: set[int], asked: FreshnessRule
) -> None:
    unfit = {f"b{number}": "is of no use" for number in known}
    seen = evaluate_freshness(backups, asked, NOW, unfit)
    fresh = [
        made
        for made in backups
        if asked.counts(made)
        and made.backup_id not in unfit
        and made.create_time is not None
        and timedelta() <= NOW - made.create_time <= asked.max_age
    ]
    assert (seen.candidate is None) is (not fresh)
    if seen.candidate is not None:
        assert seen.candidate in fresh
        assert seen.age == min(NOW - made.create_time for made in fresh if made.create_time)


# Waiting for it


def cloud(listed: list[Backup], *described: Backup | Exception) -> Driver:
    """Return a driver that always lists the same, and describes these, in this order."""
    rest = iter(described)
    return Driver(lambda operation: page(*listed) if operation.name == "list backups" else next(rest))


def test_the_result_is_plain_and_complete() -> None:
    described = aged("b", HOUR, region_id="aws-us-west-2", size=7)
    driver = cloud([aged("b", HOUR, backup_name="B_backup1")], described)
    assert driver.run(wait_for_fresh_backup(ANY, CHECK, {})) == {
        "backup_id": "b",
        "backup_name": "B_backup1",
        "backup_type": "CLUSTER",
        "creation_method": "MANUAL",
        "status": "AVAILABLE",
        "size": 7,
        "region_id": "aws-us-west-2",
        "create_time": "2026-03-02T09:00:00Z",
        "cluster_id": CLUSTER,
        "age": HOUR,
    }


def test_what_is_not_shown_is_null() -> None:
    listed = aged("b", 0, cluster_id="")
    result = cloud([listed], listed).run(wait_for_fresh_backup(ANY, CHECK, {}))
    assert result
    assert (result["cluster_id"], result["size"], result["region_id"]) == (CLUSTER, None, None)


def test_the_age_is_told_by_the_servers_clock() -> None:
    listed = Reply(page(aged("b", 0)), at(2 * DAY))
    with pytest.raises(ZillizTimeoutError, match="2 d 0 h old"):
        scripted(listed).run(wait_for_fresh_backup(ANY, CHECK, {}))
    listed = Reply(page(aged("b", HOUR)), None)
    result = scripted(listed, aged("b", HOUR)).run(wait_for_fresh_backup(ANY, CHECK, {}))
    assert result
    assert result["age"] == HOUR


def test_a_check_looks_once_and_says_what_is_missing() -> None:
    driver = scripted(page(aged("b", 2 * DAY)))
    with pytest.raises(ZillizNotFreshError) as caught:
        driver.run(wait_for_fresh_backup(ANY, CHECK, {}))
    assert str(caught.value) == (
        "Newest usable backup b of cluster in01-cluster is 2 d 0 h old, older than max_age 1 d 0 h. "
        "Make a backup, and find out why none was made in time."
    )
    assert driver.elapsed == 0


def test_a_check_retries_what_fails_in_passing() -> None:
    down = ZillizServerError("Down.")
    driver = scripted(down, page(aged("b", 0)), down, aged("b", 0))
    assert driver.run(wait_for_fresh_backup(ANY, CHECK, {}))


def test_what_could_not_be_read_is_not_called_missing() -> None:
    driver = Driver(lambda operation: ZillizServerError("Down."))
    with pytest.raises(ZillizTimeoutError, match=r"Last seen: Down\."):
        driver.run(wait_for_fresh_backup(ANY, CHECK, {}))


def test_candidates_are_described_once_each_the_newest_first_and_only_until_one_covers() -> None:
    late = of_collections("late", -HOUR, "orders")
    known = [of_collections("b1", 100, "users"), of_collections("b2", 200), aged("old", 2 * DAY)]
    listed = [made.model_copy(update={"db_collections": ()}) for made in (late, *known)]
    driver = cloud(listed, *known[:2], late)
    result = driver.run(wait_for_fresh_backup(ORDERS, WAIT, {}))
    assert result
    assert result["backup_id"] == "late"
    assert [
        operation.subject.split()[0] for operation in driver.sent if operation.name != "list backups"
    ] == [
        "b1",
        "b2",
        "late",
    ]
    assert driver.calls.count("list backups") > 10
    assert HOUR <= driver.elapsed <= HOUR + 61


@pytest.mark.parametrize(
    ("answer", "text"),
    [(ZillizNotFoundError("Unknown."), "cannot be found"), (aged("b", 0, status="DELETED"), "was deleted")],
    ids=["gone", "deleted"],
)
def test_a_candidate_that_is_gone_is_passed_over(answer: Any, text: str) -> None:
    driver = cloud([aged("b", 0), aged("c", HOUR)], answer, aged("c", HOUR))
    result = driver.run(wait_for_fresh_backup(ANY, CHECK, {}))
    assert result
    assert result["backup_id"] == "c"
    with pytest.raises(ZillizTimeoutError, match=f"backup b, 0 s old, {text}"):
        cloud([aged("b", 0)], answer).run(wait_for_fresh_backup(ANY, CHECK, {}))


def test_leaving_the_wait() -> None:
    leave = WAIT._replace(leave_after=START)
    assert scripted(page()).run(wait_for_fresh_backup(ANY, leave, {})) is None


def test_a_dropped_cluster_is_no_cluster() -> None:
    with pytest.raises(ZillizNotFoundError, match="was dropped"):
        scripted(Cluster(status="DELETED", plan="Standard")).run(check_cluster(CLUSTER))
