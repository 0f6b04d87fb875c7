"""The sensors against the emulator, in each of their modes."""

from __future__ import annotations

import json
import logging
import re
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.emulator.seed import FREE_CLUSTER_ID, SERVERLESS_CLUSTER_ID
from airflow_provider_zbackup.sensors.backup import ZillizNoActiveBackupSensor
from airflow_provider_zbackup.sensors.job import ZillizJobSensor
from airflow_provider_zbackup.utils.errors import find_zilliz_error
from airflow_provider_zbackup.zilliz.errors import ZillizJobFailedError
from tests.contract.cases import Restore, RestoreCollections
from tests.support import CLUSTER_ID, PROJECT_ID, TaskInstance, World

# Reschedule mode is poke mode with Airflow's scheduler in the place of the loop: see test_reschedule_mode.
MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])


def job_sensor(job_id: Any, **arguments: Any) -> TaskInstance:
    return TaskInstance(lambda: ZillizJobSensor(task_id="task", job_id=job_id, **arguments))


def gate(**arguments: Any) -> TaskInstance:
    arguments = arguments or {"cluster_id": CLUSTER_ID}
    return TaskInstance(lambda: ZillizNoActiveBackupSensor(task_id="task", poke_interval=10, **arguments))


def start(world: World, **plan: Any) -> Any:
    world.fault("create_backup", times=1, job=JobPlan(**plan))
    return world.hook.create_backup(CLUSTER_ID)


@MODES
def test_the_final_job_is_returned(world: World, deferrable: bool) -> None:
    created = start(world, seconds=120)
    task = job_sensor(created.job_id, deferrable=deferrable)
    assert task.run() == {
        "job_id": created.job_id,
        "type": "BACKUP",
        "status": "SUCCESSFUL",
        "progress": 100,
        "start_time": "2026-03-02T10:00:00Z",
        "end_time": "2026-03-02T10:02:00Z",
        "reason": "",
    }
    assert len(task.deferrals) == deferrable


@MODES
def test_it_answers_at_once_when_the_job_is_over(world: World, deferrable: bool) -> None:
    created = start(world, seconds=1)
    world.clock.sleep(5)
    begin = world.clock.now
    task = job_sensor(created.job_id, deferrable=deferrable)
    assert task.run()["status"] == "SUCCESSFUL"
    assert world.clock.now == begin
    assert task.deferrals == []


@MODES
@pytest.mark.parametrize("seconds", [1, 200], ids=["before it looks", "while it waits"])
@pytest.mark.parametrize(
    ("plan", "message"),
    [({"status": "FAILED", "reason": "disk is full"}, "disk is full"), ({"status": "CANCELED"}, "canceled")],
)
def test_the_end_of_the_job_fails_the_task_for_good(
    world: World, deferrable: bool, seconds: float, plan: dict[str, Any], message: str
) -> None:
    created = start(world, seconds=seconds, **plan)
    with pytest.raises(AirflowFailException, match=message):
        job_sensor(created.job_id, deferrable=deferrable).run()
    with pytest.raises(AirflowSkipException):
        job_sensor(created.job_id, deferrable=deferrable, soft_fail=True).run()


@MODES
def test_the_end_of_the_job_is_told_with_the_backup_when_that_is_known(
    world: World, deferrable: bool
) -> None:
    created = start(world, seconds=200, status="FAILED", reason="disk is full")
    result = {"cluster_id": CLUSTER_ID, "backup_id": created.backup_id, "job_id": created.job_id}
    with pytest.raises(AirflowFailException) as caught:
        job_sensor(result, deferrable=deferrable).run()
    assert str(caught.value) == (
        f"Job {created.job_id} failed: disk is full (backup {created.backup_id}, cluster {CLUSTER_ID}). "
        "Clear the task that created it, to start a new one."
    )
    error = find_zilliz_error(caught.value)
    assert isinstance(error, ZillizJobFailedError)
    assert (error.job_id, error.backup_id, error.cluster_id) == (
        created.job_id,
        created.backup_id,
        CLUSTER_ID,
    )


