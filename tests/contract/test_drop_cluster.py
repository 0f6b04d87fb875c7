"""Dropping a cluster against the emulator: the one that was named or none, whatever fails."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_zbackup.operators.cluster import ZillizDropClusterOperator
from airflow_provider_zbackup.operators.policy import ZillizSetBackupPolicyOperator
from airflow_provider_zbackup.utils.errors import find_zilliz_error
from airflow_provider_zbackup.zilliz.errors import ZillizRefusedError
from tests.contract.cases import Restore
from tests.contract.faults import ANYWHERE, attempt, heal, strike
from tests.support import API_KEY, CLUSTER_ID, TaskInstance, World

ROUTES = {
    "describe_cluster": "/v2/clusters/[^/]+",
    "get_backup_policy": "/v2/clusters/[^/]+/backups/policy",
    "list_backups": "/v2/backups",
    "drop_cluster": "/v2/clusters/[^/]+/drop",
}


def task(**arguments: Any) -> TaskInstance:
    return TaskInstance(lambda: ZillizDropClusterOperator(task_id="task", **arguments))


@pytest.fixture
def restored(world: World) -> dict[str, Any]:
    """The result of a restore task."""
    result: dict[str, Any] = Restore(world).task().run()
    return result


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """The log of the task and, in debug level, of everything else."""
    monkeypatch.setattr(ZillizDropClusterOperator, "log", logging.getLogger("task"))
    caplog.set_level(logging.DEBUG)
    return caplog


def there(world: World) -> set[str]:
    return {cluster.cluster_id for cluster in world.control_plane.present_clusters()}


@pytest.mark.parametrize("form", ["result", "JSON", "id and name"])
def test_the_restored_cluster_is_dropped_and_no_other(
    world: World, restored: dict[str, Any], form: str, logged: pytest.LogCaptureFixture
) -> None:
    names = ("cluster_id", "cluster_name")
    forms: dict[str, dict[str, Any]] = {
        "result": {"cluster": restored},
        "JSON": {"cluster": json.dumps(restored)},
        "id and name": {name: restored[name] for name in names},
    }
    before = there(world)
    dropping = task(**forms[form])
    expected: dict[str, Any] = {name: restored[name] for name in names}
    assert dropping.run() == expected | {"dropped": True}
    assert there(world) == before - {restored["cluster_id"]}
    assert f"Dropping cluster {restored['cluster_id']}: restored, age " in logged.text
    assert "recycle bin for 30 days" in logged.text
    assert dropping.run() == expected | {"dropped": False}, "again"
    assert "is already gone; nothing was dropped" in logged.text
    assert len(world.requests("drop_cluster")) == 1


def test_what_is_not_the_api_drops_nothing_and_says_so(world: World) -> None:
    world.fault("*", status=404, body={"code": 404, "message": "page not found"})
    with pytest.raises(AirflowFailException, match=r"Check .*: the API may not be there"):
        task(cluster_id=CLUSTER_ID, cluster_name="scratch").run()


def test_a_cluster_that_is_listed_and_not_found_is_not_taken_for_gone(world: World) -> None:
    world.fault("describe_cluster", code=96018, message="no such cluster")
    with pytest.raises(ZillizRefusedError, match=f"{CLUSTER_ID} is in the list of clusters, but is not"):
        task(cluster_id=CLUSTER_ID, cluster_name="scratch").run()
    assert CLUSTER_ID in there(world)


def test_the_name_has_to_match(world: World, restored: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match=r"is named 'Dedicated-01', not 'restored'"):
        task(cluster=restored | {"cluster_id": CLUSTER_ID}).run()
    assert world.requests("drop_cluster") == []


def test_an_old_cluster_is_kept_unless_told(world: World, restored: dict[str, Any]) -> None:
    world.clock.sleep(8 * 24 * 60 * 60)
    with pytest.raises(AirflowFailException, match=r"older than 7 d 0 h.*Give a longer max_age"):
        task(cluster=restored).run()
    with pytest.raises(AirflowFailException, match="older than 2 d 0 h"):
        task(cluster=restored, max_age=timedelta(days=2)).run()
    assert world.requests("drop_cluster") == []
    assert task(cluster=restored, max_age=timedelta(days=9)).run()["dropped"]


def test_a_cluster_with_automatic_backups_is_kept_unless_told(world: World, restored: dict[str, Any]) -> None:
    policy: dict[str, Any] = {"weekdays": ["monday"], "start_hour": 2, "retention_days": 7}
    for enabled in (True, False):
        TaskInstance(
            lambda enabled=enabled: ZillizSetBackupPolicyOperator(  # type: ignore[misc]
                task_id="task", cluster_id=restored["cluster_id"], enabled=enabled, **policy
            )
        ).run()
        world.clock.sleep(60)
        text = r"has a backup policy \(ENABLED\)" if enabled else "has automatic backups, which would go with"
        with pytest.raises(AirflowFailException, match=f"{text}.*Set even_with_policy=True"):
            task(cluster=restored).run()
    assert world.requests("drop_cluster") == []
    assert task(cluster=restored, even_with_policy=True).run()["dropped"]


@pytest.mark.parametrize(
    ("operation", "fault", "persists"),
    list(product(ROUTES, ANYWHERE, (False, True))),
)
def test_no_fault_drops_what_was_not_named(
    world: World,
    restored: dict[str, Any],
    operation: str,
    fault: str,
    persists: bool,
    logged: pytest.LogCaptureFixture,
) -> None:
    before = there(world)
    strike(world, operation, ROUTES[operation], fault, persists=persists)
    dropping = task(cluster=restored)
    result, error = attempt(dropping)
    if error is not None:
        assert find_zilliz_error(error)
        if operation != "drop_cluster":
            assert world.requests("drop_cluster") == [], "What cannot be checked is not dropped."
        heal(world)
        result = dropping.run()
    assert result["cluster_id"] == restored["cluster_id"]
    assert there(world) == before - {restored["cluster_id"]}
    assert sum(request.work_done for request in world.requests("drop_cluster")) == 1
    assert API_KEY not in logged.text + repr(result)
