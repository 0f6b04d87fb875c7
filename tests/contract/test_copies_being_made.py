"""A copy that is being made in another region is no backup of the cluster: it blocks nothing."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.sensors.backup import ZillizNoActiveBackupSensor
from tests.support import CLUSTER_ID, PROJECT_ID, TaskInstance, World

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
SHOWN = pytest.mark.parametrize("shown", ["own_id", "same_id", "not_listed"])
ELSEWHERE = "aws-us-east-1"


def gate(**arguments: Any) -> TaskInstance:
    return TaskInstance(lambda: ZillizNoActiveBackupSensor(task_id="task", poke_interval=10, **arguments))


def create(**arguments: Any) -> TaskInstance:
    return TaskInstance(
        lambda: ZillizCreateBackupOperator(task_id="task", cluster_id=CLUSTER_ID, **arguments)
    )


def copy_for_hours(world: World, shown: Any, seconds: float = 20_000) -> str:
    """Let somebody make a backup whose copy takes hours, and return when the copy has begun."""
    world.control_plane.configure(copies_listed=shown)
    world.fault("copy_backup", job=JobPlan(seconds=seconds))
    made = world.hook.create_backup(CLUSTER_ID, copy_to_regions=[ELSEWHERE])
    world.clock.sleep(60)
    return made.backup_id


@MODES
@SHOWN
@pytest.mark.parametrize("watched", [{"cluster_id": CLUSTER_ID}, {"project_id": PROJECT_ID}])
def test_the_gate_opens(world: World, shown: str, watched: dict[str, str], deferrable: bool) -> None:
    copy_for_hours(world, shown)
    begin = world.clock.now
    gate(**watched, deferrable=deferrable).run()
    assert world.clock.now - begin < 30


@MODES
@SHOWN
def test_a_backup_begins(world: World, shown: str, deferrable: bool) -> None:
    other = copy_for_hours(world, shown)
    begin = world.clock.now
    result = create(deferrable=deferrable).run()
    assert world.clock.now - begin < 60
    assert result["backup_id"] != other
    assert result["status"] == "AVAILABLE"


@MODES
@pytest.mark.parametrize("shown", ["own_id", "same_id"])
def test_if_the_server_counts_copies_the_task_waits_for_them(
    world: World, shown: str, deferrable: bool
) -> None:
    """No document says whether it does. The task asks ever more rarely."""
    world.control_plane.configure(copies_block=True)
    copy_for_hours(world, shown, seconds=3000)
    begin = world.clock.now
    assert create(deferrable=deferrable).run()["status"] == "AVAILABLE"
    assert 2900 < world.clock.now - begin < 3500
    assert len(world.requests("create_backup")) < 30


@SHOWN
def test_it_is_not_taken_for_what_came_of_a_lost_call(world: World, shown: Any) -> None:
    """Somebody's copy begins just when a create is sent that is lost before it is done."""
    world.control_plane.configure(copies_listed=shown, job_seconds=10, list_lag=5)
    world.fault("copy_backup", job=JobPlan(seconds=20_000))
    other = world.hook.create_backup(CLUSTER_ID, copy_to_regions=[ELSEWHERE]).backup_id
    world.clock.sleep(10)
    world.fault("create_backup", times=1, drop=True)
    result = create().run()
    assert len(world.requests("create_backup")) == 3
    assert not result["adopted"]
    assert result["backup_id"] not in (other, world.backups()[1].backup_id)


@pytest.mark.parametrize("retry_after", [30, 60, 90])
def test_the_result_of_a_lost_call_is_found_though_it_took_long_to_see_that_this_is_a_copy(
    world: World, retry_after: int
) -> None:
    copy_for_hours(world, "own_id")
    world.fault("describe_backup", times=1, status=429, headers={"Retry-After": str(retry_after)})
    world.fault("create_backup", times=1, drop=True, after=True)
    assert create().run()["adopted"]
    assert len(world.requests("create_backup")) == 2, "the first is somebody's"
