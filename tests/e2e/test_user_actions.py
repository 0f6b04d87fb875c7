"""Users who mark and clear the task: a backup that was not delivered is found again, a delivered one is not."""

from __future__ import annotations

import pytest

from tests.e2e.world import World

pytestmark = pytest.mark.e2e


def test_cleared_while_deferred_and_again_when_finished(world: World) -> None:
    world.cloud.configure(job_seconds=12)
    task = world.run("backup_deferred")
    task.wait_for("deferred")
    task.clear()

    assert task.result()["backup_id"] == world.cloud.the_backup()["backupId"]

    world.cloud.configure(job_seconds=1)
    task.clear()

    result = task.result()
    first, second = world.cloud.backups()
    assert result["backup_id"] == second["backupId"] != first["backupId"]
    assert world.cloud.creates_done() == 2


@pytest.mark.parametrize("state", ["failed", "success"])
def test_marked_while_deferred_and_then_cleared(world: World, state: str) -> None:
    world.cloud.configure(job_seconds=12)
    task = world.run("backup_deferred")
    task.wait_for("deferred")
    task.mark(state)
    task.wait_for(state)
    backup = world.cloud.the_backup()
    world.cloud.wait_for_end(backup)

    assert task.look()["state"] == state
    assert world.cloud.the_backup()["status"] == "AVAILABLE", "The remote work must go on"

    task.clear()

    assert task.result()["backup_id"] == backup["backupId"]
    assert world.cloud.the_backup()["backupId"] == backup["backupId"]
