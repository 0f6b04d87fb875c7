"""Setting a backup policy against the emulator: one automatic backup, whatever fails."""

from __future__ import annotations

import logging
from itertools import product
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_zbackup.operators.policy import ZillizSetBackupPolicyOperator
from airflow_provider_zbackup.utils.errors import find_zilliz_error
from airflow_provider_zbackup.zilliz.errors import ZillizTimeoutError
from tests.contract.faults import ANYWHERE, attempt, heal, strike
from tests.support import API_KEY, CLUSTER_ID, TaskInstance, World

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
ROUTE = "/v2/clusters/[^/]+/backups/policy"
RESULT = {
    "cluster_id": CLUSTER_ID,
    "enabled": True,
    "weekdays": ["monday", "thursday"],
    "start_hour": 2,
    "retention_days": 7,
    "copies": {"aws-us-east-1": 3},
    "changed": True,
}
DISABLED = {
    "cluster_id": CLUSTER_ID,
    "enabled": False,
    "weekdays": [],
    "start_hour": None,
    "retention_days": None,
    "copies": {},
}


def task(**arguments: Any) -> TaskInstance:
    good: dict[str, Any] = {
        "cluster_id": CLUSTER_ID,
        "weekdays": ["thursday", "monday"],
        "start_hour": 2,
        "retention_days": 7,
        "copies": {"aws-us-east-1": 3},
    }
    return TaskInstance(lambda: ZillizSetBackupPolicyOperator(task_id="task", **good | arguments))


def automatic(world: World) -> list[Any]:
    return [backup for backup in world.backups() if backup.creation_method == "AUTO" and not backup.copy_of]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """The log of the task and, in debug level, of everything else."""
    monkeypatch.setattr(ZillizSetBackupPolicyOperator, "log", logging.getLogger("task"))
    caplog.set_level(logging.DEBUG)
    return caplog


@MODES
def test_the_policy_is_set_once_and_then_left_alone(
    world: World, deferrable: bool, logged: pytest.LogCaptureFixture
) -> None:
    setting = task(deferrable=deferrable)
    assert setting.run() == RESULT
    assert "  policy: disabled -> enabled" in logged.text
    assert "This starts an automatic backup at once." in logged.text
    assert setting.run() == RESULT | {"changed": False}
    assert "is already so; nothing was changed" in logged.text
    (request,) = world.requests("set_backup_policy")
    assert request.body == {
        "enabled": True,
        "frequency": "1,4",
        "startTime": "02:00-04:00",
        "retentionDays": 7,
        "crossRegionCopies": [{"regionId": "aws-us-east-1", "retentionDays": 3}],
    }
    assert len(automatic(world)) == 1
    assert setting.deferrals == []


def test_a_policy_is_disabled_and_stays_so(world: World) -> None:
    task().run()
    assert task(enabled=False).run() == DISABLED | {"changed": True}
    assert task(enabled=False, weekdays=None, wait_for_backup=True).run() == DISABLED | {"changed": False}
    assert world.requests("set_backup_policy")[-1].body == {"enabled": False, "crossRegionCopies": []}
    assert world.hook.get_backup_policy(CLUSTER_ID).is_disabled


def test_what_templates_render_to_texts_is_taken(world: World) -> None:
    assert task(start_hour="2", retention_days="7", copies={"aws-us-east-1": "3"}).run() == RESULT


@MODES
def test_it_can_wait_for_the_backup_that_it_starts(world: World, deferrable: bool) -> None:
    world.control_plane.configure(job_seconds=300)
    setting = task(wait_for_backup=True, deferrable=deferrable)
    assert setting.run() == RESULT
    (backup,) = automatic(world)
    assert backup.status(world.clock.now) == "AVAILABLE"
    assert len(setting.deferrals) == deferrable


@MODES
def test_a_retry_waits_for_the_backup_that_an_earlier_try_started(world: World, deferrable: bool) -> None:
    world.control_plane.configure(job_seconds=300)
    setting = task(wait_for_backup=True, deferrable=deferrable, timeout=100)
    with pytest.raises(ZillizTimeoutError, match="is busy with auto cluster backup"):
        setting.run()
    setting.make = task(wait_for_backup=True, deferrable=deferrable).make
    assert setting.run() == RESULT | {"changed": False}
    (backup,) = automatic(world)
    assert backup.status(world.clock.now) == "AVAILABLE"


@MODES
def test_a_backup_that_is_listed_late_is_waited_for(world: World, deferrable: bool) -> None:
    world.control_plane.configure(job_seconds=300, list_lag=20)
    task(wait_for_backup=True, deferrable=deferrable).run()
    (backup,) = automatic(world)
    assert backup.status(world.clock.now) == "AVAILABLE"


def test_a_deferral_that_airflow_ends_says_what_goes_on(world: World) -> None:
    operator = task().make()
    with pytest.raises(Exception, match=f"cluster {CLUSTER_ID} is set; its first backup may still be runn"):
        operator.resume_execution("__fail__", {"error": "Trigger timeout"}, task().context)


def test_a_schedule_of_the_console_is_kept(world: World) -> None:
    task().run()
    world.control_plane.policies[CLUSTER_ID].start_time = "02:00-06:00"
    with pytest.raises(AirflowFailException, match=r"02:00-06:00.*Set overwrite=True to replace it"):
        task().run()
    assert len(world.requests("set_backup_policy")) == 1
    assert task(overwrite=True, retention_days=8).run()["changed"]


def test_a_cluster_without_backups_is_an_error_for_good(world: World) -> None:
    with pytest.raises(AirflowFailException, match="available only to Dedicated clusters"):
        task(cluster_id="in05-7e1f40b93c2d8a6").run()


@pytest.mark.parametrize(
    ("operation", "fault", "persists"),
    list(product(("get_backup_policy", "set_backup_policy"), ANYWHERE, (False, True))),
)
def test_no_fault_starts_a_second_backup(
    world: World, operation: str, fault: str, persists: bool, logged: pytest.LogCaptureFixture
) -> None:
    # Both operations have the same path, so a connection that is refused strikes the reads too.
    strike(world, operation, ROUTE, fault, persists=persists)
    setting = task()
    result, error = attempt(setting)
    # Where each call is carried out and each answer lost, there is nothing left to send again.
    assert len(automatic(world)) <= 1
    if error is not None:
        assert find_zilliz_error(error)
        heal(world)
        world.clock.sleep(60)
        result = setting.run()
    assert result["enabled"]
    assert len(automatic(world)) == 1
    assert API_KEY not in logged.text + repr(result)
