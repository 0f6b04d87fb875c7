"""Workers that are killed: the next try ends with the one backup that there is, or creates the first one."""

from __future__ import annotations

import pytest

from tests.e2e.world import World

pytestmark = pytest.mark.e2e


def test_before_the_create(world: World) -> None:
    world.cloud.hang("list_backups")
    task = world.run("backup_in_worker")
    world.cloud.wait_for_requests("list_backups")
    task.process().kill()

    result = task.result()

    assert task.look()["try_number"] == 2
    assert result["backup_id"] == world.cloud.the_backup()["backupId"]
    assert len(world.cloud.requests("create_backup")) == 1
    assert not result["adopted"]


def test_while_the_create_is_on_its_way(world: World) -> None:
    world.cloud.hang("create_backup")
    task = world.run("backup_in_worker")
    world.cloud.wait_for_requests("create_backup")
    task.process().kill()

    result = task.result()

    assert task.look()["try_number"] == 2
    assert result["backup_id"] == world.cloud.the_backup()["backupId"]
    assert len(world.cloud.requests("create_backup")) == 2


def test_while_the_create_is_answered(world: World) -> None:
    world.cloud.hang("create_backup", after=True)
    task = world.run("backup_in_worker")
    world.cloud.wait_for_requests("create_backup")
    task.process().kill()

    result = task.result()

    assert task.look()["try_number"] == 2
    assert result["backup_id"] == world.cloud.the_backup()["backupId"]
    assert len(world.cloud.requests("create_backup")) == 1
    assert result["adopted"]


def test_with_its_machine_after_the_create(world: World) -> None:
    world.cloud.configure(job_seconds=12)
    task = world.run("backup_in_worker")
    world.cloud.wait_for_requests("describe_job", 2)
    task.process().kill_with_supervisor()

    result = task.result()

    assert task.look()["try_number"] == 2
    assert result["backup_id"] == world.cloud.the_backup()["backupId"]
    assert len(world.cloud.requests("create_backup")) == 1
    assert not result["adopted"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_when_resumed(world: World, moment: str) -> None:
    world.cloud.configure(job_seconds=8)
    task = world.run(f"backup_held_{moment}_delivery")
    task.wait_for_log("Held.", try_number=1)
    task.process().kill()

    result = task.result()

    assert task.look()["try_number"] == 2
    assert result["backup_id"] == world.cloud.the_backup()["backupId"]
    assert len(world.cloud.requests("create_backup")) == 1
