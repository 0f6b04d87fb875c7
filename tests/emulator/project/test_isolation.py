"""Each test has a cloud and an Airflow database of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

assert "airflow" not in sys.modules, "the plugin imports Airflow"

from airflow import settings  # noqa: E402
from airflow.providers.common.compat.sdk import DAG, BaseHook, Variable, task  # noqa: E402

from airflow_provider_zbackup.emulator.pytest_plugin import ZillizCloud  # noqa: E402
from airflow_provider_zbackup.hooks.zilliz import ZillizHook  # noqa: E402
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator  # noqa: E402

CLUSTER_ID = "in01-31a6b840e50b72d"
DATABASE = settings.SQL_ALCHEMY_CONN


def nightly(**arguments: Any) -> DAG:
    """A DAG that is in no file of its own, and whose task leaves a Variable."""
    with DAG("nightly", schedule=None) as dag:
        backup = ZillizCreateBackupOperator(task_id="backup", cluster_id=CLUSTER_ID, **arguments)

        @task
        def keep(backup: Any, params: Any = None) -> None:
            assert Variable.get("kept", None) is None, "left by another test"
            Variable.set("kept", backup["backup_id"])

        keep(backup.output)
    return dag


def connection_host() -> str | None:
    host: str | None = BaseHook.get_connection("zilliz_default").host
    return host


def test_the_secrets_backend_is_in_use() -> None:
    assert connection_host() == "https://production.example"


def test_without_a_dag_airflow_needs_no_database(zilliz_cloud: ZillizCloud) -> None:
    seen = [cluster.cluster_id for cluster in ZillizHook().list_clusters()]
    assert seen == list(zilliz_cloud.control_plane.clusters)
    assert settings.SQL_ALCHEMY_CONN == DATABASE
    assert zilliz_cloud.connection["host"] == zilliz_cloud.url


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_dag_that_a_test_makes(zilliz_cloud: ZillizCloud, deferrable: bool) -> None:
    assert zilliz_cloud.control_plane.backups == []
    zilliz_cloud.control_plane.configure(job_seconds=1)
    assert zilliz_cloud.run(nightly(deferrable=deferrable, defer_after=0)).state == "success"
    assert len(zilliz_cloud.control_plane.backups) == 1


def test_a_run_that_fails(zilliz_cloud: ZillizCloud) -> None:
    zilliz_cloud.control_plane.faults.add("*", status=403)
    assert zilliz_cloud.run(nightly()).state == "failed"


def test_a_dag_twice_with_a_configuration(zilliz_cloud: ZillizCloud) -> None:
    with DAG("twice", schedule=None, params={"said": "by default"}) as dag:

        @task
        def say(params: Any = None) -> None:
            assert params["said"] == "in the test"

        say()
    first, second = (zilliz_cloud.run(dag, run_conf={"said": "in the test"}) for _ in range(2))
    assert (first.state, second.state) == ("success", "success")
    assert first.run_id != second.run_id


def test_nothing_is_left() -> None:
    assert "AIRFLOW_CONN_ZILLIZ_DEFAULT" not in os.environ
    assert connection_host() == "https://production.example"
    engine: Any = settings.engine
    assert settings.SQL_ALCHEMY_CONN == DATABASE == str(engine.url)
    assert not Path(DATABASE.removeprefix("sqlite:///")).exists()
