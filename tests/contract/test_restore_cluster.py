"""Restoring a backup into a new cluster."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.operators.restore import ZillizRestoreClusterOperator
from airflow_provider_zbackup.zilliz.errors import ZillizJobFailedError, ZillizTimeoutError
from tests.contract.cases import Restore
from tests.support import CLUSTER_ID, PROJECT_ID, TaskInstance, World

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """The log of the task and, in debug level, of everything else."""
    monkeypatch.setattr(ZillizRestoreClusterOperator, "log", logging.getLogger("task"))
    caplog.set_level(logging.DEBUG)
    return caplog


def to_variable(case: Restore, **arguments: Any) -> TaskInstance:
    return case.task(discard_password=False, password_to="variable:restored_password", **arguments)


@MODES
def test_the_new_cluster_is_running_when_the_task_ends(world: World, deferrable: bool) -> None:
    case = Restore(world)
    source = world.control_plane.clusters[CLUSTER_ID]
    result = case.task(deferrable=deferrable).run()
    (new_id,) = case.made()
    new = world.control_plane.clusters[new_id]
    assert result == {
        "cluster_id": new_id,
        "cluster_name": "restored",
        "connect_address": world.hook.describe_cluster(new_id).connect_address,
        "status": "RUNNING",
        "source_cluster_id": CLUSTER_ID,
        "backup_id": case.backup_id,
        "job_id": result["job_id"],
        "username": "db_admin",
        "password_kept": False,
        "adopted": False,
    }
    assert result["connect_address"]
    assert (new.project_id, new.cu_size) == (source.project_id, source.cu_size), "as the source has it"
    assert world.clock.now >= new.created + 10


@MODES
def test_what_was_asked_for_is_sent(world: World, deferrable: bool) -> None:
    case = Restore(world)
    case.task(
        deferrable=deferrable,
        project_id=PROJECT_ID,
        cu_size="4",
        collection_status="RELEASE",
        restore_version="ORIGINAL",
    ).run()
    (request,) = case.calls
    assert request.body == {
        "projectId": PROJECT_ID,
        "clusterName": "restored",
        "cuSize": 4,
        "collectionStatus": "RELEASE",
        "restoreVersionPolicy": "ORIGINAL",
    }
    assert not [entry for entry in world.requests("describe_cluster") if entry.time < request.time]


@MODES
def test_the_password_goes_to_the_variable_and_nowhere_else(
    world: World, variables: dict[str, Any], deferrable: bool, logged: pytest.LogCaptureFixture
) -> None:
    task = to_variable(Restore(world), deferrable=deferrable)
    result = task.run()
    password = variables["restored_password"]
    assert len(password) >= 12
    assert (result["username"], result["password_kept"]) == ("db_admin", True)
    assert "The password of db_admin is in the Variable restored_password." in logged.text
    seen = [result, task.store, task.xcoms, task.deferrals, logged.text]
    assert password not in repr(seen)


def test_the_password_is_stored_before_the_record(world: World, variables: dict[str, Any]) -> None:
    task = to_variable(Restore(world))
    save = task.store.set

    def check(key: str, value: Any) -> None:
        assert ("restored_password" in variables) == bool(value["record"]["new_cluster_id"])
        save(key, value)

    task.store.set = check  # type: ignore[method-assign]
    task.run()


def test_a_password_that_cannot_be_stored_does_not_lose_the_cluster(
    world: World, monkeypatch: pytest.MonkeyPatch, logged: pytest.LogCaptureFixture
) -> None:
    case = Restore(world)
    tried: list[str] = []

    def fail(name: str, value: str, **_: Any) -> None:
        tried.append(value)
        raise RuntimeError(f"Cannot write {value}.")

    monkeypatch.setattr("airflow_provider_zbackup.operators.restore.set_variable", fail)
    result = to_variable(case).run()
    assert case.made() == [result["cluster_id"]]
    assert (result["adopted"], result["password_kept"], bool(result["job_id"])) == (False, False, True)
    assert "could not be written to the Variable restored_password: RuntimeError." in logged.text
    assert f"Nobody has the password of cluster {result['cluster_id']}. Set one in the web" in logged.text
    assert tried[0] not in logged.text
    assert set(tried) == {tried[0]}


def test_a_store_that_is_away_for_a_minute_does_not_lose_the_password(
    world: World, monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any]
) -> None:
    """The API shows it only once."""
    back = world.clock.now + 55

    def set_late(name: str, value: str, **_: Any) -> None:
        if world.clock.now < back:
            raise RuntimeError("Away.")
        variables[name] = value

    monkeypatch.setattr("airflow_provider_zbackup.operators.restore.set_variable", set_late)
    assert to_variable(Restore(world)).run()["password_kept"]
    assert len(variables["restored_password"]) >= 12


def test_a_password_that_an_earlier_try_stored_is_not_told_to_be_lost(
    world: World, variables: dict[str, Any], logged: pytest.LogCaptureFixture
) -> None:
    case = Restore(world)
    task = to_variable(case)
    save = task.store.set

    def fail(key: str, value: Any) -> None:
        if value["record"]["new_cluster_id"]:
            raise RuntimeError("Airflow's API is down.")
        save(key, value)

    task.store.set = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        task.run()
    task.store.set = save  # type: ignore[method-assign]
    result = task.run()
    assert (case.made(), result["adopted"]) == ([result["cluster_id"]], True)
    assert "restored_password" in variables
    assert "may be lost: this try did not get it. If an earlier try did, it is in the Variable" in logged.text
    assert "Nobody has the password" not in logged.text


@pytest.mark.parametrize("password_to", ["variable:{{ params.name }}", "{{ params.where }}", "restored"])
def test_where_the_password_goes_is_known_before_anything_is_sent(world: World, password_to: str) -> None:
    """A template that rendered to a template must not become a Variable of that name."""
    operator = Restore(world).make(discard_password=False, password_to="{{ params.where }}")
    operator.password_to = password_to
    with pytest.raises(AirflowFailException, match="password_to"):
        operator.execute(TaskInstance(lambda: operator).context)
    assert not world.requests("restore_cluster_backup")


def test_a_cleared_restore_that_never_delivered_goes_on_with_its_cluster(world: World) -> None:
    """Its name is taken by itself, so that it could never start again."""
    case = Restore(world)
    world.control_plane.configure(job_seconds=500)
    task = case.task(timeout=100)
    with pytest.raises(ZillizTimeoutError):
        task.run()
    task.max_tries += 1
    world.clock.sleep(1000)
    assert case.made() == [task.run()["cluster_id"]]


@MODES
def test_a_lost_answer_loses_the_password_and_says_so(
    world: World, variables: dict[str, Any], deferrable: bool, logged: pytest.LogCaptureFixture
) -> None:
    case = Restore(world)
    world.fault("restore_cluster_backup", times=1, drop=True, after=True)
    result = to_variable(case, deferrable=deferrable).run()
    assert case.made() == [result["cluster_id"]]
    assert (result["adopted"], result["job_id"], result["username"]) == (True, None, None)
    assert result["password_kept"] is False
    assert "restored_password" not in variables
    assert "may be lost" in logged.text


def test_a_name_that_is_taken_is_told_before_anything_is_sent(world: World) -> None:
    case = Restore(world)
    taken = world.control_plane.clusters[CLUSTER_ID]
    task = case.task(cluster_name=taken.cluster_name)
    with pytest.raises(AirflowFailException, match=f"is taken in project {PROJECT_ID}, by {CLUSTER_ID}"):
        task.run()
    assert case.calls == []


def test_a_source_that_is_gone_needs_project_and_size(world: World) -> None:
    case = Restore(world)
    world.fault("describe_cluster", code=96018, message="no such cluster")
    with pytest.raises(AirflowFailException, match=r"no such cluster.* give project_id and cu_size"):
        case.task().run()
    world.control_plane.faults.clear()
    assert case.task(project_id=PROJECT_ID, cu_size=1).run()["status"] == "RUNNING"


@MODES
def test_a_restore_that_fails_is_an_error_with_its_reason(world: World, deferrable: bool) -> None:
    case = Restore(world)
    world.fault("restore_cluster_backup", times=1, job=JobPlan(status="FAILED", reason="disk is full"))
    with pytest.raises(ZillizJobFailedError, match="disk is full"):
        case.task(deferrable=deferrable).run()


@pytest.mark.parametrize("as_text", [False, True], ids=["mapping", "JSON"])
def test_the_result_of_a_create_says_which_backup(world: World, as_text: bool) -> None:
    created = TaskInstance(lambda: ZillizCreateBackupOperator(task_id="task", cluster_id=CLUSTER_ID)).run()
    world.clock.sleep(60)
    result = Restore(world).task(backup_id=json.dumps(created) if as_text else created).run()
    assert (result["backup_id"], result["status"]) == (created["backup_id"], "RUNNING")


def test_without_waiting_the_task_ends_when_the_restore_has_begun(world: World) -> None:
    case = Restore(world)
    begin = world.clock.now
    result = case.task(wait_for_completion=False).run()
    assert (result["status"], world.clock.now) == (None, begin)
    assert case.made() == [result["cluster_id"]]


def test_a_cleared_task_that_delivered_restores_again_and_finds_the_name_taken(world: World) -> None:
    case = Restore(world)
    task = case.task()
    task.run()
    task.max_tries += 1
    with pytest.raises(AirflowFailException, match="Give another cluster_name"):
        task.run()
