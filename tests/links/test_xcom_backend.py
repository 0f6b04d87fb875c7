"""The link where XComs are kept in a backend of the user's, which Airflow's UI does not ask for links."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

BACKEND = '''
try:
    from airflow.sdk.bases.xcom import BaseXCom
except ImportError:
    from airflow.models.xcom import BaseXCom

KEPT = {}


class Backend(BaseXCom):
    """Keeps every XCom elsewhere, and takes nothing but its own paths."""

    @staticmethod
    def serialize_value(value, *, key=None, task_id=None, dag_id=None, run_id=None, map_index=None, **_):
        path = f"elsewhere/{len(KEPT)}"
        KEPT[path] = value
        return BaseXCom.serialize_value(path)

    @staticmethod
    def deserialize_value(result):
        return KEPT[BaseXCom.deserialize_value(result)]
'''

TESTS = '''
import json
import pytest
from sqlalchemy import text

import airflow
from airflow import settings
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_zbackup.links.zilliz import ZillizConsoleLink
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator

CLUSTER_ID = "in01-31a6b840e50b72d"
seen = []


def stored(key):
    """Return what Airflow's database has, as its UI reads it."""
    with settings.engine.connect() as connection:
        (value,) = connection.execute(text("select value from xcom where key = :key"), {"key": key}).scalars()
    while isinstance(value, (str, bytes)) and value[:1] in ('"', b'"'):
        value = json.loads(value)
    return value


class Watched(ZillizCreateBackupOperator):
    def _wait_for_end(self, *args):
        seen.append(stored(ZillizConsoleLink.xcom_key))
        return super()._wait_for_end(*args)


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_link_is_an_address(zilliz_cloud, deferrable):
    zilliz_cloud.control_plane.configure(job_seconds=1)
    with DAG("dag", schedule=None) as dag:
        task = Watched(task_id="backup", cluster_id=CLUSTER_ID, deferrable=deferrable, defer_after=0)
    run = zilliz_cloud.run(dag)
    assert run.state == "success"
    seen.append(stored(ZillizConsoleLink.xcom_key))
    if airflow.__version__.startswith("2."):
        # The web server asks the link; later ones read what is stored.
        (ti,) = run.get_task_instances()
        seen.append(ZillizConsoleLink().get_link(task, ti_key=ti.key))
    assert {url.startswith(zilliz_cloud.url) and url.endswith(CLUSTER_ID) for url in seen} == {True}, seen
    assert stored("return_value").startswith("elsewhere/"), "the backend is not in use"
    assert len(seen) >= 2
    seen.clear()

'''


def test_the_link_is_an_address_while_the_task_waits_and_after_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        'pytest_plugins = ["airflow_provider_zbackup.emulator.pytest_plugin"]\n'
    )
    (tmp_path / "kept_elsewhere.py").write_text(BACKEND)
    (tmp_path / "test_mine.py").write_text(TESTS)
    kept = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=kept
        | {
            "HOME": str(tmp_path),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
            "AIRFLOW__CORE__XCOM_BACKEND": "kept_elsewhere.Backend",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert re.search(r"^2 passed", done.stdout, re.M), done.stdout[-5000:] + done.stderr[-5000:]
