"""The create operator against the emulator, over real HTTP."""

from __future__ import annotations

import re
from collections import UserList
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.emulator.seed import (
    FREE_CLUSTER_ID,
    SECOND_DEDICATED_CLUSTER_ID,
    SERVERLESS_CLUSTER_ID,
)
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.utils.errors import find_zilliz_error
from airflow_provider_zbackup.utils.task import BACKSTOP, DEFER_AFTER, EARLIEST_EVENT
from airflow_provider_zbackup.zilliz.errors import (
    ZillizConflictError,
    ZillizError,
    ZillizJobCanceledError,
    ZillizJobFailedError,
    ZillizRefusedError,
    ZillizTimeoutError,
)
from tests.support import CLUSTER_ID, TaskInstance, World

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])


def create(**arguments: Any) -> TaskInstance:
    arguments = {"cluster_id": CLUSTER_ID} | arguments
    return TaskInstance(lambda: ZillizCreateBackupOperator(task_id="task", **arguments))


@MODES
def test_the_bodies_and_paths_are_those_of_the_guide(world: World, deferrable: bool) -> None:
    create(deferrable=deferrable).run()
    create(deferrable=deferrable, collections=["medium_articles"]).run()
    sent = [(request.method, request.path, request.body) for request in world.requests("create_backup")]
    path = f"/v2/clusters/{CLUSTER_ID}/backups/create"
    assert sent == [
        ("POST", path, {"backupType": "CLUSTER"}),
        (
            "POST",
            path,
            {
                "backupType": "COLLECTION",
                "dbCollections": [{"collectionNames": ["medium_articles"]}],
            },
        ),
    ]


@MODES
def test_result(world: World, deferrable: bool) -> None:
    world.control_plane.configure(job_seconds=60)
    task = create(deferrable=deferrable)
    result = task.run()
    (backup,) = world.backups()
    (created,) = world.requests("create_backup")
    assert created.work_done
    assert re.fullmatch(r"job-\w+", result.pop("job_id"))
    assert result == {
        "cluster_id": CLUSTER_ID,
        "backup_id": backup.backup_id,
        "backup_name": "Dedicated-01_backup1",
        "backup_type": "CLUSTER",
        "status": "AVAILABLE",
        "size": backup.size(world.clock.now),
        "region_id": "aws-us-west-2",
        "create_time": "2026-03-02T10:00:00Z",
        "adopted": False,
    }
    assert len(task.deferrals) == deferrable


def test_database_and_regions_are_sent(world: World) -> None:
    create(collections=["orders", "customers"], database="sales", copy_to_regions=["aws-us-east-1"]).run()
    assert world.requests("create_backup")[0].body == {
        "backupType": "COLLECTION",
        "dbCollections": [{"dbName": "sales", "collectionNames": ["orders", "customers"]}],
        "crossRegionCopies": [{"regionId": "aws-us-east-1"}],
    }


def test_any_sequence_of_names_will_do(world: World) -> None:
    """Not only lists: another task may return something else, such as the results of mapped tasks."""
    create(
        collections=UserList(["orders"]), database="sales", copy_to_regions=UserList(["aws-us-east-1"])
    ).run()
    assert world.requests("create_backup")[0].body == {
        "backupType": "COLLECTION",
        "dbCollections": [{"dbName": "sales", "collectionNames": ["orders"]}],
        "crossRegionCopies": [{"regionId": "aws-us-east-1"}],
    }


def test_without_waiting_nothing_is_deferred_and_what_is_not_known_is_null(world: World) -> None:
    task = create(wait_for_completion=False, deferrable=True)
    result = task.run()
    assert task.deferrals == []
    assert {name for name, value in result.items() if value is None} == {
        "status",
        "size",
        "region_id",
        "create_time",
    }
    assert world.requests("describe_job") == []


def test_a_short_backup_is_never_deferred(world: World) -> None:
    world.control_plane.configure(job_seconds=3)
    task = create(deferrable=True)
    task.run()
    assert task.deferrals == []


