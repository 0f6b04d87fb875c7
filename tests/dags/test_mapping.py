"""Every shape of mapped tasks in one DAG: each task makes a backup of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

TESTS = """
from airflow.providers.common.compat.sdk import DAG, task, task_group
from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID, SECOND_DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.sensors.job import ZillizJobSensor

CLUSTERS = [DEDICATED_CLUSTER_ID, SECOND_DEDICATED_CLUSTER_ID]
NAMES = ["medium_articles", "quick_setup"]


def partial(task_id, **arguments):
    return ZillizCreateBackupOperator.partial(task_id=task_id, **arguments)


def test_each_task_makes_its_own_backup(zilliz_cloud):
    zilliz_cloud.control_plane.configure(job_seconds=0.5)
    got = []

    with DAG("mapped", schedule=None) as dag:

        @task
        def names():
            return [[name] for name in NAMES]

        @task
        def keep(backups):
            got.extend(backups)

        @task_group
        def with_a_sensor(cluster_id):
            backup = ZillizCreateBackupOperator(
                task_id="backup", cluster_id=cluster_id, wait_for_completion=False
            )
            backup >> ZillizJobSensor(task_id="done", job_id=backup.output)

        literal = partial("literal", cluster_id=CLUSTERS[0]).expand(collections=[[name] for name in NAMES])
        computed = partial("computed", cluster_id=CLUSTERS[0]).expand(collections=names())
        clusters = partial("clusters").expand(cluster_id=CLUSTERS)
        both = partial("both").expand_kwargs(
            [{"cluster_id": CLUSTERS[0], "collections": NAMES}, {"cluster_id": CLUSTERS[1]}]
        )
        sensors = ZillizJobSensor.partial(task_id="sensors").expand(job_id=clusters.output)
        keep(both.output)
        literal >> computed >> clusters >> sensors >> both >> with_a_sensor.expand(cluster_id=CLUSTERS)

    assert zilliz_cloud.run(dag).state == "success"
    made = [
        (
            backup.cluster_id,
            sorted(item.name for item in backup.collections) if backup.backup_type == "COLLECTION" else [],
        )
        for backup in zilliz_cloud.control_plane.backups
    ]
    some = [(CLUSTERS[0], [name]) for name in NAMES]
    whole = [(cluster, []) for cluster in CLUSTERS]
    expected = [*some, *some, *whole, (CLUSTERS[0], NAMES), whole[1], *whole]
    assert sorted(made) == sorted(expected)
    assert {backup["backup_id"] for backup in got} <= {
        backup.backup_id for backup in zilliz_cloud.control_plane.backups
    }
    assert len(got) == 2
"""


def test_every_shape_of_mapping(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        'pytest_plugins = ["airflow_provider_zbackup.emulator.pytest_plugin"]\n'
    )
    (tmp_path / "test_mine.py").write_text(TESTS)
    kept = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=kept | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert re.search(r"^1 passed", done.stdout, re.M), done.stdout[-5000:] + done.stderr[-5000:]
