"""A cleared task finds its backup again if it had not succeeded; if it had, it makes a new one."""

from __future__ import annotations

import pytest

from tests.e2e.world import World

pytestmark = pytest.mark.e2e


def test_cleared_while_deferred_and_again_after_success(world: World) -> None:
    world.cloud.configure(job_seconds=10)
    task = world.run("backup_deferred")
    task.wait_for("deferred")
    task.clear()

    world.check_result(task)
    first = world.cloud.the_only_backup()

    world.cloud.configure(job_seconds=1)
    task.clear()

    result = task.result()
    assert [it["backupId"] for it in world.cloud.backups()] == [first["backupId"], result["backup_id"]]
    assert world.cloud.creates_done() == 2


@pytest.mark.parametrize("state", ["failed", "success"])
def test_marked_while_deferred_and_then_cleared(world: World, state: str) -> None:
    world.cloud.configure(job_seconds=25)
    task = world.run("backup_deferred")
    task.wait_for("deferred")
    task.mark(state)
    backup = world.cloud.the_only_backup()

    assert task.details()["state"] == state
    assert backup["status"] == "CREATING", "The backup must go on"

    task.clear()

    world.check_result(task)
    assert world.cloud.the_only_backup()["backupId"] == backup["backupId"]
