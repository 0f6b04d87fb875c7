"""What users try first: Airflow's own commands, with a deferrable task and the connection."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_zbackup.emulator import ControlPlane, Settings, serve
from tests.dags.conftest import airflow

DAG = """
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator

with DAG("tried", schedule=None, start_date=datetime(2026, 1, 1)):
    ZillizCreateBackupOperator(
        task_id="backup", cluster_id="in01-31a6b840e50b72d", deferrable=True, defer_after=0
    )
"""


@pytest.fixture
def control_plane() -> ControlPlane:
    return ControlPlane(settings=Settings(job_seconds=2))


@pytest.fixture
def environment(
    tmp_path: Path, control_plane: ControlPlane, empty_database: Path
) -> Iterator[dict[str, str]]:
    """An Airflow of its own, as environment variables, whose connection leads to an emulator."""
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "tried.py").write_text(DAG)
    shutil.copy(empty_database, tmp_path / "airflow.db")
    with serve(control_plane) as emulator:
        yield os.environ | {
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
            "AIRFLOW_CONN_ZILLIZ_DEFAULT": json.dumps(emulator.connection),
        }


def test_the_commands_that_try_things_out(environment: dict[str, str], control_plane: ControlPlane) -> None:
    assert "Connection success" in airflow(environment, "connections", "test", "zilliz_default")
    for number, command in enumerate((("tasks", "test", "tried", "backup"), ("dags", "test", "tried")), 1):
        said = airflow(environment, *command, "2026-03-02")
        assert "is AVAILABLE" in said, said
        assert [backup.status(control_plane.now()) for backup in control_plane.backups] == (
            ["AVAILABLE"] * number
        )
