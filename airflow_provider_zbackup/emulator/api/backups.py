"""The operations that create, describe, list and delete backups."""

from __future__ import annotations

import math
from typing import get_args

from airflow_provider_zbackup.emulator.api.lookups import (
    find_backup,
    find_dedicated_cluster,
    find_project,
    region_problem,
)
from airflow_provider_zbackup.emulator.api.request import ApiRequest, Fields
from airflow_provider_zbackup.emulator.control_plane import ControlPlane, database_name
from airflow_provider_zbackup.emulator.errors import CREATE_FAILED, ApiError, bad_request, documented_error
from airflow_provider_zbackup.emulator.formats import DAY, Json, iso_time, parse_time
from airflow_provider_zbackup.emulator.records import (
    DEFAULT_DATABASE,
    Backup,
    Cluster,
    Collection,
    CreationMethod,
    Databases,
    RegionCopy,
)

BACKUP_TYPES = ("CLUSTER", "COLLECTION")
CREATION_METHODS = get_args(CreationMethod)
_ALWAYS = (-math.inf, math.inf)


def create_backup(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/create-backup-v2"""
    cluster = find_dedicated_cluster(control_plane, request.path["cluster_id"])
    backup_type = request.body.choice("backupType", BACKUP_TYPES, documented_error(96029))
    databases = (
        _wanted_collections(control_plane, cluster, request.body) if backup_type == "COLLECTION" else None
    )
    copies = [
        _wanted_copy(control_plane, cluster, entry.text("regionId"))
        for entry in request.body.objects("crossRegionCopies")
    ]
    # The documentation says that a suspended cluster accepts no action. It does not mention backups.
    if cluster.status(control_plane.now()) != "RUNNING":
        raise documented_error(CREATE_FAILED, "The cluster is not running.")
    conflicting = control_plane.conflicting_backup(cluster)
    if conflicting is not None:
        detail = f"Another backup is in progress: {conflicting.backup_name}."
        raise ApiError(
            control_plane.settings.conflict_code,
            control_plane.settings.conflict_message.replace("{}", detail),
        )
    backup = control_plane.start_backup(
        cluster, operation="create_backup", backup_type=backup_type, databases=databases, copies=copies
    )
    return {"backupId": backup.backup_id, "backupName": backup.backup_name, "jobId": backup.job.job_id}


def describe_backup(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/describe-backup-v2"""
    every_status = ("CREATING", "AVAILABLE", "DELETED")
    backup = find_backup(control_plane, request.path["cluster_id"], request.path["backup_id"], every_status)
    return describe(control_plane, backup)


def list_backups(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/list-backups-v2

    Newest first is a guess: the order is not documented. An unknown cluster id is no error, because backups
    may outlive their cluster.
    """
    now = control_plane.now()
    filters = {
        "project_id": request.query.get("projectId"),
        "creation_method": request.choice("creationMethod", CREATION_METHODS, 96030),
        "backup_type": request.choice("backupType", BACKUP_TYPES, 96029),
    }
    start, end = _time_range(request)
    if filters["project_id"] is not None:
        find_project(control_plane, filters["project_id"])
    wanted = control_plane.present_backups(request.query.get("clusterId"))
    # Only what is asked for costs time: there may be 10,000 backups.
    for name, value in filters.items():
        if value is not None:
            wanted = [backup for backup in wanted if getattr(backup, name) == value]
    if (start, end) != _ALWAYS:
        wanted = [backup for backup in wanted if start <= math.floor(backup.created) <= end]
    if control_plane.settings.copies_listed == "not_listed":
        wanted = [backup for backup in wanted if backup.copy_of is None]
    if control_plane.settings.list_lag:
        latest = now - control_plane.settings.list_lag
        wanted = [backup for backup in wanted if backup.created <= latest]
    paging, page = request.page_of(wanted)
    return {**paging, "backups": [summarize(control_plane, backup) for backup in page]}


def delete_backup(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/delete-backup-v2

    The error for a running backup is a guess: it is not documented. Copies in other regions stay.
    """
    backup = find_backup(control_plane, request.path["cluster_id"], request.path["backup_id"])
    if backup.status(control_plane.now()) == "CREATING":
        raise bad_request("The backup is being created.")
    control_plane.backups.delete(backup)
    return {"backupId": backup.backup_id, "backupName": backup.backup_name}


def restore_policies(control_plane: ControlPlane, backup: Backup) -> list[str]:
    """Return the versions in which a cluster backup can be restored. Only young ones offer a choice."""
    young = control_plane.now() < backup.created + 30 * DAY
    return [policy for policy in control_plane.settings.restore_policies if young or policy == "LATEST"]


def summarize(control_plane: ControlPlane, backup: Backup) -> dict[str, Json]:
    """Return a backup as List Backups shows it."""
    now = control_plane.now()
    answer: dict[str, Json] = {
        "projectId": backup.project_id,
        "backupId": backup.backup_id,
        "backupName": backup.backup_name,
        "backupType": backup.backup_type,
        "creationMethod": backup.creation_method,
        "status": backup.status(now),
        "size": backup.size(now),
        "expireTime": "" if backup.expires is None else iso_time(backup.expires),
        "clusterId": backup.cluster_id,
        "clusterName": backup.cluster_name,
        "createTime": iso_time(backup.created),
    }
    if backup.backup_type == "CLUSTER":
        answer["restoreNewInstancePolicies"] = restore_policies(control_plane, backup)
    return answer


def describe(control_plane: ControlPlane, backup: Backup) -> dict[str, Json]:
    """Return a backup as Describe Backup shows it. ``collections`` is the older form of ``dbCollections``."""
    return {
        **summarize(control_plane, backup),
        "regionId": backup.region_id,
        "collections": [_describe_collection(collection) for collection in backup.collections],
        "dbCollections": [
            {
                "dbName": database,
                "collections": [_describe_collection(collection) for collection in collections],
            }
            for database, collections in backup.databases.items()
        ],
    }


def _describe_collection(collection: Collection) -> dict[str, Json]:
    return {
        "collectionName": collection.name,
        "description": collection.description,
        "status": collection.status,
    }


def _wanted_collections(control_plane: ControlPlane, cluster: Cluster, body: Fields) -> Databases:
    wanted = [
        (database_name(entry.text("dbName", DEFAULT_DATABASE)), name)
        for entry in body.objects("dbCollections")
        for name in entry.texts("collectionNames")
    ]
    if not wanted:
        raise documented_error(CREATE_FAILED, "No collections were specified.")
    databases = {database for database, _ in wanted}
    if len(databases) > 1:
        raise documented_error(CREATE_FAILED, "All collections must belong to the same database.")
    database = databases.pop()
    databases_now = cluster.databases_at(control_plane.now())
    present = {collection.name: collection for collection in databases_now.get(database, ())}
    for _, name in wanted:
        if name not in present:
            raise documented_error(CREATE_FAILED, f"Collection {name} does not exist.")
    return {database: [present[name] for name in dict.fromkeys(name for _, name in wanted)]}


def _wanted_copy(control_plane: ControlPlane, cluster: Cluster, region_id: str) -> RegionCopy:
    project = control_plane.projects[cluster.project_id]
    # The documents disagree about the plans with copies. But none of them allows copies in Standard.
    if cluster.plan == "Standard":
        raise documented_error(96028)
    problem = region_problem(project, cluster.region_id, region_id)
    if problem is not None:
        raise documented_error(CREATE_FAILED, problem)
    return RegionCopy(region_id)


def _time_range(request: ApiRequest) -> tuple[float, float]:
    limits = []
    for name, default in zip(("start", "end"), _ALWAYS, strict=True):
        try:
            limits.append(parse_time(request.query[name]) if name in request.query else default)
        except ValueError:
            raise documented_error(96007) from None
    start, end = limits
    if start > end:
        raise documented_error(96035)
    return start, end
