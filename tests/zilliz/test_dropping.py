"""Dropping a scratch cluster: the one that was named or none, whatever fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBadRequestError,
    ZillizConnectionError,
    ZillizError,
    ZillizNotFoundError,
    ZillizPermissionError,
    ZillizProtocolError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizThrottledError,
    ZillizUncertainError,
)
from airflow_provider_zbackup.zilliz.flows.dropping import drop_scratch_cluster
from airflow_provider_zbackup.zilliz.models import Backup, BackupPolicy, Cluster, ClusterDrop, ClusterPage
from airflow_provider_zbackup.zilliz.operations import Operation
from tests.zilliz.driver import CLUSTER, Driver, at, backup, page

WEEK = timedelta(days=7)
GONE = ZillizNotFoundError("No such cluster.", code=96018)


def scratch(**facts: Any) -> Cluster:
    defaults: dict[str, Any] = {
        "cluster_id": CLUSTER,
        "cluster_name": "scratch",
        "project_id": "proj-1",
        "plan": "Enterprise",
        "deployment_option": "Dedicated",
        "status": "RUNNING",
        "cu_size": 2,
        "create_time": at(-3600),
    }
    return Cluster(**defaults | facts)


#: How the API may show a dropped cluster.
DROPPED = {
    "not found": GONE,
    "deleting": scratch(status="DELETING"),
    "deleted": scratch(status="DELETED"),
}


@dataclass
class Cloud:
    """
    One cluster, its policy and its backups.

    :param faults: by operation, the errors of its next calls
    :param is_done: whether a drop that fails is carried out nevertheless
    :param lag: how long describing shows nothing of a drop, in seconds
    :param after: what describing shows after a drop
    """

    cluster: Cluster = field(default_factory=scratch)
    policy: BackupPolicy = field(default_factory=lambda: BackupPolicy(status="DISABLED"))
    backups: list[Backup] = field(default_factory=list)
    faults: dict[str, list[ZillizError]] = field(default_factory=dict)
    is_done: bool = False
    lag: float = 0.0
    after: Cluster | ZillizError = GONE
    dropped_at: float | None = None

    def __post_init__(self) -> None:
        self.driver = Driver(self.answer)

    def answer(self, operation: Operation[Any]) -> Any:
        errors = self.faults.get(operation.name, [])
        error = errors.pop(0) if errors else None
        if operation.name == "drop cluster":
            assert operation.path == f"/v2/clusters/{CLUSTER}/drop"
            if error is None or self.is_done:
                self.dropped_at = self.driver.elapsed
            if error is GONE:
                self.dropped_at, self.lag = 0.0, 0.0
            return error or ClusterDrop(cluster_id=CLUSTER, prompt="Dropped.")
        if error is not None:
            return error
        is_seen = self.dropped_at is not None and self.driver.elapsed >= self.dropped_at + self.lag
        seen = self.after if is_seen else self.cluster
        match operation.name:
            case "describe cluster":
                return seen
            case "list clusters":
                return ClusterPage(page_size=100, clusters=(seen,) if isinstance(seen, Cluster) else ())
            case "get backup policy":
                return self.policy
            case "list backups":
                return page(*self.backups)
        raise AssertionError(f"No {operation.name} was expected.")

    def drop(self, **arguments: Any) -> dict[str, Any]:
        return self.driver.run(drop_scratch_cluster(CLUSTER, "scratch", **{"max_age": WEEK} | arguments))

    @property
    def drops(self) -> int:
        return self.driver.calls.count("drop cluster")


@pytest.mark.parametrize(
    "after",
    [GONE, scratch(status="DELETING"), scratch(status="DELETED")],
    ids=["gone", "deleting", "deleted"],
)
@pytest.mark.parametrize("lag", [0, 50])
def test_the_named_cluster_is_dropped(after: Any, lag: float) -> None:
    cloud = Cloud(after=after, lag=lag)
    assert cloud.drop() == {"cluster_id": CLUSTER, "cluster_name": "scratch", "dropped": True}
    assert cloud.drops == 1
    assert cloud.driver.calls[:4] == ["describe cluster", "get backup policy", "list backups", "drop cluster"]


def test_the_log_shows_what_is_dropped_before_it_is_and_where_it_stays() -> None:
    cloud = Cloud()
    cloud.drop()
    plan, end = cloud.driver.notes
    assert plan == (
        f"Dropping cluster {CLUSTER}: scratch, age 1 h 0 min, project proj-1, plan Enterprise, 2 CU, RUNNING."
    )
    assert "recycle bin for 30 days" in end
    steps = [getattr(step, "note", None) or getattr(step, "name", None) for step in cloud.driver.steps]
    assert steps.index(plan) < steps.index("drop cluster")


@pytest.mark.parametrize(
    "first",
    [GONE, scratch(status="DELETING"), scratch(status="DELETED")],
    ids=["gone", "deleting", "deleted"],
)
def test_a_cluster_that_is_gone_already_is_a_success_and_said(first: Any) -> None:
    cloud = Cloud(cluster=first)
    assert cloud.drop() == {"cluster_id": CLUSTER, "cluster_name": "scratch", "dropped": False}
    assert cloud.driver.calls == ["describe cluster", "list clusters"]
    assert cloud.driver.notes == [f"Cluster {CLUSTER} (scratch) is already gone; nothing was dropped."]


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "another name": ({"cluster": scratch(cluster_name="prod")}, "is named 'prod', not 'scratch'"),
    "too old": ({"cluster": scratch(create_time=at(-7 * 86_400 - 1))}, "is older than 7 d 0 h"),
    "far in the future": ({"cluster": scratch(create_time=at(8 * 86_400))}, "of unknown age"),
    "unknown age": ({"cluster": scratch(create_time=None)}, r"is of unknown age \(created: None\)"),
    "a policy": ({"policy": BackupPolicy(status="ENABLED")}, r"has a backup policy \(ENABLED\)"),
    "an unknown policy": ({"policy": BackupPolicy()}, r"has a backup policy \(no status\)"),
    "an automatic backup": (
        {"backups": [backup("b1"), backup("b2", creation_method="AUTO")]},
        "has automatic backups, which would go with it: auto cluster backup b2",
    ),
    "a backup of unknown origin": (
        {"backups": [backup("b1", creation_method="")]},
        "has automatic backups, which would go with it",
    ),
}
#: What lets each be dropped nevertheless.
UNLESS: dict[str, dict[str, Any]] = {
    "too old": {"max_age": None},
    "far in the future": {"max_age": None},
    "unknown age": {"max_age": None},
    "a policy": {"even_with_policy": True},
    "an unknown policy": {"even_with_policy": True},
    "an automatic backup": {"even_with_policy": True},
    "a backup of unknown origin": {"even_with_policy": True},
}


@pytest.mark.parametrize(("facts", "text"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_no_scratch_cluster_is_refused_before_anything_is_sent(
    facts: dict[str, Any], text: str
) -> None:
    cloud = Cloud(**facts)
    with pytest.raises(ZillizBadRequestError, match=f"{text}.* not dropped"):
        cloud.drop()
    assert cloud.drops == 0


@pytest.mark.parametrize("name", UNLESS)
def test_it_is_dropped_when_told(name: str) -> None:
    cloud = Cloud(**REFUSALS[name][0])
    assert cloud.drop(**UNLESS[name])["dropped"]


@pytest.mark.parametrize("name", UNLESS)
def test_one_permission_does_not_stand_for_the_other(name: str) -> None:
    (given,) = UNLESS[name]
    other: dict[str, Any] = {"even_with_policy": True} if given == "max_age" else {"max_age": None}
    cloud = Cloud(**REFUSALS[name][0])
    with pytest.raises(ZillizBadRequestError):
        cloud.drop(**other)


def test_a_name_that_is_not_shown_is_not_taken_for_the_right_one() -> None:
    cloud = Cloud(cluster=scratch(cluster_name=""))
    with pytest.raises(ZillizProtocolError, match="does not show the name"):
        cloud.drop()
    assert cloud.drops == 0


def test_a_cluster_whose_age_does_not_matter_may_hide_it() -> None:
    cloud = Cloud(cluster=scratch(create_time=None))
    cloud.drop(max_age=None)
    assert "scratch, age unknown, project" in cloud.driver.notes[0]


def test_manual_and_deleted_backups_do_not_matter() -> None:
    cloud = Cloud(backups=[backup("b1"), backup("b2", creation_method="AUTO", status="DELETED")])
    assert cloud.drop()["dropped"]


def test_a_cluster_that_cannot_have_backups_is_not_asked_for_them() -> None:
    cloud = Cloud(cluster=scratch(plan="Serverless", deployment_option="Serverless"))
    assert cloud.drop()["dropped"]
    assert cloud.driver.calls[:2] == ["describe cluster", "drop cluster"]


LOST = [
    ZillizConnectionError("No answer."),
    ZillizServerError("HTTP 500."),
    ZillizProtocolError("Not JSON."),
]
UNSENT = [
    ZillizConnectionError("Connection refused.", unprocessed=True),
    ZillizThrottledError("Too many requests.", unprocessed=True, retry_after=7),
]
READS = ("describe cluster", "get backup policy", "list backups")


@pytest.mark.parametrize("is_done", [False, True], ids=["before the work", "after the work"])
@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("lag", [0, 50])
def test_a_lost_answer_is_looked_up(error: ZillizError, is_done: bool, lag: float) -> None:
    cloud = Cloud(faults={"drop cluster": [error]}, is_done=is_done, lag=lag)
    assert cloud.drop()["dropped"]
    assert cloud.drops == (1 if is_done else 2)


def test_a_second_drop_is_checked_like_the_first() -> None:
    """The answer is lost; in the meantime the cluster gets a policy, since somebody uses it."""
    cloud = Cloud(faults={"drop cluster": [LOST[0]]})
    flow = drop_scratch_cluster(CLUSTER, "scratch", max_age=WEEK)
    answer = cloud.driver.answer

    def change_policy(operation: Operation[Any]) -> Any:
        if operation.name == "drop cluster":
            cloud.policy = BackupPolicy(status="ENABLED")
        return answer(operation)

    cloud.driver.answer = change_policy
    with pytest.raises(ZillizBadRequestError, match="has a backup policy"):
        cloud.driver.run(flow)
    assert cloud.drops == 1


@pytest.mark.parametrize("error", UNSENT, ids=lambda error: type(error).__name__)
def test_a_drop_that_was_certainly_not_done_is_checked_and_sent_again_soon(error: ZillizError) -> None:
    cloud = Cloud(faults={"drop cluster": [error]})
    assert cloud.drop()["dropped"]
    assert cloud.driver.calls.count("get backup policy") == cloud.drops == 2
    assert cloud.driver.elapsed < 10


@pytest.mark.parametrize("error", [*LOST, *UNSENT], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("operation", READS)
def test_a_read_is_sent_again_after_trouble_that_passes(operation: str, error: ZillizError) -> None:
    cloud = Cloud(faults={operation: [error, error]})
    assert cloud.drop()["dropped"]


@pytest.mark.parametrize(
    "error",
    [*LOST, *UNSENT, ZillizPermissionError("Not permitted."), ZillizRefusedError("Declined.", code=98765)],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("operation", READS)
def test_nothing_is_dropped_while_something_cannot_be_read(operation: str, error: ZillizError) -> None:
    cloud = Cloud(faults={operation: [error] * 6})
    with pytest.raises(type(error)):
        cloud.drop()
    assert cloud.drops == 0


def test_a_drop_that_finds_nothing_any_more_is_no_drop_of_ours() -> None:
    cloud = Cloud(faults={"drop cluster": [GONE]})
    assert cloud.drop()["dropped"] is False


def test_a_second_drop_that_finds_nothing_any_more_confirms_the_first() -> None:
    cloud = Cloud(faults={"drop cluster": [LOST[0], GONE]}, is_done=True, lag=10_000)
    assert cloud.drop()["dropped"] is True


def test_a_refused_drop_is_an_error() -> None:
    cloud = Cloud(faults={"drop cluster": [ZillizRefusedError("It is being restored.", code=98765)]})
    with pytest.raises(ZillizRefusedError, match="It is being restored"):
        cloud.drop()
    assert cloud.drops == 1


def test_an_accepted_drop_that_shows_no_effect_is_told() -> None:
    cloud = Cloud(lag=10_000)
    with pytest.raises(ZillizUncertainError, match="accepted the call, but shows no change after 60 s"):
        cloud.drop()
    assert cloud.drops == 1
