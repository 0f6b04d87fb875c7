"""When the machine of a Celery worker dies, the next try finds the backup."""

from __future__ import annotations

import signal

import pytest

from dev.processes import wait_until
from tests.e2e.task_run import WAIT_SECONDS
from tests.e2e.world import World

pytestmark = pytest.mark.e2e


def test_worker_killed_after_the_create(celery_world: World) -> None:
    world = celery_world
    world.cloud.configure(job_seconds=12)
    task = world.run("backup_in_worker")
    world.wait_for_requests(task, "describe_job", 2)
    process = task.process()
    world.stack.kill("worker", signal.SIGKILL)
    process.kill()
    wait_until(lambda: not world.stack.is_running("worker"), WAIT_SECONDS, "The worker is dead")
    world.stack.start("worker")

    world.check_result(task)
    assert task.try_number() == 2
    assert len(world.cloud.requests("create_backup")) == 1
