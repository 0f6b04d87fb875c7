"""
Back up a cluster every night, and prove once a month that the newest backup can be restored.

A backup that nobody has restored is a hope. ``backup_to_prove`` records a manifest with each backup: what the
collections were when it began. ``restore_drill`` restores the newest one into a scratch cluster, compares all
that is there with the manifest, and drops the scratch cluster, even if something differs. A dropped cluster
stays in Zilliz Cloud's recycle bin for 30 days.

The two DAGs share an asset: the cluster. Each backup leaves its manifest in an event of the asset, where the
drill finds it, even months later.

To run it, define the connection ``zilliz_default`` (type "Zilliz Cloud", password: an API key), and put the
id of your own cluster here. The one below is in the emulator, which needs no account:
``python -m airflow_provider_zbackup.emulator``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AirflowFailException, Asset, task

from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.operators.cluster import ZillizDropClusterOperator
from airflow_provider_zbackup.operators.restore import ZillizRestoreClusterOperator
from airflow_provider_zbackup.operators.verify import ZillizVerifyCollectionsOperator

CLUSTER_ID = "in01-31a6b840e50b72d"
CLUSTER = Asset(uri=f"zilliz://{CLUSTER_ID}")

with DAG(
    dag_id="backup_to_prove",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["zilliz", "example"],
    doc_md=__doc__,
) as backup_to_prove:
    ZillizCreateBackupOperator(
        task_id="backup", cluster_id=CLUSTER_ID, record_manifest=True, outlets=[CLUSTER], deferrable=True
    )

with DAG(
    dag_id="restore_drill",
    schedule="@monthly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["zilliz", "example"],
    doc_md=__doc__,
) as restore_drill:

    @task(inlets=[CLUSTER], multiple_outputs=True)
    def newest_backup(inlet_events: Any) -> dict[str, Any]:
        """Return the id and the manifest of the newest backup that has one."""
        for event in reversed(list(inlet_events[CLUSTER])):
            if event.extra.get("manifest"):
                return {name: event.extra[name] for name in ("backup_id", "manifest")}
        raise AirflowFailException(f"No backup of {CLUSTER_ID} has a manifest. Run backup_to_prove first.")

    newest = newest_backup()
    restore = ZillizRestoreClusterOperator(
        task_id="restore",
        cluster_id=CLUSTER_ID,
        backup_id=newest["backup_id"],
        cluster_name="drill-{{ (dag_run.logical_date or dag_run.run_after) | ts_nodash }}",
        discard_password=True,  # an API key opens the scratch cluster too
        deferrable=True,
    )
    verify = ZillizVerifyCollectionsOperator(
        task_id="verify", restored=restore.output, manifest=newest["manifest"]
    )

    @task
    def report(cluster: dict[str, Any], proof: dict[str, Any]) -> None:
        """Say what was proved, and how long the restore took."""
        job = ZillizHook().describe_job(cluster["job_id"])
        seconds = (job.end_time - job.start_time).total_seconds()
        print(
            f"restored {proof['rows']:,} rows in {proof['collections']} collections in {seconds:,.0f} s; "
            "nothing differs"
        )

    # Not its result: a restore that fails may leave a cluster too.
    drop = ZillizDropClusterOperator(task_id="drop", cluster=restore.output["cluster"])
    restore >> verify >> report(restore.output, verify.output) >> drop.as_teardown(setups=newest.operator)