@MODES
def test_time_out(world: World, deferrable: bool) -> None:
    created = start(world, status="IN_PROGRESS")
    begin = world.clock.now
    with pytest.raises(AirflowSensorTimeout):
        job_sensor(created.job_id, deferrable=deferrable, timeout=300, poke_interval=20).run()
    assert world.clock.now - begin == pytest.approx(300, abs=41)
    with pytest.raises(AirflowSkipException):
        job_sensor(created.job_id, deferrable=deferrable, timeout=300, soft_fail=True).run()


@MODES
def test_a_job_may_be_unknown_right_after_its_creation_only(world: World, deferrable: bool) -> None:
    world.control_plane.configure(job_lag=20)
    created = start(world, seconds=60)
    assert job_sensor(created.job_id, deferrable=deferrable).run()["status"] == "SUCCESSFUL"
    with pytest.raises(AirflowFailException, match="96026"):
        job_sensor("job-unknown", deferrable=deferrable).run()


@MODES
def test_trouble_that_passes_is_ridden_out(world: World, deferrable: bool) -> None:
    created = start(world, seconds=300)
    world.fault("describe_job", skip=1, times=12, status=502, body="<html>Bad Gateway</html>")
    assert job_sensor(created.job_id, deferrable=deferrable).run()["status"] == "SUCCESSFUL"


def test_no_poke_asks_again_before_it_may(world: World) -> None:
    created = start(world, seconds=300)
    world.fault("describe_job", times=1, status=503, headers={"Retry-After": "50"})
    assert job_sensor(created.job_id, deferrable=False, poke_interval=5).run()["status"] == "SUCCESSFUL"
    first, second, *_ = [request.time for request in world.requests("describe_job")]
    assert 50 <= second - first <= 55


@MODES
def test_the_result_of_a_create_task_serves_too(world: World, deferrable: bool) -> None:
    created = start(world, seconds=60)
    result = {"cluster_id": CLUSTER_ID, "backup_id": created.backup_id, "job_id": created.job_id}
    for given in (result, json.dumps(result)):
        task = job_sensor(given, deferrable=deferrable)
        assert task.run()["job_id"] == created.job_id
    assert task.xcoms["_link_ZillizConsoleLink"].endswith(f"/clusters/{CLUSTER_ID}")


@MODES
def test_without_a_job_id_the_backup_itself_is_waited_for(world: World, deferrable: bool) -> None:
    created = start(world, seconds=60)
    result = {"cluster_id": CLUSTER_ID, "backup_id": created.backup_id, "job_id": None}
    assert job_sensor(result, deferrable=deferrable).run()["status"] == "AVAILABLE"
    start(world, seconds=60, status="FAILED")
    result["backup_id"] = world.backups()[-1].backup_id
    with pytest.raises(AirflowFailException, match="cannot be found"):
        job_sensor(result, deferrable=deferrable).run()


def test_reschedule_mode(world: World) -> None:
    created = start(world, seconds=60)
    sensor = ZillizJobSensor(task_id="task", job_id=created.job_id, mode="reschedule")
    assert not sensor.poke({}).is_done
    world.clock.sleep(60)
    answer = sensor.poke({})
    assert answer.is_done
    assert answer.xcom_value is not None
    assert answer.xcom_value["status"] == "SUCCESSFUL"


@MODES
def test_the_gate_opens_when_no_backup_runs(world: World, deferrable: bool) -> None:
    begin = world.clock.now
    assert gate(cluster_id=CLUSTER_ID, deferrable=deferrable).run() == {"backups": 0}
    assert 0 < world.clock.now - begin < 5, "it looks twice, and not at once"


NO_BACKUPS = {"code": 0, "data": {"count": 0, "backups": []}}
EMPTY = {"code": 0, "data": []}


@MODES
def test_a_project_that_does_not_exist_is_not_free(world: World, deferrable: bool) -> None:
    # No document says whether the list of its backups is refused or just empty.
    world.fault("list_backups", status=200, body=NO_BACKUPS, times=None)
    with pytest.raises(AirflowFailException, match=r"Project proj-wrong is not among those .* can see"):
        gate(project_id="proj-wrong", deferrable=deferrable).run()
    assert gate(project_id=PROJECT_ID, deferrable=deferrable).run() == {"backups": 0}


