"""
Back up a collection before a migration that changes it.

Creating the backup and waiting for it are two tasks, so that each shows in the grid. The migration begins
only when the backup is confirmed and no other backup of the cluster is running: Zilliz advises against
creating or dropping collections during any backup.

To run it, define the connection ``zilliz_default`` (type "Zilliz Cloud", password: an API key). Give your
own cluster and collections when you trigger the DAG; the defaults below are those of the emulator, which
needs no account: ``python -m airflow_provider_zbackup.emulator``.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.sensors.backup import ZillizNoActiveBackupSensor
from airflow_provider_zbackup.sensors.job import ZillizJobSensor

with DAG(
    dag_id="backup_before_migration",
    schedule=None,
    catchup=False,
    tags=["zilliz", "example"],
    doc_md=__doc__,
    render_template_as_native_obj=True,
    params={
        "cluster_id": Param("in01-31a6b840e50b72d", type="string", description="A Dedicated cluster"),
        "collections": Param(["medium_articles"], type="array", description="What the migration changes"),
    },
) as dag:
    backup = ZillizCreateBackupOperator(
        task_id="backup",
        cluster_id="{{ params.cluster_id }}",
        collections="{{ params.collections }}",
        wait_for_completion=False,
        deferrable=True,  # frees the worker while another backup is in the way
    )
    backup_done = ZillizJobSensor(task_id="backup_done", job_id=backup.output, deferrable=True)
    no_other_backup = ZillizNoActiveBackupSensor(
        task_id="no_other_backup", cluster_id="{{ params.cluster_id }}", deferrable=True
    )

    @task
    def migrate(collections: list[str]) -> str:
        """Stand in for the DDL: create the new collections, copy, drop the old ones."""
        return f"migrated {', '.join(collections)}"

    backup >> backup_done >> no_other_backup >> migrate("{{ params.collections }}")
