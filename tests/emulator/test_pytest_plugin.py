"""The plugin of pytest, in a pytest of its own, where nobody has run Airflow before."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

CONFTEST = 'pytest_plugins = ["airflow_provider_zbackup.emulator.pytest_plugin"]\n'

TESTS = '''
import os, sys
from pathlib import Path
import pytest

assert "airflow" not in sys.modules, "the plugin imports Airflow"
from airflow.providers.common.compat.sdk import DAG, BaseHook, Variable, task
from airflow import settings
from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator

CONNECTION = "AIRFLOW_CONN_ZILLIZ_DEFAULT"
CLUSTER_ID = "in01-31a6b840e50b72d"
ours = settings.SQL_ALCHEMY_CONN
assert BaseHook.get_connection("zilliz_default").host == "https://production.example"


def nightly(**arguments):
    """A DAG that is in no file of its own, and whose task leaves a Variable."""
    with DAG("nightly", schedule=None) as dag:
        backup = ZillizCreateBackupOperator(task_id="backup", cluster_id=CLUSTER_ID, **arguments)

        @task
        def keep(backup, params=None):
            assert Variable.get("kept", None) is None, "left by another test"
            Variable.set("kept", backup["backup_id"])

        keep(backup.output)
    return dag


def test_without_a_dag_airflow_needs_no_database(zilliz_cloud):
    seen = [cluster.cluster_id for cluster in ZillizHook().list_clusters()]
    assert seen == list(zilliz_cloud.control_plane.clusters)
    assert settings.SQL_ALCHEMY_CONN == ours
    assert zilliz_cloud.connection["host"] == zilliz_cloud.url


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_dag_that_a_test_makes(zilliz_cloud, deferrable):
    assert zilliz_cloud.control_plane.backups == []
    zilliz_cloud.control_plane.configure(job_seconds=1)
    assert zilliz_cloud.run(nightly(deferrable=deferrable, defer_after=0)).state == "success"
    assert len(zilliz_cloud.control_plane.backups) == 1


def test_a_run_that_fails(zilliz_cloud):
    zilliz_cloud.control_plane.faults.add("*", status=403)
    assert zilliz_cloud.run(nightly()).state == "failed"


def test_a_dag_twice_with_a_configuration(zilliz_cloud):
    with DAG("twice", schedule=None, params={"said": "by default"}) as dag:

        @task
        def say(params=None):
            assert params["said"] == "in the test"

        say()
    first, second = (zilliz_cloud.run(dag, run_conf={"said": "in the test"}) for _ in range(2))
    assert (first.state, second.state) == ("success", "success")
    assert first.run_id != second.run_id


def test_nothing_is_left():
    assert CONNECTION not in os.environ
    assert BaseHook.get_connection("zilliz_default").host == "https://production.example"
    assert settings.SQL_ALCHEMY_CONN == ours == str(settings.engine.url)
    assert not Path(ours.removeprefix("sqlite:///")).exists()
'''


def test_it_gives_each_test_a_cloud_and_a_database_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_mine.py").write_text(TESTS)
    # Airflow asks it before the environment, so without care the tests would back up the real cluster.
    secrets = {"zilliz_default": {"conn_type": "zilliz", "host": "https://production.example"}}
    (tmp_path / "secrets.json").write_text(json.dumps(secrets))
    backend = {
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(
            {"connections_file_path": str(tmp_path / "secrets.json")}
        ),
    }
    kept = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"],
        cwd=tmp_path,
        env=kept | backend | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert re.search(r"^6 passed", done.stdout, re.M), done.stdout[-5000:] + done.stderr[-5000:]


def test_a_database_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_mine.py").write_text("def test_it(zilliz_cloud):\n    zilliz_cloud.run(None)\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS": "no.such.thing"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "no.such.thing" in done.stdout
    assert "1 failed" in done.stdout


def test_who_uses_the_package_needs_no_pytest() -> None:
    program = """
import sys
import airflow_provider_zbackup.emulator, airflow_provider_zbackup.operators.backup
import airflow_provider_zbackup.hooks.zilliz, airflow_provider_zbackup.triggers.backup
assert not {"pytest", "_pytest"} & set(sys.modules)
assert "airflow_provider_zbackup.emulator.pytest_plugin" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
