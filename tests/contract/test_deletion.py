"""Deleting and pruning against the emulator: only what was named goes, whatever fails."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_zbackup.emulator.records import Collection
from airflow_provider_zbackup.operators.backup import (
    ZillizCreateBackupOperator,
    ZillizDeleteBackupOperator,
    ZillizPruneBackupsOperator,
)
from airflow_provider_zbackup.utils.errors import find_zilliz_error
from airflow_provider_zbackup.zilliz.errors import ZillizConflictError
from tests.contract.faults import ANYWHERE, attempt, heal, strike
from tests.support import API_KEY, CLUSTER_ID, PROJECT_ID, TaskInstance, World

DAY = 24 * 60 * 60


def delete(**arguments: Any) -> TaskInstance:
    return TaskInstance(lambda: ZillizDeleteBackupOperator(task_id="task", **arguments))


def prune(**arguments: Any) -> TaskInstance:
    arguments = {"cluster_id": CLUSTER_ID} | arguments
    return TaskInstance(lambda: ZillizPruneBackupsOperator(task_id="task", **arguments))


def stock(world: World, count: int = 4, **facts: Any) -> list[str]:
    """Make one backup a day and return their ids, the oldest first."""
    made = []
    for _ in range(count):
        world.clock.sleep(DAY)
        made.append(world.someone_backs_up(seconds=0, **facts).backup_id)
    world.clock.sleep(60)
    return made


def there(world: World) -> set[str]:
    now = world.clock.now
    return {held.backup_id for held in world.backups() if held.status(now) in ("AVAILABLE", "CREATING")}


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("beside_cluster", [False, True])
def test_the_result_of_a_create_task_can_be_deleted(
    world: World, as_text: bool, beside_cluster: bool
) -> None:
    other = stock(world, 1)
    created = TaskInstance(lambda: ZillizCreateBackupOperator(task_id="make", cluster_id=CLUSTER_ID)).run()
    given = json.dumps(created) if as_text else created
    task = delete(cluster_id=CLUSTER_ID, backup_id=given) if beside_cluster else delete(backup=given)
    assert task.run() == {
        "cluster_id": CLUSTER_ID,
        "backup_id": created["backup_id"],
        "backup_name": created["backup_name"],
        "deleted": True,
    }
    assert there(world) == set(other)
    assert task.run()["deleted"] is False, "again"


def test_a_backup_that_is_being_made_is_not_deleted(world: World) -> None:
    backup = world.someone_backs_up(seconds=100)
    task = delete(cluster_id=CLUSTER_ID, backup_id=backup.backup_id)
    with pytest.raises(ZillizConflictError, match="CREATING"):
        task.run()
    world.clock.sleep(100)
    assert task.run()["deleted"] is True


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "give either backup, or both"),
        ({"cluster_id": "in01-x"}, "give either backup, or both"),
        ({"backup_id": "backup-x"}, "give either backup, or both"),
        ({"backup": {}, "backup_id": "b"}, "give either backup, or both"),
        ({"backup": {"backup_id": 5}}, "backup_id, in backup, must be a string"),
        (
            {"backup": {"job_id": "j"}},
            "backup is a result without backup_id; it has job_id. Check from which",
        ),
        ({"cluster_id": "in01-x", "backup_id": " b"}, "white space"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_when_the_dag_is_parsed(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ZillizDeleteBackupOperator(task_id="task", **arguments)


@pytest.mark.parametrize(
    "backup", [{"cluster_id": "in01-x"}, {"backup_id": "b"}, "None", "{'backup_id': 1}"], ids=str
)
def test_a_result_without_ids_is_refused_before_anything_is_sent(world: World, backup: Any) -> None:
    def make() -> Any:
        task = ZillizDeleteBackupOperator(task_id="task", backup="{{ result }}")
        task.backup = backup
        return task

    with pytest.raises(
        AirflowFailException, match=r"backup (is a result without|is 'None'|is a string that)"
    ):
        TaskInstance(make).run()
    assert world.requests() == []


@pytest.mark.parametrize("backup_id", ["policy", "create", "..", "a/b"])
def test_an_id_that_leads_elsewhere_deletes_nothing(world: World, backup_id: str) -> None:
    stock(world)
    before = there(world)
    _, error = attempt(delete(cluster_id=CLUSTER_ID, backup_id=backup_id))
    assert backup_id == "a/b" or isinstance(error, AirflowFailException)
    assert there(world) == before
    assert not world.requests("get_backup_policy")


def test_the_newest_stay(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ids = stock(world)
    automatic = stock(world, creation_method="AUTO")
    result = prune(keep_last=2).run()
    assert there(world) == {*ids[2:], *automatic}
    assert result["deleted"] == 2
    json.dumps(result)
    deletes = [entry for entry in world.requests() if entry.operation == "delete_backup"]
    assert [entry.path.rpartition("/")[2] for entry in deletes] == ids[:2], "the oldest first"


def test_a_backup_of_few_collections_does_not_push_out_one_of_others(world: World) -> None:
    articles, users = ({"": [Collection(name)]} for name in ("articles", "users"))
    rare = stock(world, 1, backup_type="COLLECTION", databases=users)
    often = stock(world, 5, backup_type="COLLECTION", databases=articles)
    prune(keep_last=2, project_id=PROJECT_ID, cluster_id=None).run()
    assert there(world) == {*rare, *often[3:]}


@pytest.mark.parametrize(
    "rule",
    [{"older_than": timedelta(days=2)}, {"keep_daily": "2"}, {"keep_weekly": 1, "min_keep": "1"}],
    ids=str,
)
def test_each_rule_reaches_the_plan(world: World, rule: dict[str, Any]) -> None:
    ids = stock(world, 4)
    prune(**rule).run()
    kept = {"older_than": 2, "keep_daily": 2, "keep_weekly": 1}[next(iter(rule))]
    assert there(world) == set(ids[-kept:])


def test_a_dry_run_only_looks(world: World) -> None:
    ids = stock(world)
    result = prune(keep_last=1, dry_run=True).run()
    assert there(world) == set(ids)
    assert {held["action"] for held in result["backups"]} == {"kept", "would be deleted"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "give at least one rule"),
        ({"keep": ["b"]}, "give at least one rule"),
        ({"keep_last": 0}, "keep_last must be a whole number, at least 1"),
        ({"keep_last": 1, "min_keep": 0}, "min_keep must be a whole number, at least 1"),
        ({"keep_last": 1, "project_id": "proj-1"}, "give either cluster_id or project_id"),
        ({"keep_last": 1, "cluster_id": None}, "give either cluster_id or project_id"),
        ({"older_than": 7}, "older_than must be a timedelta"),
        ({"older_than": timedelta()}, "older_than must be a timedelta"),
        ({"keep_last": 1, "timezone": "Europe/Nowhere"}, "timezone must be a time zone"),
        ({"keep_last": 1, "timezone": "../etc"}, "timezone must be a time zone"),
        ({"keep_last": 1, "keep": "b"}, "keep must be a list of backup ids"),
        ({"keep_last": 1, "keep_names": ""}, "keep_names must not be empty"),
        ({"keep_last": 1, "backup_type": "cluster"}, "backup_type must be one of"),
        ({"keep_last": 1, "creation_method": None}, "creation_method must be one of"),
        ({"keep_last": 1, "price_per_gb_month": -1}, "price_per_gb_month must be a number, at least 0"),
        ({"keep_last": 1, "price_per_gb_month": True}, "price_per_gb_month must be a number, at least 0"),
        ({"keep_last": 1, "dry_run": "yes"}, "dry_run must be one of"),
    ],
    ids=str,
)
def test_a_plan_that_cannot_be_meant_is_refused_when_the_dag_is_parsed(
    arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        ZillizPruneBackupsOperator(task_id="task", **{"cluster_id": CLUSTER_ID} | arguments)


@pytest.mark.parametrize(
    "rendered", ["['keep-*', 'before-*']", '["keep-*"]', "[]", ["keep-*"], "None", ""], ids=str
)
def test_a_list_of_patterns_that_would_match_nothing_deletes_nothing(world: World, rendered: Any) -> None:
    def make() -> Any:
        task = ZillizPruneBackupsOperator(
            task_id="task", cluster_id=CLUSTER_ID, keep_last=1, keep_names="{{ params.names }}"
        )
        task.keep_names = rendered
        return task

    stock(world)
    with pytest.raises(AirflowFailException, match="keep_names"):
        TaskInstance(make).run()
    assert world.requests() == []


CASES: dict[str, tuple[Callable[[list[str]], TaskInstance], int]] = {
    "delete": (lambda ids: delete(cluster_id=CLUSTER_ID, backup_id=ids[0]), 1),
    "prune": (lambda ids: prune(keep_last=2), 2),
}
ROUTES = {
    "list_backups": "/v2/backups",
    "describe_backup": "/v2/clusters/[^/]+/backups/backup[^/]+",
    "delete_backup": "/v2/clusters/[^/]+/backups/backup[^/]+",
}


@pytest.mark.parametrize(
    ("case", "operation", "fault", "persists"),
    list(product(CASES, ROUTES, ANYWHERE, [False, True])),
)
def test_whatever_fails_only_what_was_meant_goes(
    world: World,
    capfd: pytest.CaptureFixture[str],
    case: str,
    operation: str,
    fault: str,
    persists: bool,
) -> None:
    make, going = CASES[case]
    ids = stock(world)
    strike(world, operation, ROUTES[operation], fault, persists=persists)
    task = make(ids)
    result, error = attempt(task)
    assert there(world) >= set(ids[going:])
    if error is not None:
        assert find_zilliz_error(error) is not None
        assert len(str(error)) > 40, "the error says what is the matter"
        heal(world)
        result = task.run()
    elif there(world) > set(ids[going:]):
        # What could not be read stays until the next run.
        assert (case, operation) == ("prune", "describe_backup")
        result = task.run()
    assert there(world) == set(ids[going:])
    assert int(result["deleted"]) in range(going + 1)
    assert API_KEY not in "".join(capfd.readouterr()) + repr(error) + repr(result)
