"""Triggers that wait for a backup, and for a cluster that is free of running backups."""

from __future__ import annotations

from typing import Any

from airflow_provider_zbackup.triggers.base import ZillizTrigger
from airflow_provider_zbackup.utils.results import confirmed
from airflow_provider_zbackup.zilliz.flows.steps import Flow
from airflow_provider_zbackup.zilliz.flows.waiting import Wait, wait_for_created_backup, wait_until_free


class ZillizBackupTrigger(ZillizTrigger):
    """
    Waits until a backup's job has ended well and the backup is AVAILABLE; the event brings the
    task's result.

    :param result: what the task knows already; its ``cluster_id``, ``backup_id`` and ``job_id`` say what is
        waited for (without a job id, by the backup's status)
    """

    def __init__(self, *, result: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.result = result

    def serialized_fields(self) -> dict[str, Any]:
        return {"result": self.result}

    def flow(self, wait: Wait) -> Flow[dict[str, Any]]:
        end = yield from wait_for_created_backup(
            self.result["cluster_id"], self.result["backup_id"], self.result["job_id"], wait
        )
        return {"result": end and confirmed(self.result, end)}


class ZillizNoActiveBackupTrigger(ZillizTrigger):
    """
    Waits until no backup, manual or automatic, is being created.

    :param cluster_id: the cluster to watch
    :param project_id: the project to watch instead
    :param for_turn: whether the task waits for its turn to create a backup itself
    """

    def __init__(
        self,
        *,
        cluster_id: str | None = None,
        project_id: str | None = None,
        for_turn: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster_id = cluster_id
        self.project_id = project_id
        self.for_turn = for_turn

    def serialized_fields(self) -> dict[str, Any]:
        return {"cluster_id": self.cluster_id, "project_id": self.project_id, "for_turn": self.for_turn}

    def flow(self, wait: Wait) -> Flow[dict[str, Any]]:
        end = yield from wait_until_free(
            wait, cluster_id=self.cluster_id, project_id=self.project_id, for_turn=self.for_turn
        )
        return {"result": end, "deadline": self.deadline}