@pytest.mark.parametrize(
    "answer", [{"code": 96014, "message": "No permission"}, {"status": 503}, {"status": 200, "body": EMPTY}]
)
def test_a_key_that_may_not_list_projects_waits_all_the_same(world: World, answer: dict[str, Any]) -> None:
    world.fault("list_backups", status=200, body=NO_BACKUPS, times=None)
    world.fault("list_projects", times=None, **answer)
    assert gate(project_id=PROJECT_ID).run() == {"backups": 0}


@MODES
@pytest.mark.parametrize("where", [{"cluster_id": CLUSTER_ID}, {"project_id": PROJECT_ID}])
@pytest.mark.parametrize("creation_method", ["AUTO", "MANUAL"])
def test_the_gate_waits_for_any_backup(
    world: World, deferrable: bool, where: dict[str, str], creation_method: str
) -> None:
    begin = world.clock.now
    world.someone_backs_up(seconds=100, creation_method=creation_method)
    task = gate(**where, deferrable=deferrable)
    assert task.run() == {"backups": 1}
    assert world.clock.now - begin > 100
    assert len(task.deferrals) == deferrable


@MODES
@pytest.mark.parametrize("status", ["PENDING", "COMPACTING", ""])
def test_a_backup_in_a_state_that_nobody_has_documented_keeps_the_gate_shut(
    world: World, deferrable: bool, status: str
) -> None:
    listed = {"backups": [{"backupId": "b", "status": status}]}
    world.fault("list_backups", times=6, status=200, body={"code": 0, "data": listed})
    assert gate(cluster_id=CLUSTER_ID, deferrable=deferrable).run() == {"backups": 0}
    assert len(world.requests("list_backups")) == 6 + 2


def test_execution_timeout_ends_the_wait_though_airflow_ignores_it_while_deferred(world: World) -> None:
    world.someone_backs_up(seconds=10_000)
    begin = world.clock.now
    with pytest.raises(AirflowSensorTimeout):
        gate(cluster_id=CLUSTER_ID, deferrable=True, execution_timeout=timedelta(seconds=60)).run()
    assert world.clock.now - begin == pytest.approx(60, abs=1)


def test_the_gate_needs_two_looks_in_a_row(world: World) -> None:
    """A backup that begins between the two keeps it shut."""
    world.clock.at(1, lambda: world.someone_backs_up(seconds=50, creation_method="AUTO"))
    begin = world.clock.now
    gate().run()
    assert world.clock.now - begin > 50


@MODES
def test_with_no_timeout_the_gate_is_a_check(world: World, deferrable: bool) -> None:
    check = gate(cluster_id=CLUSTER_ID, timeout=0, deferrable=deferrable)
    world.fault("list_backups", times=1, drop=True)
    begin = world.clock.now
    assert check.run() == {"backups": 0}
    assert world.clock.now - begin < 5
    world.clock.at(1, lambda: world.someone_backs_up(seconds=10_000, creation_method="AUTO"))
    with pytest.raises(AirflowSensorTimeout, match="is busy with"):
        check.run()
    assert world.clock.now - begin < 10
    assert not check.deferrals


@MODES
def test_the_gate_times_out(world: World, deferrable: bool) -> None:
    world.someone_backs_up(seconds=10_000)
    with pytest.raises(AirflowSensorTimeout):
        gate(cluster_id=CLUSTER_ID, timeout=100, deferrable=deferrable).run()


@MODES
@pytest.mark.parametrize(
    ("cluster_id", "text"),
    [
        ("in01-nowhere", r"Not found: .*\(describe cluster in01-nowhere.*ZillizHook\(\)\.list_clusters\(\)"),
        (FREE_CLUSTER_ID, "has no backups"),
        (SERVERLESS_CLUSTER_ID, "has no backups"),
    ],
    ids=["no cluster", "Free", "Serverless"],
)
def test_the_gate_stays_shut_for_a_cluster_that_cannot_have_backups(
    world: World, deferrable: bool, cluster_id: str, text: str
) -> None:
    with pytest.raises(AirflowFailException, match=text):
        gate(cluster_id=cluster_id, deferrable=deferrable).run()


@MODES
def test_the_gate_opens_though_the_cluster_cannot_be_looked_at_for_a_moment(
    world: World, deferrable: bool
) -> None:
    world.fault("describe_cluster", times=1, status=503)
    assert gate(cluster_id=CLUSTER_ID, deferrable=deferrable).run() == {"backups": 0}


