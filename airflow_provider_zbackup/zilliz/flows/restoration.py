"""
Restoring a backup into a new cluster exactly once: what differs from other submissions.

Cluster names are unique in a project. So if a call gets no answer, the new cluster is searched for by name.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBadRequestError,
    ZillizNotFoundError,
    ZillizProtocolError,
)
from airflow_provider_zbackup.zilliz.flows.recovery import Candidate, Findings, Stage
from airflow_provider_zbackup.zilliz.flows.steps import (
    Flow,
    StoreSecret,
    all_clusters,
    retrying,
    server_now,
)
from airflow_provider_zbackup.zilliz.flows.submission import Record, Submission
from airflow_provider_zbackup.zilliz.models import Cluster, ClusterRestoration
from airflow_provider_zbackup.zilliz.operations import Operation, describe_cluster, restore_cluster
from airflow_provider_zbackup.zilliz.requests import RestoreClusterRequest


class RestoreClusterRecord(Record):
    """
    What is saved of a restore. It never holds the password.

    :param request: the body of the call
    :param new_cluster_id: the cluster that the call made
    :param username: the user of the password
    :param password_kept: whether the password was stored where the user asked
    """

    request: dict[str, Any]
    new_cluster_id: str = ""
    username: str = ""
    password_kept: bool = False

    @property
    def made_id(self) -> str:
        return self.new_cluster_id


class RestoreClusterSubmission(Submission[RestoreClusterRecord]):
    """
    Restores a backup into a new cluster, or finds the result of an earlier call.

    :param cluster_id: the cluster that the backup is of
    :param collection_status: ``"KEEP"`` or ``"RELEASE"``
    :param project_id: project of the new cluster; ``None`` means that of the source cluster
    :param cu_size: size of the new cluster in compute units; ``None`` means that of the source cluster
    :param restore_version: ``"LATEST"``, ``"ORIGINAL"`` or ``None`` for the API's default
    """

    noun = "cluster"
    kind = "restore_cluster"
    record_type = RestoreClusterRecord
    # Its name is taken now, so a second cluster is impossible.
    starts_again_when_cleared = False

    def __init__(
        self,
        cluster_id: str,
        backup_id: str,
        cluster_name: str,
        *,
        collection_status: str = "KEEP",
        project_id: str | None = None,
        cu_size: int | None = None,
        restore_version: str | None = None,
    ) -> None:
        self.cluster_id = cluster_id
        self.backup_id = backup_id
        self.cluster_name = cluster_name
        self.collection_status = collection_status
        self.project_id = project_id
        self.cu_size = cu_size
        self.restore_version = restore_version

    def describe(self, record: RestoreClusterRecord) -> str:
        return f"Cluster {record.new_cluster_id} from backup {self.backup_id} of cluster {self.cluster_id}"

    def identity(self) -> dict[str, Any]:
        return dict(vars(self))

    def prepare(self) -> Flow[RestoreClusterRecord]:
        project_id, cu_size = self.project_id, self.cu_size
        if project_id is None or cu_size is None:
            try:
                source = (yield from retrying(describe_cluster(self.cluster_id))).value
            except ZillizNotFoundError as error:
                raise error.with_advice(
                    "If it was dropped, give project_id and cu_size of the new cluster"
                ) from error
            project_id = project_id or source.project_id
            cu_size = cu_size or source.cu_size
            if not project_id or not cu_size:
                raise ZillizBadRequestError(
                    f"Give project_id and cu_size: cluster {self.cluster_id} does not show both.",
                    unprocessed=True,
                )
        request = RestoreClusterRequest.of(
            project_id=project_id,
            cluster_name=self.cluster_name,
            cu_size=cu_size,
            collection_status=self.collection_status,
            restore_version=self.restore_version,
        )
        before = yield from all_clusters()
        for cluster in before.value:
            if _is_target(cluster, request):
                raise ZillizBadRequestError(
                    f"Cluster name {self.cluster_name!r} is taken in project {project_id}, by "
                    f"{cluster.cluster_id}. Give another cluster_name.",
                    unprocessed=True,
                )
        sent = yield from server_now(before)
        return RestoreClusterRecord(
            cluster_id=self.cluster_id, request=request.body(), first_sent=sent, answer_deadline=sent
        )

    def operation(self, record: RestoreClusterRecord) -> Operation[ClusterRestoration]:
        return restore_cluster(self.cluster_id, self.backup_id, _request(record))

    def started(self, record: RestoreClusterRecord, answer: ClusterRestoration) -> Flow[RestoreClusterRecord]:
        # First of all: the API shows the password only this once.
        is_kept = yield StoreSecret(answer.username, answer.password)
        if not answer.cluster_id:
            raise ZillizProtocolError("Zilliz Cloud accepted the restore but sent no cluster id.")
        return record.model_copy(
            update={
                "new_cluster_id": answer.cluster_id,
                "job_id": answer.job_id,
                "username": answer.username,
                "password_kept": is_kept,
            }
        )

    def search(self, record: RestoreClusterRecord) -> Flow[Findings[RestoreClusterRecord]]:
        listed = yield from all_clusters()
        request = _request(record)
        found = {
            cluster.cluster_id: Candidate(
                record.model_copy(update={"new_cluster_id": cluster.cluster_id, "adopted": True}),
                f"cluster {cluster.cluster_id} ({cluster.status or 'no status'}) named {self.cluster_name}",
                not cluster.is_running,
            )
            for cluster in listed.value
            if _is_target(cluster, request) and record.may_have_begun(cluster.create_time)
        }
        return Findings(list(found.values()), listed.server_time)

    def look_up(self, record: RestoreClusterRecord) -> Flow[Stage]:
        cluster = (yield from retrying(describe_cluster(record.new_cluster_id))).value
        if cluster.is_dropped:
            return Stage.GONE
        return Stage.FINISHED if cluster.is_running else Stage.CREATING


def _is_target(cluster: Cluster, request: RestoreClusterRequest) -> bool:
    """Tell whether a cluster has the name and the project that a restore asks for."""
    return (
        cluster.cluster_name == request.cluster_name
        and cluster.project_id in (request.project_id, "")
        and bool(cluster.cluster_id)
        and not cluster.is_dropped
    )


def _request(record: RestoreClusterRecord) -> RestoreClusterRequest:
    return RestoreClusterRequest.model_validate(record.request)
