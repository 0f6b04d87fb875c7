"""Sets Airflow up before anything imports it: a home of its own, nothing from the caller's environment."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_HOME = tempfile.mkdtemp(prefix="zbackup-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _name in list(os.environ):
    if _name.startswith(("AIRFLOW_", "_AIRFLOW_")):
        del os.environ[_name]
os.environ.update(
    AIRFLOW_HOME=_HOME,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(Path(__file__).parent.parent / "example_dags"),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME}/airflow.db",
)

import pytest  # noqa: E402
from airflow.providers.common.compat.sdk import Variable, mask_secret  # noqa: E402
from airflow.secrets.metastore import MetastoreBackend  # noqa: E402
from pytest_mock import MockerFixture  # noqa: E402

from airflow_provider_zbackup.version_compat import HAS_TASK_STATE_STORE  # noqa: E402
from tests.support import World, make_world  # noqa: E402

# Only `make test-ui` and `make test-data` install what these need.
_NEEDS = {"browser": "playwright", "data": "milvus_lite"}
collect_ignore = [folder for folder, module in _NEEDS.items() if find_spec(module) is None]
# A user's, with a pytest of its own.
collect_ignore.append("emulator/project")

_DAGS = Path(__file__).parent / "dags"


def pytest_configure(config: pytest.Config) -> None:
    if not HAS_TASK_STATE_STORE:
        # Airflow before 3.3 uses what it has deprecated itself.
        for category in ("DeprecationWarning", "FutureWarning"):
            config.addinivalue_line("filterwarnings", rf"ignore::{category}:airflow\.")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: some tests wait for an Airflow."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the DAGs first: then only one worker of pytest-xdist starts an Airflow for them."""
    items.sort(key=lambda item: not item.path.is_relative_to(_DAGS))


@pytest.fixture(autouse=True)
def _forget_secrets() -> Iterator[None]:
    """Airflow makes one pattern of all secrets that it has seen: it would grow, and slow down every test."""
    yield
    # Airflow 3.1 and 3.2 import it inside the function.
    home = mask_secret.__globals__
    if "_secrets_masker" not in home:
        home = vars(import_module("airflow.sdk._shared.secrets_masker"))
    masker = home["_secrets_masker"]()
    masker.patterns = set()
    masker.replacer = None


@pytest.fixture(autouse=True, scope="session")
def _no_connections_in_the_metadata_database() -> Iterator[None]:
    """Airflow 2 looks there for what the environment does not define: it would need a database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MetastoreBackend, "get_connection", lambda self, conn_id, **kwargs: None)
        yield


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A Zilliz Cloud and an Airflow, both on one virtual clock, talking real HTTP."""
    with make_world(monkeypatch) as world:
        yield world


@pytest.fixture
def variables(mocker: MockerFixture) -> dict[str, Any]:
    """Airflow's Variables, in memory: by key, their value as the database would keep it."""
    kept: dict[str, Any] = {}
    mocker.patch.object(
        Variable,
        "get",
        autospec=True,
        side_effect=lambda key, default, deserialize_json: kept.get(key, default),
    )
    mocker.patch.object(
        Variable,
        "set",
        autospec=True,
        side_effect=lambda key, value, description, serialize_json: kept.update({key: value}),
    )
    mocker.patch.object(Variable, "delete", autospec=True, side_effect=lambda key: kept.pop(key, None))
    return kept