def test_each_poke_tells_what_it_saw_and_the_time_out_the_last_of_it(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ZillizJobSensor, "log", logging.getLogger("task"))
    caplog.set_level(logging.INFO)
    created = start(world, seconds=120)
    with pytest.raises(AirflowSensorTimeout, match=rf"Job {created.job_id} is IN_PROGRESS, \d+ %\. "):
        job_sensor(created.job_id, deferrable=False, poke_interval=10, timeout=55).run()
    told = [record for record in caplog.records if f"Job {created.job_id} is" in record.message]
    assert [record.levelname for record in told] == ["INFO"] * 6 + ["ERROR"]
    assert len({record.message for record in told}) == 7


def test_a_poke_that_saw_nothing_new_is_silent_but_not_for_long(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ZillizNoActiveBackupSensor, "log", logging.getLogger("task"))
    caplog.set_level(logging.INFO)
    world.someone_backs_up(seconds=700)
    gate(cluster_id=CLUSTER_ID).run()
    told = [record.message for record in caplog.records if "is busy with" in record.message]
    assert len(told) == 3
    assert len(world.requests("list_backups")) > 60


@pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])
@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"status": 200, "body": "<html>Zilliz Cloud</html>"}, "cannot be read: .* text/html"),
        ({"status": 407}, "407"),
        ({"drop": True}, "No answer from 127.0.0.1"),
    ],
    ids=["a page", "HTTP 407", "no answer"],
)
def test_trouble_is_a_warning_at_the_first_look(
    world: World,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    deferrable: bool,
    fault: dict[str, Any],
    text: str,
) -> None:
    monkeypatch.setattr(ZillizJobSensor, "log", logging.getLogger("task"))
    caplog.set_level(logging.INFO)
    created = start(world, seconds=60)
    world.fault("describe_job", times=1, **fault)
    job_sensor(created.job_id, deferrable=deferrable).run()
    looks = [record for record in caplog.records if created.job_id in record.message]
    assert looks[0].levelname == "WARNING"
    assert re.search(text, looks[0].message)
    assert {record.levelname for record in looks[1:]} == {"INFO"}


def test_sensors_do_not_wait_for_a_week() -> None:
    assert ZillizJobSensor(task_id="task", job_id="job-1").timeout == 12 * 60 * 60


@MODES
def test_it_waits_for_the_new_cluster_if_the_answer_to_its_restore_was_lost(
    world: World, deferrable: bool
) -> None:
    """The backup in that result is the source, which has long been finished."""
    restore = Restore(world)
    world.fault("restore_cluster_backup", times=1, drop=True, after=True)
    result = restore.task(wait_for_completion=False).run()
    assert (result["job_id"], result["adopted"]) == (None, True)
    end = job_sensor(result, deferrable=deferrable).run()
    assert (end["cluster_id"], end["status"]) == (result["cluster_id"], "RUNNING")


@MODES
def test_it_waits_for_all_jobs_of_a_task(world: World, deferrable: bool) -> None:
    restore = RestoreCollections(world)
    world.fault("restore_collection_backup", times=1, job=JobPlan(seconds=500))
    names = ["medium_articles", "quick_setup"]
    result = restore.task(collections=names, wait_for_completion=False).run()
    begin = world.clock.now
    task = job_sensor(result, deferrable=deferrable)
    end = task.run()
    assert (end["job_id"], end["status"]) == (result["job_id"], "SUCCESSFUL")
    assert world.clock.now - begin > 490
    assert len(task.deferrals) == deferrable


@MODES
def test_none_of_the_jobs_of_a_task_may_fail(world: World, deferrable: bool) -> None:
    restore = RestoreCollections(world)
    world.fault("restore_collection_backup", times=1, job=JobPlan(seconds=50, status="FAILED"))
    result = restore.task(collections=["medium_articles", "quick_setup"], wait_for_completion=False).run()
    first = result["collections"][0]["job_id"]
    with pytest.raises(AirflowFailException, match=f"Job {first} failed") as caught:
        job_sensor(result, deferrable=deferrable).run()
    error = find_zilliz_error(caught.value)
    assert error is not None
    assert error.job_id == first
