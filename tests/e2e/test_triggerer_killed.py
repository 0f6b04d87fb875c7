"""When a triggerer is killed, the next one waits with the same arguments, and no second backup is made."""

from __future__ import annotations

import signal

import pytest

from dev.processes import wait_until
from tests.e2e.task_run import WAIT_SECONDS, TaskRun
from tests.e2e.world import World

pytestmark = pytest.mark.e2e


def test_restarted_triggerer_notices_that_the_job_has_ended(world: World) -> None:
    task = deferred_backup(world, job_seconds=8)
    arguments = world.database.triggers()
    world.stack.kill("triggerer", signal.SIGKILL)
    world.cloud.wait_for_end(world.cloud.the_only_backup())

    assert task.details()["state"] == "deferred"
    assert world.database.triggers() == arguments

    world.stack.start("triggerer")
    world.check_result(task)
    assert task.try_number() == 1


def test_another_triggerer_takes_over_the_wait(world: World) -> None:
    task = deferred_backup(world, job_seconds=30)
    arguments = world.database.triggers()
    (first,) = world.database.triggerers_in_use()
    with world.second_triggerer():
        assert world.database.triggerers_in_use() == {first}, (
            "The second triggerer took a trigger of the first"
        )
        world.stack.kill("triggerer", signal.SIGKILL)
        wait_until(
            lambda: world.database.triggerers_in_use() != {first},
            WAIT_SECONDS,
            "The second triggerer takes over",
        )

        # On a slow machine the job, and so the wait, may have ended by now.
        assert world.database.triggers() in (arguments, [])
        world.check_result(task)
        assert task.try_number() == 1
        assert task.log(1).count(") starting") == 2, "Each triggerer must log that it starts the trigger"


def deferred_backup(world: World, *, job_seconds: float) -> TaskRun:
    """Start a backup, and wait until a triggerer waits for it."""
    world.cloud.configure(job_seconds=job_seconds)
    task = world.run("backup_deferred")
    task.wait_for("deferred")
    wait_until(lambda: bool(world.database.triggerers_in_use()), WAIT_SECONDS, "A triggerer has the trigger")
    return task
