"""Find what the ids of a request name, or raise the documented error."""

from __future__ import annotations

import re
from collections.abc import Collection as Container

from airflow_provider_zbackup.emulator.control_plane import ControlPlane
from airflow_provider_zbackup.emulator.errors import documented_error, not_found
from airflow_provider_zbackup.emulator.records import Backup, Cluster, Project
from airflow_provider_zbackup.emulator.seed import cloud_of

_CLUSTER_ID = re.compile(r"in\d\d-[0-9a-z]+")


def find_project(control_plane: ControlPlane, project_id: str) -> Project:
    """Return a project, or raise 96005."""
    if project_id not in control_plane.projects:
        raise documented_error(96005)
    return control_plane.projects[project_id]


def find_cluster(control_plane: ControlPlane, cluster_id: str) -> Cluster:
    """Return a cluster, or raise 96018 for an unknown id, 96036 for a malformed id, 96025 for no id."""
    cluster = control_plane.clusters.get(cluster_id)
    if cluster is not None and cluster.settled_status != "DELETED":
        return cluster
    if not cluster_id:
        raise documented_error(96025)
    raise documented_error(96018 if _CLUSTER_ID.fullmatch(cluster_id) else 96036)


def find_dedicated_cluster(control_plane: ControlPlane, cluster_id: str) -> Cluster:
    """Return a cluster that can have backups, or raise 96021 for Free and 96022 for Serverless clusters."""
    cluster = find_cluster(control_plane, cluster_id)
    error_codes = {"Free": 96021, "Serverless": 96022}
    if cluster.deployment_option in error_codes:
        raise documented_error(error_codes[cluster.deployment_option])
    return cluster


def find_backup(
    control_plane: ControlPlane,
    cluster_id: str,
    backup_id: str,
    statuses: Container[str] = ("CREATING", "AVAILABLE"),
) -> Backup:
    """
    Return a backup, even when its cluster no longer exists.

    :param statuses: a backup with another status is not found.
    """
    now = control_plane.now()
    for backup in control_plane.backups.with_id(cluster_id, backup_id):
        if backup.status(now) in statuses:
            return backup
    find_dedicated_cluster(control_plane, cluster_id)
    raise not_found("Backup not found.")


def region_problem(project: Project, home_region_id: str, region_id: str) -> str | None:
    """
    Say why a copy in another region is impossible, or raise 96001 for an unknown region.

    :param home_region_id: the region of the cluster.
    :param region_id: the region for the copy.
    """
    if cloud_of(region_id) is None:
        raise documented_error(96001)
    if region_id == home_region_id:
        return f"{region_id} is the region of the cluster itself."
    if cloud_of(region_id) != cloud_of(home_region_id):
        return f"{region_id} belongs to another cloud provider than {home_region_id}."
    if region_id not in project.region_ids:
        return f"{region_id} is not bound to project {project.project_id}."
    return None
