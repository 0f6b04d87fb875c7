"""Triggers that wait for a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_zbackup.triggers.base import ZillizResultTrigger, ZillizTrigger
from airflow_provider_zbackup.zilliz.flows.polling import Wait
from airflow_provider_zbackup.zilliz.flows.steps import Flow
from airflow_provider_zbackup.zilliz.flows.waiting import wait_for_job, wait_for_job_or_product
from airflow_provider_zbackup.zilliz.models import Job


class ZillizJobTrigger(ZillizTrigger):
    """
    Waits until a job has ended. The event brings the job, or its error.

    .. seealso:: `Describe Job <https://docs.zilliz.com/reference/restful/describe-job-v2>`__

    :param job_id: id of the job; ``None`` waits by the status of the backup or the cluster that it makes
    :param cluster_id: cluster of that backup, or that cluster
    :param backup_id: id of that backup; ``None`` if the job makes a cluster
    :param earlier_job_ids: other jobs of the same task, which are waited for first
    """

    def __init__(
        self,
        *,
        job_id: str | None,
        cluster_id: str | None = None,
        backup_id: str | None = None,
        earlier_job_ids: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.cluster_id = cluster_id
        self.backup_id = backup_id
        self.earlier_job_ids = earlier_job_ids

    def serialized_fields(self) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "cluster_id": self.cluster_id,
            "backup_id": self.backup_id,
            "earlier_job_ids": list(self.earlier_job_ids),
        }

    def flow(self, wait: Wait) -> Flow[dict[str, Any]]:
        return {"result": (yield from wait_for_job_or_product(**self.serialized_fields(), wait=wait))}


class ZillizStartedJobTrigger(ZillizResultTrigger[Job]):
    """
    Waits until a job that the task started has ended.

    :param result: has ``job_id``
    """

    facts = frozenset({"status"})

    def end(self, wait: Wait) -> Flow[Job | None]:
        return wait_for_job(self.result["job_id"], wait)
