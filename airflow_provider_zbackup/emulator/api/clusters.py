"""The operations that drop, suspend and resume clusters."""

from __future__ import annotations

from airflow_provider_zbackup.emulator.api.lookups import find_cluster, find_dedicated_cluster
from airflow_provider_zbackup.emulator.api.request import ApiRequest
from airflow_provider_zbackup.emulator.control_plane import ControlPlane
from airflow_provider_zbackup.emulator.errors import bad_request
from airflow_provider_zbackup.emulator.formats import Json


def drop_cluster(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/drop-cluster-v2

    A cluster that was dropped before is not found. This is a guess: it is not documented.
    """
    cluster = find_cluster(control_plane, request.path["cluster_id"])
    control_plane.set_cluster_status(cluster.cluster_id, "DELETED")
    prompt = "The cluster was deleted."
    if cluster.deployment_option != "Free":
        prompt = "The cluster was moved to the recycle bin. You can restore it for 30 days."
    return {"clusterId": cluster.cluster_id, "prompt": prompt}


def suspend_cluster(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/suspend-cluster-v2

    The error for a cluster that does not run is a guess, and so is the status ``STOPPED``.
    """
    cluster = find_dedicated_cluster(control_plane, request.path["cluster_id"])
    if cluster.status(control_plane.now()) != "RUNNING":
        raise bad_request("The cluster is not running.")
    control_plane.set_cluster_status(cluster.cluster_id, "STOPPED")
    return {"clusterId": cluster.cluster_id, "prompt": "The cluster was suspended. Its storage still costs."}


def resume_cluster(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/resume-cluster-v2

    The error for a cluster that is not suspended is a guess.
    """
    cluster = find_dedicated_cluster(control_plane, request.path["cluster_id"])
    now = control_plane.now()
    if cluster.status(now) != "STOPPED":
        raise bad_request("The cluster is not suspended.")
    control_plane.set_cluster_status(cluster.cluster_id, "RUNNING")
    cluster.resumed = now + control_plane.settings.job_seconds
    return {"clusterId": cluster.cluster_id, "prompt": "The cluster is being resumed. This takes minutes."}
