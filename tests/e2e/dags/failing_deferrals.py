"""
DAGs whose deferrals Airflow itself ends.

They change the provider where its constants leave no other way; each task's process imports one DAG file, so
nobody else sees that.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG
from crashing_trigger import CrashingTrigger

from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.operators import backup as provider

DEFAULTS = {"retries": 3, "retry_delay": timedelta(seconds=1)}

# Airflow's own time-out comes a second after the trigger's deadline.
provider.BACKSTOP = 1.0


class CrashingOnce(provider.ZillizCreateBackupOperator):
    """Waits with a trigger that crashes."""

    def _wait_for_backup(self, context, result):  # type: ignore[no-untyped-def]
        provider.ZillizBackupTrigger = CrashingTrigger
        return super()._wait_for_backup(context, result)


with DAG("backup_with_short_timeout", schedule=None, default_args=DEFAULTS):
    provider.ZillizCreateBackupOperator(
        task_id="backup", cluster_id=DEDICATED_CLUSTER_ID, deferrable=True, defer_after=0, timeout=9
    )

with DAG("backup_with_crashing_trigger", schedule=None, default_args=DEFAULTS):
    CrashingOnce(task_id="backup", cluster_id=DEDICATED_CLUSTER_ID, deferrable=True, defer_after=0)
