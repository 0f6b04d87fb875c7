"""
Back up all Dedicated clusters of a project every night, delete old backups, and report.

New clusters are found by themselves. A cluster that is not running, such as a suspended one, is reported and
not backed up. One backup runs at a time: documents of Zilliz Cloud disagree whether several may.

To run it, define the connection ``zilliz_default`` (type "Zilliz Cloud", password: an API key). Give your own
project as the DAG's param; the default below is that of the emulator, which needs no account:
``python -m airflow_provider_zbackup.emulator``.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import Param, dag, task

from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator, ZillizPruneBackupsOperator
from airflow_provider_zbackup.sensors.backup import ZillizBackupFreshnessSensor
from airflow_provider_zbackup.zilliz.texts import format_table

MAX_AGE = timedelta(hours=26)
log = logging.getLogger(__name__)


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["zilliz", "example"],
    doc_md=__doc__,
    params={"project_id": Param("proj-b44a39b0c51cf21791a841", type="string")},
)
def fleet_backup() -> None:
    @task
    def find_clusters(params: dict[str, Any]) -> list[str]:
        """Return the ids of the clusters that can be backed up now."""
        clusters = ZillizHook().list_clusters(project_id=params["project_id"])
        return [cluster.cluster_id for cluster in clusters if cluster.can_have_backups and cluster.is_running]

    @task(trigger_rule="all_done")
    def report(params: dict[str, Any]) -> list[dict[str, Any]]:
        """Return one row per Dedicated cluster, and write them to the log."""
        hook = ZillizHook()
        newest: dict[str, str] = {}
        for backup in hook.list_backups(project_id=params["project_id"]):
            if backup.is_available and backup.create_time:
                created = backup.create_time.isoformat()
                newest[backup.cluster_id] = max(created, newest.get(backup.cluster_id, ""))
        rows = [
            {
                "cluster_id": cluster.cluster_id,
                "cluster_name": cluster.cluster_name,
                "status": cluster.status,
                "newest_backup": newest.get(cluster.cluster_id, "none"),
            }
            for cluster in hook.list_clusters(project_id=params["project_id"])
            if cluster.can_have_backups
        ]
        head = ("cluster_id", "cluster_name", "status", "newest_backup")
        for line in format_table(head, [[row[name] for name in head] for row in rows]):
            log.info(line)
        return rows

    clusters = find_clusters()
    backups = ZillizCreateBackupOperator.partial(
        task_id="backup", deferrable=True, max_active_tis_per_dagrun=1
    ).expand(cluster_id=clusters)
    prune = ZillizPruneBackupsOperator(
        task_id="prune",
        project_id="{{ params.project_id }}",
        older_than=timedelta(days=2),  # what a migration has just made may be in use
        keep_daily=7,
        keep_monthly=6,
        trigger_rule="all_done",
    )
    are_fresh = ZillizBackupFreshnessSensor.partial(
        task_id="are_fresh", max_age=MAX_AGE, timeout=0, trigger_rule="all_done"
    ).expand(cluster_id=clusters)
    # Both are last, so the run fails while a backup is missing, even though the report is made.
    backups >> prune >> [are_fresh, report()]


fleet = fleet_backup()
