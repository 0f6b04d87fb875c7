"""
Prove once a month that the newest backup can be restored.

A backup that nobody has restored is a hope. This DAG restores the newest one into a scratch cluster, checks
it, and drops the scratch cluster, even if the check fails. A dropped cluster stays in Zilliz Cloud's recycle
bin for 30 days.

To run it, define the connection ``zilliz_default`` (type "Zilliz Cloud", password: an API key). Give your own
cluster as the DAG's param; the default below is that of the emulator, which needs no account:
``python -m airflow_provider_zbackup.emulator``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_zbackup.operators.cluster import ZillizDropClusterOperator
from airflow_provider_zbackup.operators.restore import ZillizRestoreClusterOperator
from airflow_provider_zbackup.sensors.backup import ZillizBackupFreshnessSensor

with DAG(
    dag_id="restore_drill",
    schedule="@monthly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["zilliz", "example"],
    doc_md=__doc__,
    params={"cluster_id": Param("in01-31a6b840e50b72d", type="string", description="A Dedicated cluster")},
) as dag:
    newest_backup = ZillizBackupFreshnessSensor(
        task_id="newest_backup",
        cluster_id="{{ params.cluster_id }}",
        max_age=timedelta(days=7),
        timeout=0,  # look once
    )
    restore = ZillizRestoreClusterOperator(
        task_id="restore",
        cluster_id="{{ params.cluster_id }}",
        backup_id=newest_backup.output,
        cluster_name="drill-{{ ts_nodash }}",
        discard_password=True,  # an API key opens the scratch cluster too
        deferrable=True,
    )

    @task
    def check(cluster: dict[str, Any]) -> str:
        """Stand in for what matters to you: connect to the scratch cluster, and search in it."""
        return f"restored as {cluster['connect_address']}"

    drop = ZillizDropClusterOperator(task_id="drop", cluster=restore.output)
    newest_backup >> restore >> check(restore.output) >> drop.as_teardown(setups=restore)
