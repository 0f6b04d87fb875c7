"""Tasks that end in the triggerer: sooner, and with what that takes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.operators import base as operators
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.sensors.backup import ZillizNoActiveBackupSensor
from airflow_provider_zbackup.sensors.job import ZillizJobSensor
from airflow_provider_zbackup.utils import store
from airflow_provider_zbackup.utils.task import ZillizTask
from airflow_provider_zbackup.version_compat import AIRFLOW_VERSION, HAS_TASK_STATE_STORE
from airflow_provider_zbackup.zilliz.checks import ArgumentError
from airflow_provider_zbackup.zilliz.errors import ZillizJobFailedError
from tests.support import CLUSTER_ID, TaskInstance, World


def create(**arguments: Any) -> ZillizCreateBackupOperator:
    return ZillizCreateBackupOperator(task_id="task", cluster_id=CLUSTER_ID, **arguments)


def job(**arguments: Any) -> ZillizJobSensor:
    return ZillizJobSensor(task_id="task", **{"job_id": "job-1"} | arguments)


def gate(**arguments: Any) -> ZillizNoActiveBackupSensor:
    return ZillizNoActiveBackupSensor(task_id="task", cluster_id=CLUSTER_ID, **arguments)


TASKS = pytest.mark.parametrize("make", [create, job, gate])
PLACES = pytest.mark.parametrize("in_dag_test", [False, True], ids=["triggerer", "dag.test"])


def ending(make: Callable[..., Any], **arguments: Any) -> TaskInstance:
    """Return a task that ends in the triggerer, and defers as soon as it can."""
    arguments = {"deferrable": True, "end_from_trigger": True, "defer_after": 0} | arguments
    in_dag_test = arguments.pop("in_dag_test", False)
    return TaskInstance(lambda: make(**arguments), in_dag_test=in_dag_test)


def workers(task: TaskInstance) -> list[str]:
    """Let a task keep the names of what it does in workers after its deferrals, and return them."""
    resumed: list[str] = []
    make = task.make

    def watched() -> Any:
        operator = make()
        resume = operator.resume_execution

        def resume_execution(method: str, *arguments: Any) -> Any:
            resumed.extend([method] if method.startswith("execute") else [])
            return resume(method, *arguments)

        operator.resume_execution = resume_execution
        return operator

    task.make = watched
    return resumed


@pytest.fixture
def _as_airflow_3_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "HAS_TASK_STATE_STORE", True)
    monkeypatch.setattr(store, "HAS_TASK_STATE_STORE", True)


# At parse time


def test_the_operator_needs_an_airflow_that_keeps_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "HAS_TASK_STATE_STORE", False)
    with pytest.raises(ArgumentError, match=r"end_from_trigger needs Airflow 3\.3 or later"):
        create(end_from_trigger=True)


def test_which_airflow_that_is() -> None:
    assert HAS_TASK_STATE_STORE is (AIRFLOW_VERSION.release >= (3, 3))


def ignored(make: Callable[..., Any], **arguments: Any) -> list[str]:
    """Return the warnings that a task comes with."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make(**arguments)
    return [str(warning.message) for warning in caught if "ignores" in str(warning.message)]


@pytest.mark.usefixtures("_as_airflow_3_3")
@TASKS
@pytest.mark.parametrize("name", ["outlets", "on_success_callback"])
def test_what_airflow_will_ignore_is_told_at_parse_time(make: Callable[..., Any], name: str) -> None:
    lost = {"outlets": ["an asset"], "on_success_callback": print}
    (warning,) = ignored(make, end_from_trigger=True, **{name: lost[name]})
    kind = type(make()).__name__
    assert warning.startswith(f"{kind}: with end_from_trigger=True Airflow ends the task in the triggerer")
    assert name in warning


@pytest.mark.usefixtures("_as_airflow_3_3")
@TASKS
def test_a_post_execute_is_told_too(make: Callable[..., Any]) -> None:
    (warning,) = ignored(make, end_from_trigger=True, post_execute=lambda context, result: None)
    assert warning.endswith("ignores post_execute.")


@pytest.mark.usefixtures("_as_airflow_3_3")
@TASKS
def test_where_nothing_is_lost_nothing_is_said(make: Callable[..., Any]) -> None:
    assert ignored(make, end_from_trigger=True) == []


def test_a_task_without_such_attributes_loses_nothing() -> None:
    assert ignored(ZillizTask().warn_about_ignored_hooks) == []


