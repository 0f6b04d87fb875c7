"""When a worker is killed, the next try finds the backup of the last try, or makes the first one."""

from __future__ import annotations

import pytest

from tests.e2e.world import World

pytestmark = pytest.mark.e2e


def test_killed_before_create(world: World) -> None:
    world.cloud.hang("list_backups")
    task = world.run("backup_in_worker")
    world.wait_for_requests(task, "list_backups")
    task.process().kill()

    world.check_result(task)
    assert task.try_number() == 2
    assert len(world.cloud.requests("create_backup")) == 1


def test_killed_when_create_is_sent_but_not_done(world: World) -> None:
    world.cloud.hang("create_backup")
    task = world.run("backup_in_worker")
    world.wait_for_requests(task, "create_backup")
    task.process().kill()

    world.check_result(task)
    assert task.try_number() == 2
    assert len(world.cloud.requests("create_backup")) == 2


def test_killed_when_create_is_done_but_not_answered(world: World) -> None:
    world.cloud.hang("create_backup", after_work=True)
    task = world.run("backup_in_worker")
    world.wait_for_requests(task, "create_backup")
    task.process().kill()

    world.check_result(task, adopted=True)
    assert task.try_number() == 2
    assert len(world.cloud.requests("create_backup")) == 1


def test_killed_while_waiting_for_the_backup(world: World) -> None:
    world.cloud.configure(job_seconds=8)
    task = world.run("backup_in_worker")
    world.wait_for_requests(task, "describe_job", 2)
    task.process().kill()

    world.check_result(task)
    assert task.try_number() == 2
    assert len(world.cloud.requests("create_backup")) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_after_the_triggerer_has_resumed_the_task(world: World, moment: str) -> None:
    world.cloud.configure(job_seconds=7)
    task = world.run(f"backup_held_{moment}_delivery")
    task.wait_for_log("Held.", try_number=1)
    task.process().kill()

    world.check_result(task)
    assert task.try_number() == 2
    assert len(world.cloud.requests("create_backup")) == 1


def test_task_without_its_supervisor_creates_nothing(world: World) -> None:
    world.cloud.fault("list_backups", delay=2, times=1)
    task = world.run("backup_in_worker")
    world.wait_for_requests(task, "list_backups")
    process = task.process()
    process.kill_supervisor()
    # A task that cannot report to Airflow what it is about to do must not do it.
    process.wait_for_end()
    assert world.cloud.requests("create_backup") == []

    world.check_result(task)
    assert task.try_number() == 2
    assert len(world.cloud.requests("create_backup")) == 1
