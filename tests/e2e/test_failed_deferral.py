"""When Airflow ends a deferral, the error names the backup that goes on, and the next try finds it."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.task_run import TaskRun
from tests.e2e.world import World

pytestmark = pytest.mark.e2e


def test_timeout_of_airflow(world: World) -> None:
    world.cloud.configure(job_seconds=8)
    task = world.run("backup_with_short_timeout")
    task.wait_for("deferred")
    world.stack.kill("triggerer", signal.SIGSTOP)
    try:
        task.wait_for_log("TaskDeferralTimeout", try_number=1)
    finally:
        world.stack.kill("triggerer", signal.SIGCONT)

    check_error_and_retry(world, task)


def test_crash_of_the_trigger(world: World) -> None:
    world.cloud.configure(job_seconds=16)
    task = world.run("backup_with_crashing_trigger")
    task.wait_for_log("TaskDeferralError", try_number=1)

    check_error_and_retry(world, task)


def check_error_and_retry(world: World, task: TaskRun) -> None:
    """Check that the error of the first try names the backup, and that a retry returns it."""
    backup = world.cloud.the_only_backup()
    message = (
        f"Backup {backup['backupId']} of cluster {backup['clusterId']} (job {backup['jobId']}) may still be"
    )
    assert message in task.log(1), task.log_tails()
    world.check_result(task)
    assert task.try_number() > 1
