"""DAGs with many tasks at a time, and one with a task that must not run during a backup."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.sensors.backup import ZillizNoActiveBackupSensor
from airflow_provider_zbackup.sensors.job import ZillizJobSensor

DEFAULTS = {"retries": 3, "retry_delay": timedelta(seconds=1)}


@task
def job_ids(params: dict[str, Any] | None = None) -> list[str]:
    """Return the ids of jobs from the configuration of the run, which Airflow passes as params."""
    return list((params or {})["job_ids"])


@task
def change_schema() -> None:
    """Represent the DDL task."""


with DAG("backups_of_one_cluster", schedule=None, default_args=DEFAULTS):
    ZillizCreateBackupOperator.partial(task_id="backup", deferrable=True, defer_after=0).expand(
        cluster_id=[DEDICATED_CLUSTER_ID] * 3
    )

with DAG("jobs", schedule=None, default_args=DEFAULTS, params={"job_ids": []}):
    ZillizJobSensor.partial(task_id="job", deferrable=True, defer_after=0, poke_interval=5).expand(
        job_id=job_ids()
    )

with DAG("gate", schedule=None, default_args=DEFAULTS):
    gate = ZillizNoActiveBackupSensor(
        task_id="gate", cluster_id=DEDICATED_CLUSTER_ID, deferrable=True, defer_after=0
    )
    gate >> change_schema()
