"""Workers that are killed: the next try ends with the one backup that there is, or creates the first one."""

from __future__ import annotations

import pytest

from tests.e2e.world import World

pytestmark = pytest.mark.e2e


def test_before_the_create(world: World) -> None:
    world.cloud.hang("list_backups")
    task = world.run("backup_in_worker")
    world.wait_for_requests(task, "list_backups")
    task.process().kill()

    world.check_delivered(task)
    assert task.look()["try_number"] == 2
    assert len(world.cloud.requests("create_backup")) == 1


def test_while_the_create_is_on_its_way(world: World) -> None:
    world.cloud.hang("create_backup")
    task = world.run("backup_in_worker")
    world.wait_for_requests(task, "create_backup")
    task.process().kill()

    world.check_delivered(task)
    assert task.look()["try_number"] == 2
    assert len(world.cloud.requests("create_backup")) == 2


def test_while_the_create_is_answered(world: World) -> None:
    world.cloud.hang("create_backup", after_work=True)
    task = world.run("backup_in_worker")
    world.wait_for_requests(task, "create_backup")
    task.process().kill()

    world.check_delivered(task, adopted=True)
    assert task.look()["try_number"] == 2
    assert len(world.cloud.requests("create_backup")) == 1


def test_while_it_waits_for_the_backup(world: World) -> None:
    world.cloud.configure(job_seconds=8)
    task = world.run("backup_in_worker")
    world.wait_for_requests(task, "describe_job", 2)
    task.process().kill()

    world.check_delivered(task)
    assert task.look()["try_number"] == 2
    assert len(world.cloud.requests("create_backup")) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_when_resumed(world: World, moment: str) -> None:
    world.cloud.configure(job_seconds=7)
    task = world.run(f"backup_held_{moment}_delivery")
    task.wait_for_log("Held.", try_number=1)
    task.process().kill()

    world.check_delivered(task)
    assert task.look()["try_number"] == 2
    assert len(world.cloud.requests("create_backup")) == 1


def test_without_its_task_which_goes_on_alone(world: World) -> None:
    world.cloud.fault("list_backups", delay=2, times=1)
    task = world.run("backup_in_worker")
    world.wait_for_requests(task, "list_backups")
    process = task.process()
    process.kill_supervisor()
    # What cannot tell Airflow what it is about to do must not do it.
    process.wait_for_end()
    assert world.cloud.requests("create_backup") == []

    world.check_delivered(task)
    assert task.look()["try_number"] == 2
    assert len(world.cloud.requests("create_backup")) == 1