def test_nothing_secret_is_in_the_trigger_and_its_deadline_is_absolute(world: World) -> None:
    world.control_plane.configure(job_seconds=600)
    task = create(deferrable=True, timeout=900)
    begin = world.clock.now
    result = task.run()
    (deferral,) = task.deferrals
    assert deferral["kwargs"] == {
        "result": result | dict.fromkeys(["status", "size", "region_id", "create_time"]),
        "zilliz_conn_id": "zilliz_default",
        "deadline": begin + 900,
        "poll_interval": 60.0,
        "since": begin,
        "not_before": begin + DEFER_AFTER + EARLIEST_EVENT,
        "end_from_trigger": False,
    }
    assert deferral["timeout"].total_seconds() == pytest.approx(900 - DEFER_AFTER + BACKSTOP)


def test_execution_timeout_ends_the_wait_though_airflow_ignores_it_while_deferred(world: World) -> None:
    world.control_plane.configure(job_seconds=600)
    task = create(deferrable=True, execution_timeout=timedelta(seconds=60))
    begin = world.clock.now
    with pytest.raises(ZillizTimeoutError, match="Gave up after 60 s"):
        task.run()
    assert world.clock.now == pytest.approx(begin + 60, abs=1)


@MODES
def test_a_failed_job_fails_the_task_with_its_reason_and_a_retry_makes_a_new_backup(
    world: World, deferrable: bool
) -> None:
    world.fault("create_backup", times=1, job=JobPlan(status="FAILED", at_progress=80, reason="disk is full"))
    task = create(deferrable=deferrable)
    with pytest.raises(ZillizJobFailedError, match="disk is full"):
        task.run()
    assert task.run()["status"] == "AVAILABLE"
    assert len(world.requests("create_backup")) == 2


@MODES
@pytest.mark.parametrize(
    ("plan", "kind"),
    [
        (JobPlan(seconds=60, status="FAILED"), ZillizJobFailedError),
        (JobPlan(status="IN_PROGRESS"), ZillizTimeoutError),
    ],
    ids=["failure", "time-out"],
)
def test_a_callback_gets_the_ids_of_what_was_waited_for(
    world: World, deferrable: bool, plan: JobPlan, kind: type[ZillizError]
) -> None:
    world.fault("create_backup", job=plan)
    with pytest.raises(kind) as caught:
        create(deferrable=deferrable, timeout=120).run()
    (backup,) = world.backups()
    error = find_zilliz_error(caught.value)
    assert error is not None
    assert (error.job_id, error.backup_id, error.cluster_id) == (
        backup.job.job_id,
        backup.backup_id,
        CLUSTER_ID,
    )


def test_what_is_kept_of_a_create_does_not_grow_with_its_collections(world: World) -> None:
    world.fault("create_backup", code=96038, message="Failed.")
    task = create(collections=[f"collection_{number}" for number in range(3000)])
    with pytest.raises(ZillizRefusedError):
        task.run()
    assert task.store
    assert len(str(task.store)) < 2000


@MODES
def test_a_job_that_is_canceled_in_the_console_fails_the_task(world: World, deferrable: bool) -> None:
    world.fault("create_backup", job=JobPlan(status="CANCELED", at_progress=80, running_status="CANCELING"))
    with pytest.raises(ZillizJobCanceledError, match="canceled"):
        create(deferrable=deferrable).run()


@pytest.mark.parametrize(
    ("cluster_id", "message"),
    [
        (FREE_CLUSTER_ID, "only to Dedicated clusters"),
        (SERVERLESS_CLUSTER_ID, "only to Dedicated clusters"),
        ("in01-unknown", "96018|96036"),
    ],
)
def test_a_cluster_that_cannot_be_backed_up_fails_for_good(
    world: World, cluster_id: str, message: str
) -> None:
    task = create(cluster_id=cluster_id)
    with pytest.raises(AirflowFailException, match=message):
        task.run()
    assert task.store == {}


def test_a_wrong_key_fails_for_good_without_showing_it(world: World) -> None:
    world.connect(password="wrong-key-wrong-key")
    with pytest.raises(AirflowFailException, match="does not accept the API key") as caught:
        create().run()
    assert "wrong-key" not in str(caught.value)


@MODES
@pytest.mark.parametrize("method", ["AUTO", "MANUAL"])
def test_a_backup_in_the_way_is_waited_for(world: World, deferrable: bool, method: str) -> None:
    in_the_way = world.someone_backs_up(seconds=100, creation_method=method)
    task = create(deferrable=deferrable)
    result = task.run()
    assert result["backup_id"] != in_the_way.backup_id
    assert not result["adopted"]
    assert len(world.requests("create_backup")) == 1, "it looks before it sends"
    # For its turn, and then for its own backup.
    assert len(task.deferrals) == (2 if deferrable else 0)


