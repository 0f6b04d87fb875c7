"""No backup is lost for the DAGs that wait for new ones, whenever the triggerer is killed."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.airflow_stack import COMPONENTS
from dev.processes import wait_until
from dev.services import PostgreSQL
from tests.e2e.cloud import Cloud
from tests.e2e.conftest import running_world
from tests.e2e.task_run import WAIT_SECONDS
from tests.e2e.world import World

pytestmark = pytest.mark.e2e

DAGS = Path(__file__).resolve().parent / "watchers"
DAG_IDS = ("react_to_new_backup", "automatic_backups")


@pytest.fixture(scope="module")
def watching_world(server: PostgreSQL, cloud: Cloud) -> Iterator[World]:
    """An Airflow of its own: its watchers poll for as long as it lives."""
    with running_world(server, cloud, "watchers", COMPONENTS, dags=DAGS, dag_ids=DAG_IDS) as world:
        yield world


@pytest.mark.parametrize("seconds", [0, 0.5, 1.5, 2.5])
def test_no_event_is_lost_when_the_triggerer_is_killed(watching_world: World, seconds: float) -> None:
    world = watching_world
    with world.scenario():
        wait_until(lambda: len(world.cloud.requests("list_backups")) > 1, WAIT_SECONDS, "Watchers poll")
        automatic = world.cloud.start_backup(seconds=0, creation_method="AUTO")["backupId"]
        wait_until(
            lambda: f"Backup {automatic}" in world.stack.log("triggerer"),
            WAIT_SECONDS,
            "A watcher fires",
            pause=0.02,
        )
        time.sleep(seconds)
        world.stack.kill("triggerer", signal.SIGKILL)
        manual = world.cloud.start_backup(seconds=0)["backupId"]
        wait_until(lambda: not world.stack.is_running("triggerer"), WAIT_SECONDS, "The triggerer has ended")
        world.stack.start("triggerer")

        wait_until(
            lambda: {automatic, manual} <= set(told(world, "new_zilliz_backups")),
            WAIT_SECONDS,
            "The watcher of all backups tells of both",
        )
        wait_until(
            lambda: automatic in told(world, "automatic_backups"),
            WAIT_SECONDS,
            "The watcher of automatic backups tells of one",
        )
        assert manual not in told(world, "automatic_backups")
        wait_until(
            lambda: {automatic, manual} <= reported(world), WAIT_SECONDS, "The DAG reacts to both backups"
        )


def told(world: World, asset: str) -> list[str]:
    """Return the ids of the backups in the events of an asset."""
    rows = world.database.rows(
        "SELECT e.extra FROM asset_event e JOIN asset a ON a.id = e.asset_id WHERE a.name = %s", asset
    )
    return [as_json(extra)["payload"]["backup_id"] for (extra,) in rows]


def reported(world: World) -> set[str]:
    """Return the ids of the backups that the example DAG has reported."""
    rows = world.database.rows("SELECT value FROM xcom WHERE task_id = 'report' AND key = 'return_value'")
    return {str(value).split()[1] for (value,) in rows}


def as_json(value: object) -> dict[str, dict[str, str]]:
    decoded: dict[str, dict[str, str]] = json.loads(value) if isinstance(value, str) else value  # type: ignore[assignment]
    return decoded
