"""A migration behind ``backup_before``, and the same migration with tasks that are wired by hand."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.operators.restore import ZillizRestoreCollectionsOperator
from airflow_provider_zbackup.sensors.backup import ZillizNoActiveBackupSensor
from airflow_provider_zbackup.task_groups import backup_before

SCOPE: dict[str, Any] = {"cluster_id": DEDICATED_CLUSTER_ID, "collections": ["quick_setup"]}


@task
def migrate(params: dict[str, Any] | None = None) -> None:
    """Represent the DDL task."""
    if (params or {})["fail"]:
        raise RuntimeError("half migrated")


def migration(dag_id: str) -> DAG:
    return DAG(dag_id, schedule=None, params={"fail": False})


with migration("guarded"), backup_before(**SCOPE, settle_time=0):
    migrate()

with migration("wired_by_hand"):
    backup = ZillizCreateBackupOperator(task_id="backup", **SCOPE)
    gate = ZillizNoActiveBackupSensor(task_id="gate", cluster_id=DEDICATED_CLUSTER_ID)
    restore = ZillizRestoreCollectionsOperator(
        task_id="restore",
        cluster_id=DEDICATED_CLUSTER_ID,
        backup_id=backup.output,
        suffix="_restored",
        trigger_rule="one_failed",
    )
    backup >> gate >> migrate() >> restore
