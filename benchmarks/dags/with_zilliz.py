"""
A backup, the wait for its end, and the task after it, in each way that this provider offers.

Each run gets its own cluster in ``params``. No task retries, so that every failure is counted.
"""

from __future__ import annotations

import time
from typing import Any, NoReturn

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.sensors.job import ZillizJobSensor

CLUSTER_ID = "{{ params.cluster_id }}"


class BackupWithEventAfter(ZillizCreateBackupOperator):
    """
    Defers at once; the event of the trigger comes a given time later.

    :param event_after: seconds from the deferral to the event (templated)
    """

    template_fields = (*ZillizCreateBackupOperator.template_fields, "event_after")

    def __init__(self, *, event_after: str, **kwargs: Any) -> None:
        super().__init__(deferrable=True, defer_after=0, **kwargs)
        self.event_after = event_after

    def defer(self, *, trigger: Any, **options: Any) -> NoReturn:
        # Only here, because the provider sets a later time before it calls defer().
        trigger.not_before = time.time() + float(self.event_after)
        super().defer(trigger=trigger, **options)


@task
def migrate() -> None:
    """Represent the DDL task."""


def pipeline(dag_id: str) -> DAG:
    params = {"cluster_id": "", "event_after": 0}
    return DAG(dag_id, schedule=None, max_active_runs=1000, max_active_tasks=1000, params=params)


with pipeline("backup_in_worker"):
    ZillizCreateBackupOperator(task_id="backup", cluster_id=CLUSTER_ID, deferrable=False) >> migrate()

with pipeline("backup_deferrable"):
    ZillizCreateBackupOperator(task_id="backup", cluster_id=CLUSTER_ID, deferrable=True) >> migrate()

with pipeline("backup_end_from_trigger"):
    backup = ZillizCreateBackupOperator(
        task_id="backup", cluster_id=CLUSTER_ID, deferrable=True, end_from_trigger=True
    )
    backup >> migrate()

with pipeline("sensor_deferrable"):
    backup = ZillizCreateBackupOperator(task_id="backup", cluster_id=CLUSTER_ID, wait_for_completion=False)
    job: Any = backup.output
    ZillizJobSensor(task_id="wait", job_id=job, deferrable=True) >> migrate()

with pipeline("sensor_end_from_trigger"):
    backup = ZillizCreateBackupOperator(task_id="backup", cluster_id=CLUSTER_ID, wait_for_completion=False)
    job = backup.output
    wait = ZillizJobSensor(task_id="wait", job_id=job, deferrable=True, end_from_trigger=True)
    wait >> migrate()

with pipeline("event_after"):
    (
        BackupWithEventAfter(task_id="backup", cluster_id=CLUSTER_ID, event_after="{{ params.event_after }}")
        >> migrate()
    )
