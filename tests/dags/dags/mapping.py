"""A DAG with every shape of mapped tasks, for ``test_mapping.py``."""

from __future__ import annotations

import json
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task, task_group

from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID, SECOND_DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.sensors.job import ZillizJobSensor

CLUSTERS = [DEDICATED_CLUSTER_ID, SECOND_DEDICATED_CLUSTER_ID]
NAMES = ["medium_articles", "quick_setup"]


def partial(task_id: str, **arguments: Any) -> Any:
    return ZillizCreateBackupOperator.partial(task_id=task_id, **arguments)


with DAG("mapped", schedule=None) as dag:

    @task
    def names() -> list[list[str]]:
        return [[name] for name in NAMES]

    @task
    def keep(backups: Any) -> None:
        print("KEPT", json.dumps([backup["backup_id"] for backup in backups]))

    @task_group
    def with_a_sensor(cluster_id: Any) -> None:
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