@TASKS
def test_without_end_from_trigger_nothing_is_said(make: Callable[..., Any]) -> None:
    assert ignored(make, outlets=["an asset"], on_success_callback=print) == []


# When the task runs


@pytest.mark.usefixtures("_as_airflow_3_3")
@PLACES
def test_a_backup_is_the_same_wherever_its_task_ends(world: World, in_dag_test: bool) -> None:
    task = ending(create, in_dag_test=in_dag_test)
    resumed = workers(task)
    result = task.run()
    (backup,) = world.backups()
    assert (result["backup_id"], result["status"]) == (backup.backup_id, "AVAILABLE")
    assert result["size"] == backup.size(world.clock.now)
    assert resumed == (["execute_complete"] if in_dag_test else [])


@PLACES
def test_a_job_is_the_same_wherever_its_task_ends(world: World, in_dag_test: bool) -> None:
    job_id = world.hook.create_backup(CLUSTER_ID).job_id
    task = ending(job, job_id=job_id, in_dag_test=in_dag_test)
    resumed = workers(task)
    assert (task.run()["job_id"], resumed) == (job_id, ["execute_complete"] if in_dag_test else [])


@PLACES
def test_a_gate_is_the_same_wherever_its_task_ends(world: World, in_dag_test: bool) -> None:
    world.someone_backs_up(seconds=60)
    task = ending(gate, in_dag_test=in_dag_test)
    resumed = workers(task)
    assert (task.run(), resumed) == ({"backups": 1}, ["execute_complete"] if in_dag_test else [])


def test_a_failure_goes_to_a_worker(world: World) -> None:
    world.fault("create_backup", times=1, job=JobPlan(status="FAILED", reason="disk is full"))
    job_id = world.hook.create_backup(CLUSTER_ID).job_id
    task = ending(job, job_id=job_id)
    resumed = workers(task)
    with pytest.raises(AirflowFailException, match="disk is full"):
        task.run()
    assert resumed == ["execute_complete"]


def test_a_time_out_goes_to_a_worker(world: World) -> None:
    world.someone_backs_up(seconds=10_000)
    with pytest.raises(AirflowSensorTimeout):
        ending(gate, timeout=100).run()


def test_a_task_that_waits_for_its_turn_comes_back_to_a_worker(world: World) -> None:
    world.monkeypatch.setattr(operators, "HAS_TASK_STATE_STORE", True)
    world.someone_backs_up(seconds=60)
    task = ending(create)
    resumed = workers(task)
    assert task.run()["status"] == "AVAILABLE"
    assert resumed == ["execute_after_conflict"]
    assert len(task.deferrals) == 2


def test_a_short_backup_ends_in_its_worker(world: World) -> None:
    world.monkeypatch.setattr(operators, "HAS_TASK_STATE_STORE", True)
    world.control_plane.configure(job_seconds=1)
    task = ending(create, defer_after=6)
    assert task.run()["status"] == "AVAILABLE"
    assert task.deferrals == []


@pytest.mark.usefixtures("_as_airflow_3_3")
def test_a_retry_goes_on_with_the_backup_of_a_failed_try(world: World) -> None:
    """A trigger that gave up; the job goes on."""
    world.control_plane.configure(job_seconds=500)
    task = ending(create, timeout=100)
    with pytest.raises(Exception, match="Gave up after 100 s"):
        task.run()
    world.clock.sleep(500)
    assert task.run()["backup_id"] == world.backups()[0].backup_id
    assert len(world.requests("create_backup")) == 1


@pytest.mark.usefixtures("_as_airflow_3_3")
def test_a_retry_after_a_failed_job_makes_a_new_backup(world: World) -> None:
    world.fault("create_backup", times=1, job=JobPlan(status="FAILED", reason="disk is full"))
    task = ending(create)
    with pytest.raises(ZillizJobFailedError, match="disk is full"):
        task.run()
    assert task.run()["status"] == "AVAILABLE"
    assert len(world.requests("create_backup")) == 2


@pytest.mark.usefixtures("_as_airflow_3_3")
def test_a_cleared_task_makes_a_new_backup(world: World) -> None:
    task = ending(create)
    first = task.run()
    (kept,) = task.store.values()
    assert kept["delivered"] == [task.max_tries, task.retries]
    assert task.run()["backup_id"] == first["backup_id"], "tried again by Airflow itself"
    task.max_tries += 1
    assert task.run()["backup_id"] != first["backup_id"]
