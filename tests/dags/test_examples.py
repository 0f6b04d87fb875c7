"""The example DAGs, run by ``dag.test()`` against the emulator, as a user would run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_zbackup.emulator import ControlPlane, JobPlan, Settings, serve
from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID

EXAMPLES = Path(__file__).parents[2] / "example_dags"
RUN = """
import importlib, json, sys
from airflow.providers.common.compat.sdk import DAG
example = importlib.import_module(sys.argv[1])
(dag,) = [value for value in vars(example).values() if isinstance(value, DAG)]
run = dag.test(run_conf=json.loads(sys.argv[2]) or None)
print("STATE", getattr(run.state, "value", run.state))
"""


@pytest.fixture(scope="module", autouse=True)
def _database() -> None:
    # In a process of its own: initialising a database and using it in one process disturbs Airflow.
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


@pytest.fixture
def control_plane(monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    with serve(ControlPlane(settings=Settings(job_seconds=2))) as emulator:
        monkeypatch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", json.dumps(emulator.connection))
        yield emulator.control_plane


def run(example: str, **conf: Any) -> str:
    """Run an example in a process of its own and return all that it wrote."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, example, json.dumps(conf)],
        env=os.environ | {"PYTHONPATH": str(EXAMPLES)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.stdout + done.stderr


def test_backup_before_migration(control_plane: ControlPlane) -> None:
    said = run("backup_before_migration", collections=["quick_setup"])
    assert "STATE success" in said, said
    (created,) = control_plane.requests.of("create_backup")
    assert created.body == {
        "backupType": "COLLECTION",
        "dbCollections": [{"collectionNames": ["quick_setup"]}],
    }
    assert "migrated quick_setup" in said


def test_backup_before_migration_when_the_sensor_has_to_defer(control_plane: ControlPlane) -> None:
    control_plane.configure(job_seconds=15)
    said = run("backup_before_migration")
    assert "STATE success" in said, said
    assert "running trigger in line" in said


def test_backup_before_migration_does_not_migrate_without_backup(control_plane: ControlPlane) -> None:
    control_plane.faults.add("create_backup", job={"status": "FAILED", "reason": "disk is full"})
    said = run("backup_before_migration")
    assert "STATE failed" in said, said
    assert "disk is full" in said
    assert "migrated" not in said


def test_scheduled_collection_backup(control_plane: ControlPlane) -> None:
    said = run("scheduled_collection_backup")
    assert "STATE success" in said, said
    # Airflow does not promise in which order mapped tasks run.
    assert sorted(backup.backup_name for backup in control_plane.backups) == [
        "medium_articles_backup1",
        "quick_setup_backup1",
    ]
    assert "medium_articles_backup1: 52428800 bytes" in said


def test_restore_backup(control_plane: ControlPlane) -> None:
    backup = control_plane.start_backup(
        control_plane.clusters[DEDICATED_CLUSTER_ID], operation="someone", plan=JobPlan(seconds=0)
    )
    said = run("restore_backup", backup_id=backup.backup_id)
    assert "STATE success" in said, said
    clusters = control_plane.clusters.values()
    (restored,) = (cluster for cluster in clusters if cluster.cluster_name.startswith("restored-"))
    assert f"restored as https://{restored.cluster_id}" in said
    assert "The password of db_admin is in the Variable restored_cluster_password." in said
