"""Each endpoint of the API as an immutable value: the request, the type of the answer, whether to retry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter

from airflow_provider_zbackup.zilliz.errors import ZillizBadRequestError, ZillizError, classify
from airflow_provider_zbackup.zilliz.models import (
    Backup,
    BackupCreation,
    BackupDeletion,
    BackupPage,
    BackupPolicy,
    Cluster,
    ClusterDrop,
    ClusterPage,
    ClusterRestoration,
    Job,
    Project,
    Region,
    StartedJob,
    StorageIntegrationPage,
)
from airflow_provider_zbackup.zilliz.requests import (
    CreateBackupRequest,
    ExportBackupRequest,
    Request,
    RestoreClusterRequest,
    RestoreCollectionsRequest,
    SetBackupPolicyRequest,
)

T = TypeVar("T")

#: The largest page that the API gives.
PAGE_SIZE = 100


@dataclass(frozen=True)
class Operation(Generic[T]):
    """
    One call of the API.

    :param name: the call in words, such as ``describe job``
    :param subject: what the call is about, for logs and errors
    :param path: below the base URL, quoted
    :param answer: type of the answer's ``data``
    :param answer_id: name and value that an id in the answer must have
    :param idempotent: whether sending it twice does no harm
    :param max_age: how old a shared answer may be, in seconds
    """

    name: str
    subject: str
    method: str
    path: str
    answer: type[T]
    query: tuple[tuple[str, str], ...] = ()
    request: Request | None = None
    answer_id: tuple[str, str] | None = None
    idempotent: bool = True
    max_age: float = field(default=0.0, compare=False)
    #: Base URL of the cluster whose data plane it calls; empty for the control plane.
    address: str = field(default="", kw_only=True)
    #: What it sends beside the headers of every call.
    headers: ClassVar[Mapping[str, str]] = {}

    def __str__(self) -> str:
        return f"{self.name} {self.subject}".rstrip()

    def accept_cached(self, max_age: float) -> Operation[T]:
        """Return the operation, allowed to share an answer up to that age."""
        return replace(self, max_age=max_age)

    def read(self, data: Any) -> T:
        """Return the answer's ``data`` as its type; raises ``pydantic.ValidationError``."""
        reader: TypeAdapter[T] = _reader(self.answer)  # type: ignore[arg-type]
        return reader.validate_python(data)

    def classify(self, http_status: int, code: int) -> type[ZillizError]:
        """Return the class of the error that an answer means; see :func:`.errors.classify`."""
        return classify(http_status, code)

    def is_answered_by(self, answer: T) -> bool:
        """Tell whether an answer has the id that was asked for; an answer without an id passes."""
        if self.answer_id is None:
            return True
        name, value = self.answer_id
        return getattr(answer, name) in ("", value)


@cache
def _reader(answer: Any) -> TypeAdapter[Any]:
    return TypeAdapter(answer)


def _path(*parts: str) -> str:
    """Join path segments. Ids come from users, so each is quoted, and ``..`` is refused."""
    segments = [quote(part, safe="") for part in parts]
    if any(segment in ("", ".", "..") for segment in segments):
        raise ZillizBadRequestError(f"Unusable id in {'/'.join(segments)!r}.", unprocessed=True)
    return "/v2/" + "/".join(segments)


def _backup_path(cluster_id: str, backup_id: str, *rest: str) -> str:
    if backup_id in ("policy", "create"):
        # These paths lead elsewhere.
        raise ZillizBadRequestError(f"Unusable backup id {backup_id!r}.", unprocessed=True)
    return _path("clusters", cluster_id, "backups", backup_id, *rest)


def _query(**values: str | int | None) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in values.items() if value is not None)


def create_backup(cluster_id: str, request: CreateBackupRequest) -> Operation[BackupCreation]:
    """https://docs.zilliz.com/reference/restful/create-backup-v2 - has no idempotency key."""
    what = f"of cluster {cluster_id}"
    if request.db_collections:
        databases = ", ".join(item.db_name or "default" for item in request.db_collections)
        what = f"of collections in database {databases} {what}"
    if request.cross_region_copies:
        what += f" with copies in {', '.join(copy.region_id for copy in request.cross_region_copies)}"
    return Operation(
        "create backup",
        what,
        "POST",
        _path("clusters", cluster_id, "backups", "create"),
        BackupCreation,
        request=request,
        idempotent=False,
    )


def describe_backup(cluster_id: str, backup_id: str) -> Operation[Backup]:
    """https://docs.zilliz.com/reference/restful/describe-backup-v2"""
    return Operation(
        "describe backup",
        f"{backup_id} of cluster {cluster_id}",
        "GET",
        _backup_path(cluster_id, backup_id),
        Backup,
        answer_id=("backup_id", backup_id),
    )


def delete_backup(cluster_id: str, backup_id: str) -> Operation[BackupDeletion]:
    """https://docs.zilliz.com/reference/restful/delete-backup-v2 - cannot be undone."""
    return Operation(
        "delete backup",
        f"{backup_id} of cluster {cluster_id}",
        "DELETE",
        _backup_path(cluster_id, backup_id),
        BackupDeletion,
        answer_id=("backup_id", backup_id),
    )


