"""The operations that restore a backup or export its files."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace

from airflow_provider_zbackup.emulator.api.lookups import find_backup, find_dedicated_cluster, find_project
from airflow_provider_zbackup.emulator.api.request import ApiRequest, Fields
from airflow_provider_zbackup.emulator.control_plane import ControlPlane, database_name
from airflow_provider_zbackup.emulator.errors import (
    CLUSTER_NAME_TAKEN,
    RESTORE_CLUSTER_FAILED,
    RESTORE_COLLECTION_FAILED,
    ApiError,
    bad_request,
    documented_error,
    not_found,
)
from airflow_provider_zbackup.emulator.formats import Json, new_cluster_id
from airflow_provider_zbackup.emulator.records import DEFAULT_DATABASE, Backup, Cluster

_CLUSTER_NAME = re.compile(r"[A-Za-z0-9-]+")
_NOT_AVAILABLE = "The backup is not available."


def restore_cluster_backup(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/restore-cluster-backup-v2"""
    backup = _find_backup(control_plane, request)
    project = find_project(control_plane, request.body.text("projectId", default=""))
    name = request.body.text("clusterName", default="")
    if not _CLUSTER_NAME.fullmatch(name):
        raise documented_error(96010)
    cu_size = request.body.whole_number("cuSize", 1, 1024, 96002)
    collection_status = request.body.choice("collectionStatus", ("KEEP", "RELEASE"), documented_error(96031))
    if request.body.text("restoreVersionPolicy", default="LATEST") not in ("LATEST", "ORIGINAL"):
        raise documented_error(RESTORE_CLUSTER_FAILED, "Invalid restoreVersionPolicy.")
    now = control_plane.now()
    if backup.status(now) != "AVAILABLE":
        raise documented_error(RESTORE_CLUSTER_FAILED, _NOT_AVAILABLE)
    if backup.backup_type != "CLUSTER":
        raise documented_error(RESTORE_CLUSTER_FAILED, "The backup does not hold a whole cluster.")
    if backup.region_id not in project.region_ids:
        raise documented_error(
            RESTORE_CLUSTER_FAILED, f"{backup.region_id} is not bound to the target project."
        )
    if name in {cluster.cluster_name for cluster in control_plane.present_clusters(project.project_id)}:
        raise ApiError(CLUSTER_NAME_TAKEN, "The specified cluster name already exists.")
    cluster_id = new_cluster_id()
    job = control_plane.start_job("RESTORE", cluster_id, "restore_cluster_backup")
    control_plane.put_cluster(
        Cluster(
            cluster_id,
            name,
            project.project_id,
            created=now,
            region_id=backup.region_id,
            plan=project.plan,
            cu_size=cu_size,
            databases={
                database: [
                    collection if collection_status == "KEEP" else replace(collection, status="UNLOADED")
                    for collection in collections
                ]
                for database, collections in backup.databases.items()
            },
            restore=job,
        )
    )
    # Only this answer shows the password: nothing keeps it.
    return {
        "clusterId": cluster_id,
        "username": "db_admin",
        "password": secrets.token_urlsafe(12),
        "jobId": job.job_id,
    }


def restore_collection_backup(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/restore-collection-backup-v2

    Only the job is emulated: the destination gets no collection.
    """
    backup = _find_backup(control_plane, request)
    destination = find_dedicated_cluster(control_plane, request.body.text("destClusterId", default=""))
    for entry in request.body.objects("dbCollections"):
        _check_collections(backup, entry)
    now = control_plane.now()
    if backup.status(now) != "AVAILABLE":
        raise documented_error(RESTORE_COLLECTION_FAILED, _NOT_AVAILABLE)
    if destination.status(now) != "RUNNING":
        raise documented_error(RESTORE_COLLECTION_FAILED, "The destination cluster is not running.")
    return {
        "jobId": control_plane.start_job(
            "RESTORE", destination.cluster_id, "restore_collection_backup"
        ).job_id
    }


def export_backup_files(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/export-backup-files-v2

    Only the job is emulated: it writes no files.
    """
    backup = _find_backup(control_plane, request)
    integration_id = request.body.text("integrationId")
    request.body.text("directory", default="")
    if integration_id not in {
        integration["integrationId"] for integration in control_plane.storage_integrations
    }:
        raise not_found("Storage integration not found.")
    if backup.status(control_plane.now()) != "AVAILABLE":
        raise bad_request(_NOT_AVAILABLE)
    return {"jobId": control_plane.start_job("EXPORT", backup.cluster_id, "export_backup_files").job_id}


def _find_backup(control_plane: ControlPlane, request: ApiRequest) -> Backup:
    return find_backup(control_plane, request.path["cluster_id"], request.path["backup_id"])


def _check_collections(backup: Backup, entry: Fields) -> None:
    database = database_name(entry.text("dbName", DEFAULT_DATABASE))
    entry.text("destDbName", default="")
    if database not in backup.databases:
        raise documented_error(RESTORE_COLLECTION_FAILED, f"Database {database} is not in the backup.")
    wanted = entry.objects("collections")
    if len(wanted) > 1:
        raise documented_error(RESTORE_COLLECTION_FAILED, "Only one collection can be restored at a time.")
    for collection in wanted:
        name = collection.text("collectionName")
        collection.text("destCollectionName", default="")
        if collection.text("destCollectionStatus", default="LOADED") not in ("LOADED", "UNLOADED"):
            raise documented_error(96037)
        if name not in {present.name for present in backup.databases[database]}:
            raise documented_error(RESTORE_COLLECTION_FAILED, f"Collection {name} is not in the backup.")
