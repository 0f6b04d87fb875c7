"""Tasks that end in the triggerer: sooner, and with what that takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from airflow.listeners import hookimpl
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowSensorTimeout,
    Asset,
    XCom,
)

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.operators import base as operators
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.sensors.backup import ZillizNoActiveBackupSensor
from airflow_provider_zbackup.sensors.job import ZillizJobSensor
from airflow_provider_zbackup.utils import listeners, store
from airflow_provider_zbackup.utils import task as task_module
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
#: The tasks of a test that end in the triggerer.
ended: list[TaskInstance] = []
PLACES = pytest.mark.parametrize("in_dag_test", [False, True], ids=["triggerer", "dag.test"])


def ending(make: Callable[..., Any], **arguments: Any) -> TaskInstance:
    """Return a task that ends in the triggerer, and defers as soon as it can."""
    arguments = {"deferrable": True, "end_from_trigger": True, "defer_after": 0} | arguments
    in_dag_test = arguments.pop("in_dag_test", False)
    task = TaskInstance(lambda: make(**arguments), in_dag_test=in_dag_test)
    ended.append(task)
    return task


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


@pytest.fixture(autouse=True)
def _xcoms_from_triggers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let triggers push XComs, where Airflow lets them, to the task of the test."""

    async def push(key: str, value: Any, *, dag_id: str, task_id: str, run_id: str, map_index: int) -> None:
        (task,) = (task for task in ended if task.task_id == task_id)
        assert (dag_id, run_id, map_index) == (task.dag_id, task.run_id, task.map_index)
        task.xcom_push(key, value)

    ended.clear()
    if hasattr(XCom, "_set_xcom_in_db"):
        # Airflow 3.0 does not let them yet: there a task comes back to a worker.
        monkeypatch.setattr(XCom, "aset", push, raising=False)


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


# What Airflow would lose


class AfterExecution(ZillizJobSensor):
    def post_execute(self, context: Any, result: Any = None) -> None: ...


class AtTheEnd(ZillizJobSensor):
    def execute_complete(self, context: Any, event: Any = None) -> Any: ...


def mapped_over() -> ZillizJobSensor:
    with DAG("dag", schedule=None):
        sensor = job()
        ZillizJobSensor.partial(task_id="mapped").expand(job_id=sensor.output)
    return sensor


def in_a_dag() -> ZillizJobSensor:
    with DAG("dag", schedule=None):
        sensor = job()
        ZillizJobSensor(task_id="next", job_id=sensor.output)
    return sensor


def result_of_the_dag() -> ZillizJobSensor:
    sensor = job()
    sensor.returns_dag_result = True
    return sensor


@pytest.mark.parametrize("make", [create, job, gate, in_a_dag])
def test_of_an_ordinary_task_nothing_is_lost(make: Callable[..., Any]) -> None:
    assert make().losses_in_trigger() == []


@pytest.mark.parametrize(
    ("make", "lost"),
    [
        (partial(job, outlets=[Asset("saved")]), "outlets"),
        (partial(job, on_success_callback=print), "on_success_callback"),
        (partial(job, post_execute=lambda context, result: None), "post_execute"),
        (partial(AfterExecution, task_id="task", job_id="job-1"), "post_execute"),
        (partial(AtTheEnd, task_id="task", job_id="job-1"), "execute_complete"),
        (partial(job, do_xcom_push=False), "do_xcom_push=False"),
        (partial(job, multiple_outputs=True), "multiple_outputs"),
        (partial(job, map_index_template="{{ task.job_id }}"), "map_index_template"),
        (mapped_over, "the mapping of tasks over its result"),
        (result_of_the_dag, "the result of the DAG"),
    ],
)
def test_what_is_lost_of_a_task(make: Callable[..., Any], lost: str) -> None:
    assert make().losses_in_trigger() == [lost]


def test_what_is_lost_of_an_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_module, "has_backend", lambda: True)
    monkeypatch.setattr(task_module, "has_success_listener", lambda: True)
    monkeypatch.setattr(task_module, "can_push_from_trigger", lambda: False)
    assert job().losses_in_trigger() == [
        "the XCom backend",
        "the form of its result",
        "listeners, such as OpenLineage's",
    ]


def test_who_hears_of_success() -> None:
    assert not listeners.has_success_listener()

    class Listener:
        @hookimpl
        def on_task_instance_success(self) -> None: ...

    manager = listeners.listener_manager()
    manager.pm.register(listener := Listener())
    try:
        assert listeners.has_success_listener()
    finally:
        manager.pm.unregister(listener)


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


@pytest.mark.usefixtures("_as_airflow_3_3")
def test_where_something_would_be_lost_the_task_comes_back_to_a_worker(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    task = ending(create, outlets=[Asset("saved")], multiple_outputs=True)
    resumed = workers(task)
    assert task.run()["status"] == "AVAILABLE"
    assert resumed == ["execute_complete"]
    # Airflow 3 logs to the standard output.
    said = caplog.text or capsys.readouterr().out
    expected = "would lose outlets, multiple_outputs, so this task returns to a worker."
    assert said.count(expected) == said.count("would lose") == 1


@pytest.mark.usefixtures("_as_airflow_3_3")
def test_a_cleared_task_that_would_have_come_back_goes_on_with_its_backup(world: World) -> None:
    world.control_plane.configure(job_seconds=150)
    task = ending(create, outlets=[Asset("saved")], timeout=100)
    with pytest.raises(Exception, match="Gave up after 100 s"):
        task.run()
    task.max_tries += 1
    assert task.run()["backup_id"] == world.backups()[0].backup_id
    assert len(world.requests("create_backup")) == 1


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
    assert kept["delivered"]
    assert task.run()["backup_id"] == first["backup_id"], "tried again by Airflow itself"
    task.max_tries += 1
    assert task.run()["backup_id"] != first["backup_id"]
