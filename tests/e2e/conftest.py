"""The worlds that the scenarios happen in: services and Airflows are shared, the emulated cloud starts anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.airflow_stack import AirflowStack
from dev.emulated_cloud import EmulatedCloud
from tests.e2e.cloud import Cloud
from tests.e2e.services import PostgreSQL, postgresql
from tests.e2e.world import SETTINGS, World

HERE = Path(__file__).parent
DAG_IDS = [
    "backup_in_worker",
    "backup_deferred",
    "backup_held_before_delivery",
    "backup_held_after_delivery",
]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    """PostgreSQL, for the databases of all Airflows."""
    with postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def emulated_cloud() -> Iterator[Cloud]:
    """The emulated Zilliz Cloud that all Airflows use."""
    with EmulatedCloud(job_seconds=8) as emulator:
        cloud = Cloud(emulator)
        yield cloud
        cloud.close()


@pytest.fixture(scope="session")
def local_airflow(postgresql_server: PostgreSQL, emulated_cloud: Cloud) -> Iterator[World]:
    """An Airflow whose scheduler runs the tasks itself."""
    with AirflowStack(
        HERE / "dags",
        dag_ids=DAG_IDS,
        environment={
            **SETTINGS,
            **emulated_cloud.environment,
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(HERE / "plugins"),
        },
        database_url=postgresql_server.create("local"),
    ) as stack:
        yield World(stack, emulated_cloud, postgresql_server, "local")


@pytest.fixture
def world(local_airflow: World) -> Iterator[World]:
    """An Airflow with all components alive and no runs, and a cloud without backups."""
    with local_airflow.scenario():
        yield local_airflow
