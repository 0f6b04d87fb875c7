"""DAGs whose deferrals Airflow itself ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

from airflow.providers.common.compat.sdk import DAG
from crashing_trigger import CrashingTrigger

from airflow_provider_zbackup import deferral
from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator

DEFAULTS = {"retries": 3, "retry_delay": timedelta(seconds=1)}

# Airflow's own time-out comes a second after the trigger's deadline. Each task's process imports the file of
# its own DAG only, so the tasks of other files keep the default.
deferral.BACKSTOP = 1.0


class CrashingOnce(ZillizCreateBackupOperator):
    """Waits with a trigger that crashes."""

    def defer(self, *, trigger: Any, method_name: str, **options: Any) -> NoReturn:
        _, arguments = trigger.serialize()
        super().defer(trigger=CrashingTrigger(**arguments), method_name=method_name, **options)


with DAG("backup_with_short_timeout", schedule=None, default_args=DEFAULTS):
    ZillizCreateBackupOperator(
        task_id="backup", cluster_id=DEDICATED_CLUSTER_ID, deferrable=True, defer_after=0, timeout=9
    )

with DAG("backup_with_crashing_trigger", schedule=None, default_args=DEFAULTS):
    CrashingOnce(task_id="backup", cluster_id=DEDICATED_CLUSTER_ID, deferrable=True, defer_after=0)
