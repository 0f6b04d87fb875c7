"""DAGs with one backup each. They retry soon, and more often than any scenario needs."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator

DEFAULTS = {"retries": 3, "retry_delay": timedelta(seconds=1)}
HELD_SECONDS = 120.0


class HeldBeforeDelivery(ZillizCreateBackupOperator):
    """Hangs in its first try: after it is resumed, before it does anything."""

    def execute_complete(self, context: Any, event: Any = None) -> Any:
        hold_first_try(self, context)
        return super().execute_complete(context, event)


class HeldAfterDelivery(ZillizCreateBackupOperator):
    """Hangs in its first try: after all its work, before it reports the result to Airflow."""

    def execute_complete(self, context: Any, event: Any = None) -> Any:
        result = super().execute_complete(context, event)
        hold_first_try(self, context)
        return result


def hold_first_try(task: Any, context: Any) -> None:
    if context["ti"].try_number == 1:
        task.log.info("Held.")
        time.sleep(HELD_SECONDS)


@task(task_id="next")
def id_of(backup: Any) -> str:
    """Represent a task that uses the backup."""
    return str(backup["backup_id"])


with DAG("backup_in_worker", schedule=None, default_args=DEFAULTS):
    ZillizCreateBackupOperator(task_id="backup", cluster_id=DEDICATED_CLUSTER_ID, deferrable=False)

with DAG("backup_deferred", schedule=None, default_args=DEFAULTS):
    ZillizCreateBackupOperator(
        task_id="backup", cluster_id=DEDICATED_CLUSTER_ID, deferrable=True, defer_after=0
    )

with DAG("backup_held_before_delivery", schedule=None, default_args=DEFAULTS):
    HeldBeforeDelivery(task_id="backup", cluster_id=DEDICATED_CLUSTER_ID, deferrable=True, defer_after=0)

with DAG("backup_held_after_delivery", schedule=None, default_args=DEFAULTS):
    HeldAfterDelivery(task_id="backup", cluster_id=DEDICATED_CLUSTER_ID, deferrable=True, defer_after=0)

with DAG("backup_ended_in_triggerer", schedule=None, default_args=DEFAULTS):
    id_of(
        ZillizCreateBackupOperator(
            task_id="backup",
            cluster_id=DEDICATED_CLUSTER_ID,
            deferrable=True,
            defer_after=0,
            end_from_trigger=True,
        ).output
    )
