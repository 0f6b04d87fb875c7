"""
Restore a backup into a new cluster.

A backup of a whole cluster is always restored into a new cluster, beside the old one, so nothing is lost if
it was the wrong backup. Give the backup's id when you trigger the DAG: it is in the result of the task that
made it, and in Zilliz Cloud's console.

The password of the new cluster, which Zilliz Cloud shows only once, goes to the Airflow Variable
``restored_cluster_password``.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_zbackup.operators.restore import ZillizRestoreClusterOperator

with DAG(
    dag_id="restore_backup",
    schedule=None,
    catchup=False,
    tags=["zilliz", "example"],
    doc_md=__doc__,
    params={
        "cluster_id": Param("in01-31a6b840e50b72d", type="string", description="The cluster of the backup"),
        "backup_id": Param("", type="string", description="A backup of the whole cluster"),
    },
) as dag:
    restore = ZillizRestoreClusterOperator(
        task_id="restore",
        cluster_id="{{ params.cluster_id }}",
        backup_id="{{ params.backup_id }}",
        cluster_name="restored-{{ (dag_run.logical_date or dag_run.run_after) | ts_nodash }}",
        password_to="variable:restored_cluster_password",
        deferrable=True,
    )

    @task
    def show_address(cluster: dict[str, Any]) -> str:
        """Stand in for what comes next: point the applications at the new cluster."""
        return f"restored as {cluster['connect_address']}"

    show_address(restore.output)
