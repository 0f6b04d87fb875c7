"""Triggers that wait for a backup, and for a cluster that is free of running backups."""

from __future__ import annotations

from typing import Any

from airflow_provider_zbackup.triggers.base import ZillizResultTrigger, ZillizTrigger
from airflow_provider_zbackup.zilliz.flows.polling import Wait
from airflow_provider_zbackup.zilliz.flows.steps import Flow
from airflow_provider_zbackup.zilliz.flows.waiting import check_cluster, wait_for_backup, wait_until_free
from airflow_provider_zbackup.zilliz.models import Backup


class ZillizBackupTrigger(ZillizResultTrigger[Backup]):
    """
    Waits until a backup's job has ended well and the backup is AVAILABLE.

    :param result: has ``cluster_id``, ``backup_id`` and ``job_id``; without a job id only the backup's status
        counts
    """

    facts = frozenset({"backup_name", "backup_type", "status", "size", "region_id", "create_time"})

    def end(self, wait: Wait) -> Flow[Backup | None]:
        result = self.result
        return wait_for_backup(result["cluster_id"], result["backup_id"], wait, job_id=result["job_id"])


class ZillizNoActiveBackupTrigger(ZillizTrigger):
    """
    Waits until no backup, manual or automatic, is being created.

    :param cluster_id: the cluster to watch
    :param project_id: the project to watch instead
    :param to_submit: whether the task submits a job next
    """

    def __init__(
        self,
        *,
        cluster_id: str | None = None,
        project_id: str | None = None,
        to_submit: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster_id = cluster_id
        self.project_id = project_id
        self.to_submit = to_submit

    def serialized_fields(self) -> dict[str, Any]:
        return {"cluster_id": self.cluster_id, "project_id": self.project_id, "to_submit": self.to_submit}

    def flow(self, wait: Wait) -> Flow[dict[str, Any]]:
        if self.cluster_id and not self.to_submit:
            yield from check_cluster(self.cluster_id)
        end = yield from wait_until_free(
            wait, cluster_id=self.cluster_id, project_id=self.project_id, to_submit=self.to_submit
        )
        return {"result": end, "deadline": self.deadline}