def restore_cluster(
    cluster_id: str, backup_id: str, request: RestoreClusterRequest
) -> Operation[ClusterRestoration]:
    """https://docs.zilliz.com/reference/restful/restore-cluster-backup-v2 - makes a new cluster each time."""
    return Operation(
        "restore cluster",
        f"from backup {backup_id} of cluster {cluster_id}",
        "POST",
        _backup_path(cluster_id, backup_id, "restoreCluster"),
        ClusterRestoration,
        request=request,
        idempotent=False,
    )


def restore_collections(
    cluster_id: str, backup_id: str, request: RestoreCollectionsRequest
) -> Operation[StartedJob]:
    """https://docs.zilliz.com/reference/restful/restore-collection-backup-v2 - has no idempotency key."""
    names = ", ".join(
        item.collection_name for database in request.db_collections or () for item in database.collections
    )
    return Operation(
        "restore collections",
        f"{names or 'all'} from backup {backup_id} of cluster {cluster_id} into {request.dest_cluster_id}",
        "POST",
        _backup_path(cluster_id, backup_id, "restoreCollection"),
        StartedJob,
        request=request,
        idempotent=False,
    )


def export_backup(cluster_id: str, backup_id: str, request: ExportBackupRequest) -> Operation[StartedJob]:
    """https://docs.zilliz.com/reference/restful/export-backup-files-v2 - has no idempotency key."""
    return Operation(
        "export backup",
        f"{backup_id} of cluster {cluster_id} to {request.integration_id}",
        "POST",
        _backup_path(cluster_id, backup_id, "export"),
        StartedJob,
        request=request,
        idempotent=False,
    )


def list_storage_integrations(*, project_id: str, page: int = 1) -> Operation[StorageIntegrationPage]:
    """List the places to which backups of a project can be exported."""
    query = _query(projectId=project_id, pageSize=PAGE_SIZE, currentPage=page)
    return Operation(
        "list storage integrations",
        f"of project {project_id}",
        "GET",
        _path("storageIntegrations"),
        StorageIntegrationPage,
        query,
    )


def list_backups(
    *,
    project_id: str | None = None,
    cluster_id: str | None = None,
    page: int = 1,
) -> Operation[BackupPage]:
    """https://docs.zilliz.com/reference/restful/list-backups-v2"""
    query = _query(
        projectId=project_id,
        clusterId=cluster_id,
        pageSize=PAGE_SIZE,
        currentPage=page,
    )
    subject = f"of cluster {cluster_id}" if cluster_id else f"of project {project_id}" if project_id else ""
    return Operation("list backups", subject, "GET", _path("backups"), BackupPage, query)


def get_backup_policy(cluster_id: str) -> Operation[BackupPolicy]:
    """https://docs.zilliz.com/reference/restful/get-backup-policy-v2"""
    return Operation(
        "get backup policy",
        f"of cluster {cluster_id}",
        "GET",
        _path("clusters", cluster_id, "backups", "policy"),
        BackupPolicy,
        answer_id=("cluster_id", cluster_id),
    )


def set_backup_policy(cluster_id: str, request: SetBackupPolicyRequest) -> Operation[BackupPolicy]:
    """https://docs.zilliz.com/reference/restful/set-backup-policy-v2 - enabling starts a backup each time."""
    return Operation(
        "set backup policy",
        f"of cluster {cluster_id}",
        "POST",
        _path("clusters", cluster_id, "backups", "policy"),
        BackupPolicy,
        request=request,
        answer_id=("cluster_id", cluster_id),
        idempotent=False,
    )


def describe_job(job_id: str) -> Operation[Job]:
    """https://docs.zilliz.com/reference/restful/describe-job-v2"""
    return Operation("describe job", job_id, "GET", _path("jobs", job_id), Job, answer_id=("job_id", job_id))


def list_clusters(*, page: int = 1) -> Operation[ClusterPage]:
    """https://docs.zilliz.com/reference/restful/list-clusters-v2"""
    query = _query(pageSize=PAGE_SIZE, currentPage=page)
    return Operation("list clusters", "", "GET", _path("clusters"), ClusterPage, query)


def describe_cluster(cluster_id: str) -> Operation[Cluster]:
    """https://docs.zilliz.com/reference/restful/describe-cluster-v2"""
    return Operation(
        "describe cluster",
        cluster_id,
        "GET",
        _path("clusters", cluster_id),
        Cluster,
        answer_id=("cluster_id", cluster_id),
    )


def drop_cluster(cluster_id: str) -> Operation[ClusterDrop]:
    """https://docs.zilliz.com/reference/restful/drop-cluster-v2 - what a second one answers is unknown."""
    return Operation(
        "drop cluster",
        cluster_id,
        "DELETE",
        _path("clusters", cluster_id, "drop"),
        ClusterDrop,
        answer_id=("cluster_id", cluster_id),
        idempotent=False,
    )


def list_projects() -> Operation[list[Project]]:
    """https://docs.zilliz.com/reference/restful/list-projects-v2 - has no pages."""
    return Operation("list projects", "", "GET", _path("projects"), list[Project])


def list_regions() -> Operation[list[Region]]:
    """https://docs.zilliz.com/reference/restful/list-cloud-regions-v2 - has no pages."""
    return Operation("list regions", "", "GET", _path("regions"), list[Region])
