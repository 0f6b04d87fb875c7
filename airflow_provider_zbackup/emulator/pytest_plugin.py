"""
A pytest plugin: a local Zilliz Cloud for the tests of your own DAGs.

Name it in the ``conftest.py`` at the root of your tests, and take the fixture :func:`zilliz_cloud`, or
:func:`zilliz_cloud_with_data`::

    pytest_plugins = ["airflow_provider_zbackup.emulator.pytest_plugin"]

Nothing imports this module but pytest, and it imports Airflow only when a test runs a DAG.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_zbackup.emulator import ControlPlane, RunningEmulator, Settings, open_data, serve
from airflow_provider_zbackup.emulator.formats import Json

if TYPE_CHECKING:
    from airflow_provider_zbackup.emulator.data_plane.milvus import MilvusData

#: Where a DAG is registered. Airflow looks in no other bundle, which may be far away.
_BUNDLE = "dags-folder"


class ZillizCloud:
    """
    A local Zilliz Cloud, to which the Airflow connection ``zilliz_default`` leads.

    Meanwhile, Airflow asks no secrets backend: connections and Variables come from environment variables and
    its database. Its jobs take two seconds; ``control_plane.configure(job_seconds=…)`` changes that.
    """

    def __init__(self, emulator: RunningEmulator, prepare_airflow: Callable[[], None]) -> None:
        self._emulator = emulator
        self._prepare_airflow = prepare_airflow

    @property
    def url(self) -> str:
        """The base URL. In a browser it shows the console."""
        return self._emulator.url

    @property
    def control_plane(self) -> ControlPlane:
        """The state: backups, clusters, requests, and faults to switch on."""
        return self._emulator.control_plane

    @property
    def connection(self) -> dict[str, Json]:
        """The Airflow connection, as Airflow reads it from JSON, for one with another id."""
        return self._emulator.connection

    def run(self, dag: Any, **arguments: Any) -> Any:
        """
        Run a DAG by ``dag.test()``, with all that this needs.

        Airflow has an empty database of its own for each test: no test sees the Variables or runs of
        another, and your Airflow's database is left alone. From Airflow 3.0 on the DAG is put into it, so
        the DAG may be made anywhere, also in the test.

        The test must not be ``async``: for a task that defers, ``dag.test()`` runs an event loop of its own.

        :param dag: the DAG
        :param arguments: what ``dag.test()`` takes, such as ``run_conf``
        :return: the DAG run, which has a ``state``
        """
        self._prepare_airflow()
        _register(dag)
        return dag.test(**arguments)


@pytest.fixture
def zilliz_cloud(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ZillizCloud]:
    """Give a local Zilliz Cloud that nobody else uses, as :class:`ZillizCloud`."""
    yield from _serve_cloud(request, tmp_path_factory, None)


@pytest.fixture
def zilliz_cloud_with_data(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ZillizCloud]:
    """
    Give the same with real vectors: pymilvus can connect to the Dedicated clusters.

    It needs the extra ``emulator-data``.
    """
    with open_data() as data:
        yield from _serve_cloud(request, tmp_path_factory, data)


def _serve_cloud(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, data: MilvusData | None
) -> Iterator[ZillizCloud]:
    prepared = False

    def prepare_airflow() -> None:
        nonlocal prepared
        if not prepared:
            template: Path = request.getfixturevalue("_zilliz_airflow_database")
            database = tmp_path_factory.mktemp("zilliz-cloud") / "airflow.db"
            shutil.copy(template, database)
            for name, value in _airflow_settings(database).items():
                patch.setenv(name, value)
            prepared = True
            _reconnect()

    with (
        pytest.MonkeyPatch.context() as patch,
        serve(ControlPlane(settings=Settings(job_seconds=2), data=data)) as emulator,
    ):
        _ask_only_the_environment(patch)
        patch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", json.dumps(emulator.connection))
        yield ZillizCloud(emulator, prepare_airflow)
    if prepared:
        _reconnect()


@pytest.fixture(scope="session")
def _zilliz_airflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with Airflow's tables, for tests to copy."""
    database = tmp_path_factory.mktemp("zilliz-cloud") / "airflow.db"
    # In a process of its own: Airflow cannot well make its database and use it in one.
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=os.environ | _airflow_settings(database),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"Airflow could not make a database for the tests:\n{done.stdout}")
    return database


def _airflow_settings(database: Path) -> dict[str, str]:
    """Return what an Airflow needs for ``dag.test()``, as environment variables, which go before its file."""
    from airflow_provider_zbackup.version_compat import SQLITE_EXECUTOR

    bundle = {
        "name": _BUNDLE,
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {},
    }
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"sqlite+aiosqlite:///{database}",
        # Nothing is executed by it, but Airflow checks that it goes with SQLite.
        "AIRFLOW__CORE__EXECUTOR": SQLITE_EXECUTOR,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
    }


def _ask_only_the_environment(patch: pytest.MonkeyPatch) -> None:
    """Switch off the user's secrets backend: Airflow asks it first, and it may lead to the real service."""
    patch.setenv("AIRFLOW__SECRETS__BACKEND", "")
    patch.setenv("AIRFLOW__WORKERS__SECRETS_BACKEND", "")
    # What is already imported forgets the backend. Afterwards it looks again by itself.
    imported: Any = sys.modules.get("airflow.configuration")
    if imported is not None:
        imported.secrets_backend_list[:] = imported.initialize_secrets_backends()
    imported = sys.modules.get("airflow.sdk.configuration")
    if hasattr(imported, "clear_secrets_backends_cache"):
        imported.clear_secrets_backends_cache()  # Airflow 3.3


def _reconnect() -> None:
    """Let Airflow, which may have been imported long ago, use the database that is configured now."""
    settings: Any = import_module("airflow.settings")
    settings.dispose_orm()
    settings.configure_vars()
    settings.configure_orm()


def _register(dag: Any) -> None:
    """Put a DAG into Airflow's database, as Airflow does with those that it finds in files."""
    try:
        bundles: Any = import_module("airflow.dag_processing.bundles.manager")
    except ImportError:
        return  # In Airflow 2, dag.test() needs none of it.
    bundles.DagBundlesManager().sync_bundles_to_db()
    bags: Any
    try:
        bags = import_module("airflow.dag_processing.dagbag")
    except ImportError:
        bags = import_module("airflow.models.dagbag")  # Airflow 3.0 and 3.1
    bag = bags.DagBag(os.devnull, collect_dags=False)
    bag.bag_dag(dag)
    if hasattr(bags, "sync_bag_to_db"):
        bags.sync_bag_to_db(bag, _BUNDLE, None)
    else:
        # Airflow 3.0 needs the file's name, which a DAG has only if it was found in a file.
        dag.relative_fileloc = dag.relative_fileloc or dag.fileloc
        bag.sync_to_db(_BUNDLE, None)
