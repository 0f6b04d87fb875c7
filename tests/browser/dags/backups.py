"""The tasks whose backups the pages show."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

from airflow_provider_zbackup.emulator.history import LARGE_CLUSTER_ID, NEW_CLUSTER_ID
from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator

with DAG(dag_id="nightly", schedule=None) as dag:
    backup = ZillizCreateBackupOperator.partial(task_id="backup", wait_for_completion=False).expand(
        cluster_id=[LARGE_CLUSTER_ID, DEDICATED_CLUSTER_ID]
    )
    refused = ZillizCreateBackupOperator(task_id="refused", cluster_id=NEW_CLUSTER_ID)
    # Lets the run succeed, so that the command that runs it does.
    backup >> refused >> EmptyOperator(task_id="end", trigger_rule="all_done")
