"""What a task that creates a backup returns, as plain JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_zbackup.zilliz.flows.creation import CreateRecord
    from airflow_provider_zbackup.zilliz.models import Backup


def started(record: CreateRecord) -> dict[str, Any]:
    """Return the task's result as far as it is known when the backup has been started."""
    return {
        "cluster_id": record.cluster_id,
        "backup_id": record.backup_id,
        "backup_name": record.backup_name or None,
        "backup_type": record.request["backupType"],
        "job_id": record.job_id or None,
        "status": None,
        "size": None,
        "region_id": None,
        "create_time": None,
        "adopted": record.adopted,
    }


def confirmed(result: dict[str, Any], backup: Backup) -> dict[str, Any]:
    """
    Return the result of a task that created a backup, completed with what the finished backup shows.

    :param result: what was known when the backup was started
    """
    facts = backup.model_dump(
        mode="json", include={"backup_name", "backup_type", "status", "size", "region_id", "create_time"}
    )
    return result | {name: value for name, value in facts.items() if value not in (None, "")}
