"""
Keep the policy for automatic backups of a cluster in code.

The DAG runs once a day and changes the policy only if it differs, such as after a change in this file or by
hand. The task's log shows each difference. Zilliz Cloud starts an automatic backup whenever a policy is set.

To run it, define the connection ``zilliz_default`` (type "Zilliz Cloud", password: an API key). Give your own
cluster as the DAG's param; the default below is that of the emulator, which needs no account:
``python -m airflow_provider_zbackup.emulator``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_zbackup.operators.policy import ZillizSetBackupPolicyOperator

with DAG(
    dag_id="backup_policy",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["zilliz", "example"],
    doc_md=__doc__,
    params={"cluster_id": Param("in01-31a6b840e50b72d", type="string", description="A Dedicated cluster")},
) as dag:
    ZillizSetBackupPolicyOperator(
        task_id="set_policy",
        cluster_id="{{ params.cluster_id }}",
        weekdays=["monday", "wednesday", "friday"],
        start_hour=2,  # UTC; a backup starts within two hours
        retention_days=14,
    )
