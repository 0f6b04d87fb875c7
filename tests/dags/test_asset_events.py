"""Asset events in a DAG: what one task says about its outlets, another one reads."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_zbackup.version_compat import AIRFLOW_VERSION

ROOT = Path(__file__).parents[2]

TESTS = """
import pytest
from airflow.providers.common.compat.sdk import DAG, Asset, AssetAlias, task
from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator

ALIAS = AssetAlias("zilliz_backups")
FIXED = Asset(uri=f"zilliz://{DEDICATED_CLUSTER_ID}/default/quick_setup")
RENDERED = Asset(uri=f"zilliz://{DEDICATED_CLUSTER_ID}/default/medium_articles")


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_next_task_reads_the_events(zilliz_cloud, deferrable):
    zilliz_cloud.control_plane.configure(job_seconds=0.5)
    got = []

    with DAG("assets", schedule=None, render_template_as_native_obj=True) as dag:

        @task(inlets=[FIXED, RENDERED])
        def read(*, inlet_events):
            got.extend(inlet_events[asset][-1].extra for asset in (FIXED, RENDERED))

        ZillizCreateBackupOperator(
            task_id="backup",
            cluster_id=DEDICATED_CLUSTER_ID,
            collections="{{ ['medium_articles'] }}",
            deferrable=deferrable,
            defer_after=0,
            outlets=[FIXED, ALIAS],
        ) >> read()

    run = zilliz_cloud.run(dag)
    assert run.state == "success"
    (backup,) = zilliz_cloud.control_plane.backups
    assert [(extra["backup_id"], set(extra)) for extra in got] == [
        (backup.backup_id, {"backup_id", "job_id", "size", "create_time"})
    ] * 2
"""


@pytest.mark.skipif(
    AIRFLOW_VERSION.major < 3, reason="In Airflow 2, dag.test() knows only assets that a scheduler has seen"
)
def test_events_of_fixed_outlets_and_of_an_alias(tmp_path: Path) -> None:
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
    assert re.search(r"^2 passed", done.stdout, re.M), done.stdout[-5000:] + done.stderr[-5000:]
