"""The operations of the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_zbackup.emulator.api import (
    backups,
    catalogue,
    clusters,
    collections,
    jobs,
    policies,
    restores,
)
from airflow_provider_zbackup.emulator.api.request import ApiRequest
from airflow_provider_zbackup.emulator.control_plane import ControlPlane
from airflow_provider_zbackup.emulator.formats import Json


@dataclass(frozen=True)
class Operation:
    """
    One operation of the API.

    :param path: the path below ``/v2``.
    :param work: does the work and returns the ``data`` of the answer, or raises :class:`ApiError`.
    """

    method: str
    path: str
    work: Callable[[ControlPlane, ApiRequest], Json]

    @property
    def name(self) -> str:
        """The name in fault rules and in the request log."""
        return self.work.__name__


_BACKUPS = "/clusters/{cluster_id}/backups"
_BACKUP = _BACKUPS + "/{backup_id}"

# The policy comes before the single backup, because its path matches both.
CONTROL_OPERATIONS = (
    Operation("GET", "/backups", backups.list_backups),
    Operation("POST", _BACKUPS + "/create", backups.create_backup),
    Operation("GET", _BACKUPS + "/policy", policies.get_backup_policy),
    Operation("POST", _BACKUPS + "/policy", policies.set_backup_policy),
    Operation("GET", _BACKUP, backups.describe_backup),
    Operation("DELETE", _BACKUP, backups.delete_backup),
    Operation("POST", _BACKUP + "/restoreCluster", restores.restore_cluster_backup),
    Operation("POST", _BACKUP + "/restoreCollection", restores.restore_collection_backup),
    Operation("POST", _BACKUP + "/export", restores.export_backup_files),
    Operation("GET", "/jobs/{job_id}", jobs.describe_job),
    Operation("GET", "/clusters", catalogue.list_clusters),
    Operation("GET", "/clusters/{cluster_id}", catalogue.describe_cluster),
    Operation("DELETE", "/clusters/{cluster_id}/drop", clusters.drop_cluster),
    Operation("POST", "/clusters/{cluster_id}/suspend", clusters.suspend_cluster),
    Operation("POST", "/clusters/{cluster_id}/resume", clusters.resume_cluster),
    Operation("GET", "/projects", catalogue.list_projects),
    Operation("GET", "/projects/{project_id}", catalogue.describe_project),
    Operation("GET", "/clouds", catalogue.list_clouds),
    Operation("GET", "/regions", catalogue.list_regions),
    Operation("GET", "/storageIntegrations", catalogue.list_storage_integrations),
)

#: The operations of a cluster's data plane, below its address.
DATA_OPERATIONS = (
    Operation("POST", "/vectordb/databases/list", collections.list_databases),
    Operation("POST", "/vectordb/collections/list", collections.list_collections),
    Operation("POST", "/vectordb/collections/describe", collections.describe_collection),
    Operation("POST", "/vectordb/collections/get_stats", collections.get_collection_stats),
    Operation("POST", "/vectordb/collections/get_load_state", collections.get_load_state),
    Operation("POST", "/vectordb/collections/load", collections.load_collection),
    Operation("POST", "/vectordb/collections/release", collections.release_collection),
    Operation("POST", "/vectordb/indexes/list", collections.list_indexes),
    Operation("POST", "/vectordb/indexes/describe", collections.describe_index),
    Operation("POST", "/vectordb/entities/query", collections.query_entities),
    Operation("POST", "/vectordb/entities/search", collections.search_entities),
    Operation("POST", "/vectordb/entities/delete", collections.delete_entities),
)
OPERATIONS = CONTROL_OPERATIONS + DATA_OPERATIONS
