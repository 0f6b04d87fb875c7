"""
The manifest of a backup: what the collections were when the backup began.

It is the XCom ``manifest`` of the task that made the backup. Airflow clears XComs before a retry, so from
Airflow 3.3 on the task's store keeps it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_zbackup.version_compat import HAS_TASK_STATE_STORE, task_state_store
from airflow_provider_zbackup.zilliz.errors import ZillizError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_zbackup.hooks.zilliz import ZillizHook

#: The XCom that holds the manifest.
XCOM = "manifest"
#: Under this key a task's store keeps it.
KEPT = "zilliz_manifest"
#: So long after the call for a backup, in seconds, the collections still count as those that it holds.
LATEST = 120.0


def record_manifest(
    context: Context,
    hook: ZillizHook,
    log: Any,
    *,
    cluster_id: str,
    backup_id: str,
    begun: datetime,
    collections: Sequence[str] | None,
    database: str | None,
    sample_rows: int,
) -> None:
    """
    Record the manifest of a backup, unless an earlier try of the task has recorded it.

    If that is not possible, the backup goes on: it is worth more than its manifest.

    :param begun: when the call for the backup was sent
    :param collections: what the backup holds; ``None`` means all of the cluster
    :param sample_rows: how many rows of each collection to sample
    """
    from airflow_provider_zbackup.zilliz.flows.collections import take_manifest

    store = task_state_store(context) if HAS_TASK_STATE_STORE else None
    kept: Any = store.get(KEPT) if store else None
    if not kept or kept["backup_id"] != backup_id:
        age = datetime.fromtimestamp(hook.clock.time(), UTC) - begun
        if age.total_seconds() > LATEST:
            log.warning(
                "No manifest of backup %s is recorded: it began %.0f s ago, so the collections may have "
                "changed. A manifest is recorded only by the try of the task that starts the backup.",
                backup_id,
                age.total_seconds(),
            )
            return
        flow = take_manifest(cluster_id, collections, database, backup_id=backup_id, sample_rows=sample_rows)
        try:
            manifest = hook.client.run(flow, note=log.info)
        except ZillizError as error:
            log.warning("No manifest of backup %s is recorded: %s", backup_id, error)
            return
        kept = manifest.model_dump(mode="json", exclude_defaults=True)
        if store:
            store.set(KEPT, kept)
    context["ti"].xcom_push(key=XCOM, value=kept)
    log.info(
        "The manifest of backup %s is in the XCom %s: %d rows in %d collections.",
        backup_id,
        XCOM,
        sum(facts.get("rows") or 0 for facts in kept["collections"]),
        len(kept["collections"]),
    )


def recorded_manifest(context: Context) -> Any:
    """Return the manifest that this task has recorded; ``None`` if it has none."""
    ti: Any = context["ti"]
    return ti.xcom_pull(task_ids=ti.task_id, key=XCOM, map_indexes=ti.map_index)
