"""When the scheduler is killed, and its workers with it, no second backup is made."""

from __future__ import annotations

import signal

import pytest

from dev.processes import wait_until
from tests.e2e.task_run import WAIT_SECONDS
from tests.e2e.world import World

pytestmark = pytest.mark.e2e


def test_killed_while_the_task_waits_in_a_worker(world: World) -> None:
    world.cloud.configure(job_seconds=10)
    task = world.run("backup_in_worker")
    world.wait_for_requests(task, "describe_job")
    restart_scheduler(world)

    world.check_result(task)
    assert len(world.cloud.requests("create_backup")) == 1


def test_killed_while_the_task_is_deferred(world: World) -> None:
    world.cloud.configure(job_seconds=10)
    task = world.run("backup_deferred")
    task.wait_for("deferred")
    restart_scheduler(world)

    world.check_result(task)
    assert len(world.cloud.requests("create_backup")) == 1
    assert task.try_number() == 1


def restart_scheduler(world: World) -> None:
    """Kill the scheduler and start another."""
    world.stack.kill("scheduler", signal.SIGKILL)
    wait_until(lambda: not world.stack.is_running("scheduler"), WAIT_SECONDS, "The scheduler is dead")
    world.stack.start("scheduler")
