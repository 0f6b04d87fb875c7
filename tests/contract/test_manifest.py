"""The manifest that a create task records, and a restore that is compared with it much later."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Asset
from pytest_mock import MockerFixture

from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.operators.restore import ZillizRestoreClusterOperator
from airflow_provider_zbackup.operators.verify import ZillizVerifyCollectionsOperator
from airflow_provider_zbackup.version_compat import HAS_TASK_STATE_STORE
from airflow_provider_zbackup.zilliz.errors import ZillizJobFailedError, ZillizTimeoutError
from tests.contract.test_verify import ARTICLES, plant, verify, with_values
from tests.support import API_KEY, CLUSTER_ID, TaskInstance, World

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
CLUSTER = Asset(uri=f"zilliz://{CLUSTER_ID}")
MONTH = 30 * 24 * 60 * 60


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture, mocker: MockerFixture) -> pytest.LogCaptureFixture:
    for operator in (ZillizCreateBackupOperator, ZillizVerifyCollectionsOperator):
        mocker.patch.object(operator, "log", logging.getLogger("task"))
    caplog.set_level(logging.INFO)
    return caplog


def create(**arguments: Any) -> TaskInstance:
    defaults: dict[str, Any] = {"cluster_id": CLUSTER_ID, "record_manifest": True, "defer_after": 0}
    arguments = defaults | arguments
    return TaskInstance(lambda: ZillizCreateBackupOperator(task_id="task", **arguments))


def restore(backup: dict[str, Any], name: str = "scratch") -> dict[str, Any]:
    result: dict[str, Any] = TaskInstance(
        lambda: ZillizRestoreClusterOperator(
            task_id="task",
            cluster_id=CLUSTER_ID,
            backup_id=backup["backup_id"],
            cluster_name=name,
            discard_password=True,
        )
    ).run()
    return result


@MODES
def test_a_restore_is_proved_a_month_later(
    world: World, deferrable: bool, logged: pytest.LogCaptureFixture
) -> None:
    world.control_plane.configure(job_seconds=60)
    task = create(deferrable=deferrable, outlets=[CLUSTER])
    backup = task.run()
    assert len(task.deferrals) == deferrable
    manifest = task.xcoms["manifest"]
    assert task.outlet_events[CLUSTER].extra["manifest"] == manifest
    assert (manifest["cluster_id"], manifest["backup_id"]) == (CLUSTER_ID, backup["backup_id"])
    rows = {facts["name"]: facts.get("rows") for facts in manifest["collections"]}
    assert rows == {ARTICLES: 120, "quick_setup": None, "orders": 300, "customers": 60}
    assert f"The manifest of backup {backup['backup_id']} is in the XCom manifest: 480 rows" in logged.text
    assert "zilliz_backup" not in json.dumps(manifest)
    plant(world, CLUSTER_ID, "", ARTICLES, with_values(5, claps=0))
    world.clock.sleep(MONTH)
    result = verify(restored=restore(backup), manifest=manifest).run()
    assert (result["rows"], result["differences"]) == (480, [])
    assert result["not_compared"] == [{"collection": "quick_setup", "what": "rows: it is not loaded"}]
    again = restore(backup, "again")
    plant(world, again["cluster_id"], "", ARTICLES, with_values(6, claps=0))
    with pytest.raises(AirflowFailException, match="Differences in medium_articles: 1 "):
        verify(restored=again, manifest=manifest).run()
    assert API_KEY not in logged.text


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({}, [(None, ARTICLES), (None, "quick_setup"), ("sales", "customers"), ("sales", "orders")]),
        ({"collections": ["quick_setup"]}, [(None, "quick_setup")]),
        ({"collections": ["orders"], "database": "sales"}, [("sales", "orders")]),
    ],
)
def test_it_holds_what_is_backed_up(
    world: World, arguments: dict[str, Any], names: list[tuple[str | None, str]]
) -> None:
    task = create(**arguments, sample_rows="10")
    task.run()
    collections = task.xcoms["manifest"]["collections"]
    assert [(facts["database"], facts["name"]) for facts in collections] == names
    assert all(len(facts.get("sample", ())) <= 10 for facts in collections)
    assert len(json.dumps(collections)) < 1500 * len(collections), "It stays small."


def test_without_being_asked_no_data_is_read(world: World) -> None:
    task = create(record_manifest=False, outlets=[CLUSTER])
    task.run()
    assert "manifest" not in task.xcoms
    assert "manifest" not in task.outlet_events[CLUSTER].extra
    assert not [entry for entry in world.requests() if "/vectordb/" in entry.path]


def test_it_is_recorded_when_the_backup_begins(world: World) -> None:
    task = create()
    task.run()
    operations = [entry.operation for entry in world.requests()]
    assert operations.index("create_backup") < operations.index("query_entities")
    last = len(operations) - 1 - operations[::-1].index("query_entities")
    assert "describe_job" not in operations[:last]


@pytest.mark.parametrize("fault", [{"status": 500}, {"code": 1800, "message": "no"}], ids=str)
def test_the_backup_goes_on_without_it(
    world: World, fault: dict[str, Any], logged: pytest.LogCaptureFixture
) -> None:
    world.fault("query_entities", **fault)
    task = create(outlets=[CLUSTER])
    backup = task.run()
    assert backup["status"] == "AVAILABLE"
    assert "manifest" not in task.xcoms
    assert task.outlet_events[CLUSTER].extra["manifest"] is None
    assert f"No manifest of backup {backup['backup_id']} is recorded: " in logged.text


def test_a_retry_has_the_manifest_of_the_try_that_started_the_backup(
    world: World, variables: dict[str, Any], logged: pytest.LogCaptureFixture
) -> None:
    world.control_plane.configure(job_seconds=1000)
    task = create(timeout=300)
    with pytest.raises(ZillizTimeoutError):
        task.run()
    before = task.xcoms["manifest"]
    plant(world, CLUSTER_ID, "", ARTICLES, with_values(5, claps=0))
    task = TaskInstance(
        lambda: ZillizCreateBackupOperator(task_id="task", cluster_id=CLUSTER_ID, record_manifest=True),
        store=task.store,
    )
    task.run()
    assert len(world.backups()) == 1
    if HAS_TASK_STATE_STORE:
        assert task.xcoms["manifest"] == before
    else:
        assert "manifest" not in task.xcoms
        assert "A manifest is recorded only by the try of the task that starts the backup" in logged.text


def test_a_new_backup_has_a_new_manifest(world: World, variables: dict[str, Any]) -> None:
    world.fault("create_backup", times=1, job={"status": "FAILED", "reason": "disk is full"})
    task = create()
    with pytest.raises(ZillizJobFailedError):
        task.run()
    first = task.xcoms["manifest"]["backup_id"]
    backup = task.run()
    assert task.xcoms["manifest"]["backup_id"] == backup["backup_id"] != first


def test_a_backup_that_began_long_ago_gets_none(
    world: World, variables: dict[str, Any], logged: pytest.LogCaptureFixture
) -> None:
    world.control_plane.configure(job_seconds=1000)
    task = create(timeout=300, record_manifest=False)
    with pytest.raises(ZillizTimeoutError):
        task.run()
    task.make = create().make
    task.run()
    assert "manifest" not in task.xcoms
    assert "it began 3" in logged.text


def test_the_manifest_of_another_backup_is_refused(world: World) -> None:
    first, second = create(), create()
    first.run()
    restored = restore(second.run())
    with pytest.raises(
        AirflowFailException, match=r"manifest is that of backup .*, but backup .* was restored"
    ):
        verify(restored=restored, manifest=first.xcoms["manifest"]).run()
