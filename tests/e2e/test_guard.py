"""``backup_before`` where only a real scheduler shows what happens; tests/dags/test_guard.py has the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.processes import wait_until
from tests.e2e.task_run import WAIT_SECONDS, TaskRun
from tests.e2e.world import World

pytestmark = pytest.mark.e2e

UNDONE = {"backup": "success", "gate": "success", "restore": "success", "outcome": "upstream_failed"}
WELL = {"backup": "success", "gate": "success", "restore": "skipped", "outcome": "success"}


def states(run: str, migrate: str, check: str, own: dict[str, str]) -> dict[str, str]:
    inner = {"": run, "migrate": migrate, "check": check}
    return inner | {f"backup_before.{name}": state for name, state in own.items()}


def restored(world: World) -> list[str]:
    """Return the names of the restored collections, oldest first."""
    return [name for name in world.cloud.collections() if name.startswith("quick_setup_")]


def restore(task: TaskRun) -> TaskRun:
    return task.of("backup_before.restore")


@pytest.fixture
def alive(tmp_path: Path) -> Path:
    """The file to which a migration that nobody has ended yet writes the time."""
    return tmp_path / "alive"


def endless_migration(world: World, dag_id: str, alive: Path) -> TaskRun:
    """Start a migration that somebody has to end, and wait until it is at work."""
    migration = world.run(dag_id, "migrate", {"alive": str(alive)})
    wait_until(alive.exists, WAIT_SECONDS, f"{migration} is at work")
    return migration


def test_run_marked_failed_in_the_middle(world: World, alive: Path) -> None:
    migration = endless_migration(world, "guarded", alive)
    migration.mark_run("failed")

    assert migration.states() == states("failed", "failed", "skipped", UNDONE)
    assert restored(world) == [f"quick_setup_{world.cloud.the_only_backup()['backupId']}"]


def test_fail_fast(world: World) -> None:
    migration = world.run("guarded_fail_fast", "migrate", {"failures": 1})

    assert migration.states() == states("failed", "failed", "skipped", UNDONE)
    assert restored(world) == [f"quick_setup_{world.cloud.the_only_backup()['backupId']}"]


def test_cleared_migration_has_a_backup_of_its_own(world: World) -> None:
    migration = world.run("guarded", "migrate", {"failures": 2})
    assert migration.states() == states("failed", "failed", "upstream_failed", UNDONE)
    first = world.cloud.the_only_backup()["backupId"]

    migration.clear()
    assert migration.states() == states("failed", "failed", "upstream_failed", UNDONE)
    second = world.cloud.backups()[1]["backupId"]
    assert restored(world) == [f"quick_setup_{first}", f"quick_setup_{second}"]
    assert f"Only the first one, {first}, is from before" in restore(migration).log(2)

    migration.clear()
    assert migration.states() == states("success", "success", "success", WELL)
    assert len(world.cloud.backups()) == 3


def test_clearing_only_failed_tasks_makes_no_backup_and_restores_nothing(world: World) -> None:
    migration = world.run("guarded", "migrate", {"failures": 2})
    migration.states()

    migration.clear(only_failed=True)
    assert migration.states() == states("failed", "failed", "upstream_failed", UNDONE)
    backup = world.cloud.the_only_backup()
    assert restored(world) == [f"quick_setup_{backup['backupId']}"]
    assert restore(migration).try_number() == 1


def test_restore_begins_when_a_migration_that_was_marked_failed_is_dead(world: World, alive: Path) -> None:
    migration = endless_migration(world, "guarded_settling", alive)
    migration.mark("failed")

    assert migration.states() == states("failed", "failed", "upstream_failed", UNDONE)
    (request,) = world.cloud.requests("restore_collection_backup")
    assert alive.read_text() < request["time"]


def test_second_backup_begins_when_a_migration_that_was_cleared_is_dead(world: World, alive: Path) -> None:
    migration = endless_migration(world, "guarded_settling", alive)
    migration.clear()

    assert migration.states() == states("success", "success", "success", WELL)
    _, request = world.cloud.requests("create_backup")
    assert alive.read_text() < request["time"]


def test_after_dagrun_timeout_nothing_is_restored(world: World, alive: Path) -> None:
    migration = endless_migration(world, "guarded_with_timeout", alive)

    skipped = dict.fromkeys(("restore", "outcome"), "skipped")
    assert migration.states() == states("failed", "skipped", "skipped", UNDONE | skipped)
    assert restored(world) == []
