"""The operations that restore a backup or export its files."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace

from airflow_provider_zbackup.emulator.api.backups import restore_policies
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
from airflow_provider_zbackup.emulator.formats import Json, is_name, new_cluster_id
from airflow_provider_zbackup.emulator.records import (
    DEFAULT_DATABASE,
    Backup,
    Cluster,
    Collection,
    Export,
    hash_token,
)

_CLUSTER_NAME = re.compile(r"[A-Za-z0-9-]+")
Target = tuple[str, Collection]
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
    version = request.body.text("restoreVersionPolicy", default="")
    now = control_plane.now()
    if backup.status(now) != "AVAILABLE":
        raise documented_error(RESTORE_CLUSTER_FAILED, _NOT_AVAILABLE)
    if backup.backup_type != "CLUSTER":
        raise documented_error(RESTORE_CLUSTER_FAILED, "The backup does not hold a whole cluster.")
    if version and version not in restore_policies(control_plane, backup):
        raise documented_error(RESTORE_CLUSTER_FAILED, f"The backup does not offer {version}.")
    if backup.region_id not in project.region_ids:
        raise documented_error(
            RESTORE_CLUSTER_FAILED, f"{backup.region_id} is not bound to the target project."
        )
    if name in {cluster.cluster_name for cluster in control_plane.present_clusters(project.project_id)}:
        raise ApiError(CLUSTER_NAME_TAKEN, "The specified cluster name already exists.")
    cluster_id, username, password = new_cluster_id(), "db_admin", secrets.token_urlsafe(12)
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
            token_hash=hash_token(f"{username}:{password}"),
        )
    )
    # Only this answer shows the password: nothing keeps it.
    return {"clusterId": cluster_id, "username": username, "password": password, "jobId": job.job_id}


def restore_collection_backup(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/restore-collection-backup-v2

    The refusals of a name that exists, and of one that Milvus does not take, are guesses: they are not
    documented.
    """
    backup = _find_backup(control_plane, request)
    destination = find_dedicated_cluster(control_plane, request.body.text("destClusterId", default=""))
    entries = request.body.objects("dbCollections")
    wanted = [target for entry in entries for target in _targets(backup, entry)]
    if not entries:
        wanted = [target for database in backup.databases for target in _whole_database(backup, database)]
    now = control_plane.now()
    if backup.status(now) != "AVAILABLE":
        raise documented_error(RESTORE_COLLECTION_FAILED, _NOT_AVAILABLE)
    if destination.status(now) != "RUNNING":
        raise documented_error(RESTORE_COLLECTION_FAILED, "The destination cluster is not running.")
    taken = destination.taken_names(now)
    for database, collection in wanted:
        for name in (database or "default", collection.name):
            if not is_name(name):
                raise documented_error(
                    RESTORE_COLLECTION_FAILED,
                    f"Invalid name {name}: use letters, digits and underscores, and no digit first.",
                )
        if (database, collection.name) in taken:
            raise documented_error(
                RESTORE_COLLECTION_FAILED, f"Collection {collection.name} exists in the destination."
            )
        taken.add((database, collection.name))
    job = control_plane.start_collection_restore(destination, wanted)
    return {"jobId": job.job_id}


def export_backup_files(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/export-backup-files-v2

    The emulator writes no files, but ``ControlPlane.exports`` tells what was exported. The errors for a
    storage integration of another project and for one that is not active are guesses.
    """
    backup = _find_backup(control_plane, request)
    integration = control_plane.storage_integrations.get(request.body.text("integrationId"))
    directory = request.body.text("directory", default="")
    if integration is None or integration.project_id != backup.project_id:
        raise not_found("Storage integration not found.")
    if integration.status != "ACTIVE":
        raise bad_request("The storage integration is not active.")
    if backup.status(control_plane.now()) != "AVAILABLE":
        raise bad_request(_NOT_AVAILABLE)
    job = control_plane.start_job("EXPORT", backup.cluster_id, "export_backup_files")
    control_plane.exports.append(Export(backup, integration.integration_id, directory, job))
    return {"jobId": job.job_id}


def _find_backup(control_plane: ControlPlane, request: ApiRequest) -> Backup:
    return find_backup(control_plane, request.path["cluster_id"], request.path["backup_id"])


def _targets(backup: Backup, entry: Fields) -> list[Target]:
    """
    Return what an entry of ``dbCollections`` asks for.

    An entry without collections means the whole database, a collection without a destination keeps its
    database and name, and one without a status is not loaded. These are guesses: they are not documented.
    """
    database = database_name(entry.text("dbName", DEFAULT_DATABASE))
    destination = database_name(entry.text("destDbName", database))
    if database not in backup.databases:
        raise documented_error(RESTORE_COLLECTION_FAILED, f"Database {database} is not in the backup.")
    wanted = entry.objects("collections")
    if len(wanted) > 1:
        raise documented_error(RESTORE_COLLECTION_FAILED, "Only one collection can be restored at a time.")
    if not wanted:
        return [(destination, collection) for _, collection in _whole_database(backup, database)]
    name = wanted[0].text("collectionName")
    new_name = wanted[0].text("destCollectionName", name)
    status = wanted[0].text("destCollectionStatus", "UNLOADED")
    if status not in ("LOADED", "UNLOADED"):
        raise documented_error(96037)
    for collection in backup.databases[database]:
        if collection.name == name:
            return [(destination, replace(collection, name=new_name, status=status))]
    raise documented_error(RESTORE_COLLECTION_FAILED, f"Collection {name} is not in the backup.")


def _whole_database(backup: Backup, database: str) -> list[Target]:
    return [(database, replace(each, status="UNLOADED")) for each in backup.databases[database]]