@MODES
def test_on_conflict_fail_says_who_is_in_the_way(world: World, deferrable: bool) -> None:
    in_the_way = world.someone_backs_up(seconds=100, creation_method="AUTO")
    world.clock.sleep(30)
    with pytest.raises(
        ZillizConflictError, match=rf"auto cluster backup {in_the_way.backup_id} \(CREATING, 30 s old\)"
    ):
        create(deferrable=deferrable, on_conflict="fail").run()


@MODES
def test_waiting_for_a_turn_ends_at_the_conflict_timeout(world: World, deferrable: bool) -> None:
    in_the_way = world.someone_backs_up(seconds=10_000, creation_method="AUTO")
    begin = world.clock.now
    with pytest.raises(ZillizTimeoutError, match=in_the_way.backup_id):
        create(deferrable=deferrable, conflict_timeout=300).run()
    assert world.clock.now - begin == pytest.approx(300, abs=10)


@MODES
@pytest.mark.parametrize("look", [0, 1], ids=["first look", "refused create"])
def test_who_may_not_wait_for_a_turn_fails_at_once(world: World, deferrable: bool, look: int) -> None:
    world.connect(extra={"conflict_codes": 96777})
    if look:
        world.fault("create_backup", code=96777, message="later, please")
    else:
        world.someone_backs_up(seconds=100)
    begin = world.clock.now
    task = create(deferrable=deferrable, conflict_timeout=0)
    with pytest.raises(ZillizTimeoutError, match=r"Waited 0 s for other backups to finish\. "):
        task.run()
    assert (task.deferrals, world.clock.now) == ([], begin)


@MODES
def test_a_refusal_that_no_list_explains_is_waited_for_when_its_code_says_so(
    world: World, deferrable: bool
) -> None:
    world.connect(extra={"conflict_codes": "4711, 96777"})
    world.fault("create_backup", times=3, code=96777, message="later, please")
    begin = world.clock.now
    assert create(deferrable=deferrable).run()["status"] == "AVAILABLE"
    assert world.clock.now - begin > 3 * 6, "and not asked again at once"


@MODES
def test_a_manual_backup_of_another_cluster_can_be_in_the_way(world: World, deferrable: bool) -> None:
    world.control_plane.configure(conflict_scope="organisation")
    world.someone_backs_up(seconds=60, cluster_id=SECOND_DEDICATED_CLUSTER_ID)
    assert create(deferrable=deferrable).run()["status"] == "AVAILABLE"


def test_the_link_is_there_from_the_start_and_after_a_failure(world: World) -> None:
    world.fault("create_backup", status=500, times=20, body="<html>")
    task = create()
    with pytest.raises(Exception, match="500"):
        task.run()
    assert task.xcoms["_link_ZillizConsoleLink"].endswith(f"/clusters/{CLUSTER_ID}")


@MODES
def test_the_xcom_that_names_the_backup_is_there_as_soon_as_it_is_created(
    world: World, deferrable: bool
) -> None:
    world.fault("create_backup", job=JobPlan(status="FAILED"))
    task = create(deferrable=deferrable)
    with pytest.raises(ZillizJobFailedError):
        task.run()
    (backup,) = world.backups()
    pushed = {key: value for key, value in task.xcoms.items() if key.startswith("zilliz_backup.")}
    assert list(pushed) == [f"zilliz_backup.{backup.backup_id}"]
    (known,) = pushed.values()
    assert (known["cluster_id"], known["job_id"], known["size"]) == (CLUSTER_ID, backup.job.job_id, None)


def test_a_retry_that_finds_the_backup_names_it_too(world: World) -> None:
    task = create(timeout=1)
    with pytest.raises(ZillizTimeoutError):
        task.run()
    world.clock.sleep(60)
    task.run()
    (backup,) = world.backups()
    assert f"zilliz_backup.{backup.backup_id}" in task.xcoms


@MODES
def test_clearing_a_finished_task_makes_a_new_backup_and_a_retry_does_not(
    world: World, deferrable: bool
) -> None:
    task = create(deferrable=deferrable)
    first = task.run()
    if task.store:
        assert task.run()["backup_id"] == first["backup_id"], "the worker died before it could report"
    task.max_tries += 1
    assert task.run()["backup_id"] != first["backup_id"]
