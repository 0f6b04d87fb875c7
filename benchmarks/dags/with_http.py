"""The same pipelines with Airflow's HTTP provider."""

from __future__ import annotations

import json

from airflow.providers.common.compat.sdk import DAG, task
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor


@task
def migrate() -> None:
    """Represent the DDL task."""


for mode in ("poke", "reschedule"):
    with DAG(
        f"http_{mode}",
        schedule=None,
        max_active_runs=1000,
        max_active_tasks=1000,
        params={"cluster_id": ""},
    ):
        create = HttpOperator(
            task_id="backup",
            http_conn_id="zilliz_http",
            endpoint="v2/clusters/{{ params.cluster_id }}/backups/create",
            data=json.dumps({"backupType": "CLUSTER"}),
            headers={"Content-Type": "application/json"},
            response_filter=lambda response: response.json()["data"]["jobId"],
        )
        # Without a response_check, any answer with HTTP 200 ends the wait, whatever the job's status. With
        # one, the sensor waits in the worker even if it is deferrable. Its default interval is 60 s; 5 s is
        # for DAGs that must notice the end soon.
        wait = HttpSensor(
            task_id="wait",
            http_conn_id="zilliz_http",
            endpoint="v2/jobs/{{ ti.xcom_pull(task_ids='backup') }}",
            response_check=lambda response: response.json()["data"]["status"] == "SUCCESSFUL",
            poke_interval=5,
            mode=mode,
            deferrable=True,
        )
        create >> wait >> migrate()
