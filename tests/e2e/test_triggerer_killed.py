"""Triggerers that are killed: whoever goes on waiting keeps the deadline, and nothing is created anew."""

from __future__ import annotations

import signal

import pytest

from dev.processes import wait_until
from tests.e2e.task_run import TaskRun
from tests.e2e.world import PATIENCE, World

pytestmark = pytest.mark.e2e


def test_restarted_when_the_job_has_ended(world: World) -> None:
    task = deferred_backup(world, job_seconds=8)
    arguments = world.database.triggers()
    world.stack.kill("triggerer", signal.SIGKILL)
    world.cloud.wait_for_end(world.cloud.the_only_backup())

    assert task.look()["state"] == "deferred"
    assert world.database.triggers() == arguments

    world.stack.start("triggerer")
    world.check_delivered(task)
    assert task.look()["try_number"] == 1


def test_taken_over_by_another_triggerer(world: World) -> None:
    task = deferred_backup(world, job_seconds=30)
    arguments = world.database.triggers()
    (first,) = world.database.triggerers_in_use()
    with world.second_triggerer():
        assert world.database.triggerers_in_use() == {first}, "The second triggerer took what was not its own"
        world.stack.kill("triggerer", signal.SIGKILL)
        wait_until(
            lambda: world.database.triggerers_in_use() != {first}, PATIENCE, "The second triggerer takes over"
        )

        # On a slow machine the job may have ended by now, and with it the wait.
        assert world.database.triggers() in (arguments, [])
        world.check_delivered(task)
        assert task.look()["try_number"] == 1
        assert task.log(1).count(") starting") == 2, "Each triggerer says that it starts the trigger"


def deferred_backup(world: World, *, job_seconds: float) -> TaskRun:
    """Start a backup, and wait until a triggerer has the wait for it."""
    world.cloud.configure(job_seconds=job_seconds)
    task = world.run("backup_deferred")
    task.wait_for("deferred")
    wait_until(lambda: bool(world.database.triggerers_in_use()), PATIENCE, "A triggerer has the trigger")
    return task
