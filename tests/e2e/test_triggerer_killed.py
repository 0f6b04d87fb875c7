"""Triggerers that are killed: whoever goes on waiting keeps the deadline, and nothing is created anew."""

from __future__ import annotations

import signal

import pytest

from dev.processes import wait_until
from tests.e2e.task_run import TaskRun
from tests.e2e.world import PATIENCE, World

pytestmark = pytest.mark.e2e


def test_restarted_when_the_job_has_ended(world: World) -> None:
    task = deferred_backup(world, job_seconds=12)
    kwargs = world.database.triggers()
    world.stack.kill("triggerer", signal.SIGKILL)
    world.cloud.wait_for_end(world.cloud.the_backup())

    assert task.look()["state"] == "deferred"
    assert world.database.triggers() == kwargs

    world.stack.start("triggerer")
    check_result(world, task)


def test_restarted_while_the_job_runs(world: World) -> None:
    task = deferred_backup(world, job_seconds=30)
    kwargs = world.database.triggers()
    world.stack.kill("triggerer", signal.SIGKILL)
    (first,) = world.database.triggerers()
    wait_until(lambda: not world.stack.is_running("triggerer"), PATIENCE, "The triggerer is dead")
    world.stack.start("triggerer")
    wait_for_other_triggerer(world, first)

    assert world.database.triggers() == kwargs
    check_result(world, task)


def test_taken_over_by_another_triggerer(world: World) -> None:
    task = deferred_backup(world, job_seconds=40)
    kwargs = world.database.triggers()
    (first,) = world.database.triggerers()
    with world.second_triggerer():
        assert world.database.triggerers() == {first}, "The second triggerer took what was not its own"
        world.stack.kill("triggerer", signal.SIGKILL)
        wait_for_other_triggerer(world, first)

        assert world.database.triggers() == kwargs
        check_result(world, task)


def deferred_backup(world: World, *, job_seconds: float) -> TaskRun:
    """Start a backup, and wait until a triggerer has the wait for it."""
    world.cloud.configure(job_seconds=job_seconds)
    task = world.run("backup_deferred")
    task.wait_for("deferred")
    wait_until(lambda: bool(world.database.triggerers()), PATIENCE, "A triggerer has the trigger")
    return task


def wait_for_other_triggerer(world: World, first: int) -> None:
    """Wait until the trigger belongs to another triggerer, while its task still waits."""
    wait_until(
        lambda: bool(world.database.triggerers() - {first}), PATIENCE, "Another triggerer has the trigger"
    )


def check_result(world: World, task: TaskRun) -> None:
    """Wait for success, at the first try, with the one backup."""
    result = task.result()
    assert result["backup_id"] == world.cloud.the_backup()["backupId"]
    assert task.look()["try_number"] == 1
