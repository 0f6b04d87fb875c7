"""Trigger that waits for a cluster."""

from __future__ import annotations

from airflow_provider_zbackup.triggers.base import ZillizResultTrigger
from airflow_provider_zbackup.zilliz.flows.polling import Wait
from airflow_provider_zbackup.zilliz.flows.steps import Flow
from airflow_provider_zbackup.zilliz.flows.waiting import wait_for_cluster
from airflow_provider_zbackup.zilliz.models import Cluster


class ZillizRestoredClusterTrigger(ZillizResultTrigger[Cluster]):
    """
    Waits until the job that restores a cluster has ended well and the cluster is RUNNING.

    :param result: has ``cluster_id`` and ``job_id``; without a job id only the cluster's status counts
    """

    facts = frozenset({"cluster_name", "status", "connect_address"})

    def end(self, wait: Wait) -> Flow[Cluster | None]:
        return wait_for_cluster(self.result["cluster_id"], wait, job_id=self.result["job_id"])
