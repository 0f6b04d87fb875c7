"""The worlds that the scenarios happen in: Airflows are shared, the emulated cloud always starts anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from dev.airflow_stack import CELERY_EXECUTOR, COMPONENTS, AirflowStack
from dev.cloud import Cloud
from dev.emulated_cloud import EmulatedCloud
from dev.services import PostgreSQL, postgresql, redis
from tests.e2e.world import SETTINGS, World

HERE = Path(__file__).parent
# The triggerer is of no use to what runs on Celery here.
CELERY_COMPONENTS = ("api-server", "scheduler", "dag-processor", "worker")
DAG_IDS = (
    "backup_deferred",
    "backup_held_after_delivery",
    "backup_held_before_delivery",
    "backup_in_worker",
    "backup_with_crashing_trigger",
    "backup_with_short_timeout",
    "backups_of_one_cluster",
    "gate",
    "jobs",
)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgreSQL]:
    """PostgreSQL, for the databases of all Airflows."""
    with postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """The emulated Zilliz Cloud that all Airflows use."""
    with EmulatedCloud(job_seconds=3) as emulator:
        cloud = Cloud(emulator)
        yield cloud
        cloud.close()


@pytest.fixture(scope="session")
def local_world(server: PostgreSQL, cloud: Cloud) -> Iterator[World]:
    """An Airflow whose scheduler runs the tasks itself, for all scenarios that need no other."""
    with running(server, cloud, "local", COMPONENTS, executor="LocalExecutor") as world:
        yield world


@pytest.fixture
def world(local_world: World) -> Iterator[World]:
    """An Airflow with all components alive and no runs, and a cloud without backups."""
    with local_world.scenario():
        yield local_world


@pytest.fixture
def celery_world(server: PostgreSQL, cloud: Cloud) -> Iterator[World]:
    """The same with Celery."""
    with redis() as url:
        settings = {"AIRFLOW__CELERY__BROKER_URL": url, "AIRFLOW__CELERY__RESULT_BACKEND": url}
        with (
            running(server, cloud, "celery", CELERY_COMPONENTS, settings, executor=CELERY_EXECUTOR) as world,
            world.scenario(),
        ):
            yield world


@contextmanager
def running(
    server: PostgreSQL,
    cloud: Cloud,
    name: str,
    components: Sequence[str],
    settings: Mapping[str, str] | None = None,
    *,
    executor: str,
) -> Iterator[World]:
    """Run an Airflow with a database of its own."""
    plugins = {"AIRFLOW__CORE__PLUGINS_FOLDER": str(HERE / "plugins")}
    with AirflowStack(
        HERE / "dags",
        dag_ids=DAG_IDS,
        environment={**SETTINGS, **plugins, **cloud.environment, **(settings or {})},
        components=components,
        database_url=server.create(name),
        executor=executor,
    ) as stack:
        yield World(stack, cloud, server, name)
