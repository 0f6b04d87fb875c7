"""The worlds of the scenarios. They share an Airflow, which is slow to start, and empty the cloud."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from dev.airflow_stack import COMPONENTS, AirflowStack
from dev.services import PostgreSQL, postgresql, redis
from tests.e2e.cloud import Cloud
from tests.e2e.world import SETTINGS, World

DAGS = Path(__file__).resolve().parent / "dags"
# No scenario with Celery defers.
CELERY_COMPONENTS = ("api-server", "scheduler", "dag-processor", "worker")
DAG_IDS = (
    "backup_deferred",
    "backup_ended_in_triggerer",
    "backup_held_after_delivery",
    "backup_held_before_delivery",
    "backup_in_worker",
    "backup_with_crashing_trigger",
    "backup_with_short_timeout",
    "backups_of_one_cluster",
    "gate",
    "guarded",
    "guarded_fail_fast",
    "guarded_settling",
    "guarded_with_timeout",
    "jobs",
)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgreSQL]:
    """The PostgreSQL with the databases of all Airflows."""
    with postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """The emulated Zilliz Cloud that all Airflows use."""
    with Cloud() as cloud:
        yield cloud


@pytest.fixture(scope="session")
def local_world(server: PostgreSQL, cloud: Cloud) -> Iterator[World]:
    """An Airflow with the LocalExecutor, which most scenarios share."""
    with running_world(server, cloud, "local", COMPONENTS) as world:
        yield world


@pytest.fixture
def world(local_world: World) -> Iterator[World]:
    """An Airflow with all components alive, and a cloud without backups."""
    with local_world.scenario():
        yield local_world


@pytest.fixture
def celery_world(server: PostgreSQL, cloud: Cloud) -> Iterator[World]:
    """The same with the CeleryExecutor."""
    with (
        redis() as broker_url,
        running_world(server, cloud, "celery", CELERY_COMPONENTS, celery_broker_url=broker_url) as world,
        world.scenario(),
    ):
        yield world


@contextmanager
def running_world(
    server: PostgreSQL,
    cloud: Cloud,
    name: str,
    components: Sequence[str],
    *,
    celery_broker_url: str | None = None,
    dags: Path = DAGS,
    dag_ids: Sequence[str] = DAG_IDS,
) -> Iterator[World]:
    """Run an Airflow with a database of its own."""
    database = server.create(name)
    with AirflowStack(
        dags,
        dag_ids=dag_ids,
        environment={**SETTINGS, **cloud.environment},
        components=components,
        database_url=database.url,
        celery_broker_url=celery_broker_url,
    ) as stack:
        yield World(stack, cloud, database)
