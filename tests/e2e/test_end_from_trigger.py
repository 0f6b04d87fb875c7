"""A task that ends in the triggerer leaves the same behind as one that comes back to a worker."""

from __future__ import annotations

import pytest

from tests.e2e.task_run import TaskRun
from tests.e2e.world import World

pytestmark = pytest.mark.e2e

#: Only a worker logs how much the backup holds.
FROM_WORKER = " bytes in "


def next_task(backup: TaskRun, world: World) -> TaskRun:
    return TaskRun(world.stack, backup.dag_id, backup.run_id, "next")


def test_the_result_reaches_the_next_task_and_a_cleared_task_makes_a_new_backup(world: World) -> None:
    world.cloud.configure(job_seconds=8)
    task = world.run("backup_ended_in_triggerer")
    world.check_result(task)
    first = world.cloud.the_only_backup()["backupId"]
    assert next_task(task, world).result() == first
    assert task.try_number() == 1
    assert FROM_WORKER not in task.log(1)

    task.clear()

    second = task.result()["backup_id"]
    assert [it["backupId"] for it in world.cloud.backups()] == [first, second]
    assert world.cloud.creates_done() == 2


def test_a_failed_job_goes_to_a_worker_whose_retry_makes_a_new_backup(world: World) -> None:
    world.cloud.fault("create_backup", times=1, job={"status": "FAILED", "reason": "disk is full"})
    world.cloud.configure(job_seconds=8)
    task = world.run("backup_ended_in_triggerer")
    result = task.result()
    assert task.try_number() == 2
    assert "disk is full" in task.log(1)
    assert next_task(task, world).result() == result["backup_id"]
    assert world.cloud.creates_done() == 2
