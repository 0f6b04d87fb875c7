"""
Back up each of a list of collections every night, one task per collection, and delete old backups.

Manual backups are kept, and billed, until somebody deletes them. So the last task keeps, of each collection,
all of the last two days, and one of each of seven days and of four weeks; it deletes the others. It runs
only if tonight's backups went well, and the newest backup of each collection always stays. Its log shows
first what it will delete.

Zilliz Cloud runs one manual backup at a time. With ``max_active_tis_per_dagrun=1`` this DAG's own tasks
take turns without asking the service (Airflow 3.3 or later, which counts deferred tasks too). With
``on_conflict="wait"``, the default, each also waits for other backups, such as a colleague's or an
automatic one, without holding a worker.

To run it, define the connection ``zilliz_default`` (type "Zilliz Cloud", password: an API key). Give your
own cluster and collections as the DAG's params; the defaults below are those of the emulator, which needs no
account: ``python -m airflow_provider_zbackup.emulator``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import Param, dag, task

from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator, ZillizPruneBackupsOperator


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["zilliz", "example"],
    doc_md=__doc__,
    params={
        "cluster_id": Param("in01-31a6b840e50b72d", type="string", description="A Dedicated cluster"),
        "collections": Param(["medium_articles", "quick_setup"], type="array"),
    },
)
def nightly_backup_and_prune() -> None:
    @task
    def each_alone(params: dict[str, Any]) -> list[list[str]]:
        """Give each mapped task its own list of one collection."""
        return [[collection] for collection in params["collections"]]

    backups = ZillizCreateBackupOperator.partial(
        task_id="backup",
        cluster_id="{{ params.cluster_id }}",
        deferrable=True,
        max_active_tis_per_dagrun=1,
        map_index_template="{{ task.collections | join }}",
    ).expand(collections=each_alone())
    prune = ZillizPruneBackupsOperator(
        task_id="prune",
        cluster_id="{{ params.cluster_id }}",
        backup_type="COLLECTION",
        older_than=timedelta(days=2),  # what a migration has just made may be in use
        keep_daily=7,
        keep_weekly=4,
        trigger_rule="none_failed",
    )
    backups >> prune


nightly = nightly_backup_and_prune()
