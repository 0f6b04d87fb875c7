"""Exporting the files of a backup."""

from __future__ import annotations

from typing import Any

from airflow_provider_zbackup.zilliz.flows.started_jobs import JobRecord, JobSubmission
from airflow_provider_zbackup.zilliz.models import StartedJob
from airflow_provider_zbackup.zilliz.operations import Operation, export_backup
from airflow_provider_zbackup.zilliz.requests import ExportBackupRequest


class ExportBackupSubmission(JobSubmission[JobRecord]):
    """
    Exports the files of a backup.

    :param integration_id: the storage integration to export to
    :param directory: where in its bucket
    """

    noun = "export"
    kind = "export_backup"
    record_type = JobRecord

    def __init__(self, cluster_id: str, backup_id: str, integration_id: str, directory: str) -> None:
        super().__init__(cluster_id, backup_id)
        self.request = ExportBackupRequest.of(integration_id, directory)

    def describe(self, record: JobRecord) -> str:
        return f"The export of backup {self.backup_id} of cluster {self.cluster_id}"

    def identity(self) -> dict[str, Any]:
        return {
            "cluster_id": self.cluster_id,
            "backup_id": self.backup_id,
            "request": self.request.body(),
        }

    def operation(self, record: JobRecord) -> Operation[StartedJob]:
        return export_backup(self.cluster_id, self.backup_id, self.request)
