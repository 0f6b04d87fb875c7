"""The link where XComs are kept in a backend of the user's, which Airflow's UI does not ask for links."""

from __future__ import annotations

import json
from typing import Any

import airflow
import pytest
from airflow import settings
from airflow.providers.common.compat.sdk import DAG
from sqlalchemy import text

from airflow_provider_zbackup.emulator.pytest_plugin import ZillizCloud
from airflow_provider_zbackup.links.zilliz import ZillizConsoleLink
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator

CLUSTER_ID = "in01-31a6b840e50b72d"


def stored(key: str) -> Any:
    """Return what Airflow's database has, as its UI reads it."""
    engine: Any = settings.engine
    with engine.connect() as connection:
        (value,) = connection.execute(text("select value from xcom where key = :key"), {"key": key}).scalars()
    while isinstance(value, (str, bytes)) and value[:1] in ('"', b'"'):
        value = json.loads(value)
    return value


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_link_is_an_address_while_the_task_waits_and_after_it(
    zilliz_cloud: ZillizCloud, deferrable: bool
) -> None:
    seen = []

    class Watched(ZillizCreateBackupOperator):
        def _wait_for_end(self, *args: Any) -> Any:
            seen.append(stored(ZillizConsoleLink.xcom_key))
            return super()._wait_for_end(*args)

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
