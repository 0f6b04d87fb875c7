"""DAGs whose deferrals end by an error from Airflow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from tests.e2e.crashing_trigger import CrashingTrigger

DEFAULTS = {"retries": 3, "retry_delay": timedelta(seconds=1)}


class EndedByTimeout(ZillizCreateBackupOperator):
    """Lets Airflow end each deferral long before the trigger itself gives up."""

    def defer(self, *, timeout: Any = None, **options: Any) -> NoReturn:
        super().defer(timeout=timedelta(seconds=10), **options)


class WithCrashingTrigger(ZillizCreateBackupOperator):
    """Waits with a trigger that crashes."""

    def defer(self, *, trigger: Any, **options: Any) -> NoReturn:
        _, arguments = trigger.serialize()
        super().defer(trigger=CrashingTrigger(**arguments), **options)


with DAG("backup_with_short_timeout", schedule=None, default_args=DEFAULTS):
    EndedByTimeout(task_id="backup", cluster_id=DEDICATED_CLUSTER_ID, deferrable=True, defer_after=0)

with DAG("backup_with_crashing_trigger", schedule=None, default_args=DEFAULTS):
    WithCrashingTrigger(task_id="backup", cluster_id=DEDICATED_CLUSTER_ID, deferrable=True, defer_after=0)
