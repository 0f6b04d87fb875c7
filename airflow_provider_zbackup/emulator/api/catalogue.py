"""The operations that list and describe projects, clusters, regions and storage integrations."""

from __future__ import annotations

from airflow_provider_zbackup.emulator.api.lookups import find_cluster, find_project
from airflow_provider_zbackup.emulator.api.request import ApiRequest
from airflow_provider_zbackup.emulator.control_plane import ControlPlane
from airflow_provider_zbackup.emulator.errors import documented_error
from airflow_provider_zbackup.emulator.formats import Json, iso_time
from airflow_provider_zbackup.emulator.records import Cluster, Project
from airflow_provider_zbackup.emulator.seed import CLOUDS, REGIONS, cloud_of


def list_clusters(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/list-clusters-v2"""
    region_id = request.query.get("region")
    if region_id is not None and cloud_of(region_id) is None:
        raise documented_error(96001)
    wanted = [
        cluster for cluster in control_plane.present_clusters() if region_id in (None, cluster.region_id)
    ]
    paging, page = request.page_of(wanted)
    return {**paging, "clusters": [_summarize(control_plane, cluster) for cluster in page]}


def describe_cluster(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/describe-cluster-v2"""
    cluster = find_cluster(control_plane, request.path["cluster_id"])
    now = control_plane.now()
    return {
        **_summarize(control_plane, cluster),
        "replica": 1,
        "storageSize": sum(item.size for group in cluster.databases_at(now).values() for item in group),
        "snapshotNumber": len(control_plane.present_backups(cluster.cluster_id)),
        "createProgress": 100 if cluster.restore is None else cluster.restore.percent(now),
    }


def list_projects(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/list-projects-v2"""
    return [_describe_project(control_plane, project) for project in control_plane.projects.values()]


def describe_project(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """The same object as in https://docs.zilliz.com/reference/restful/list-projects-v2"""
    return _describe_project(control_plane, find_project(control_plane, request.path["project_id"]))


def list_clouds(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """The clouds for https://docs.zilliz.com/reference/restful/list-cloud-regions-v2"""
    return [{"cloudId": cloud_id, "description": name} for cloud_id, name in CLOUDS.items()]


def list_regions(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/list-cloud-regions-v2

    ``domain`` is the address of the real service, so a client must not use it here.
    """
    cloud_id = request.choice("cloudId", list(REGIONS), 96000)
    return [
        {"cloudId": cloud, "regionId": region_id, "domain": "https://api.cloud.zilliz.com"}
        for cloud, region_ids in REGIONS.items()
        for region_id in region_ids
        if cloud_id in (None, cloud)
    ]


def list_storage_integrations(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """The destinations for https://docs.zilliz.com/reference/restful/export-backup-files-v2"""
    project = find_project(control_plane, request.query.get("projectId", ""))
    paging, page = request.page_of(
        [
            integration
            for integration in control_plane.storage_integrations.values()
            if integration.project_id == project.project_id
        ]
    )
    return {
        **paging,
        "storageIntegrations": [
            {
                "integrationId": integration.integration_id,
                "name": integration.name,
                "status": integration.status,
                "message": integration.message,
                "regionId": integration.region_id,
                "bucketName": integration.bucket_name,
            }
            for integration in page
        ],
    }


def _summarize(control_plane: ControlPlane, cluster: Cluster) -> dict[str, Json]:
    return {
        "clusterId": cluster.cluster_id,
        "clusterName": cluster.cluster_name,
        "description": cluster.description,
        "projectId": cluster.project_id,
        "regionId": cluster.region_id,
        "plan": cluster.plan,
        "deploymentOption": cluster.deployment_option,
        "cuType": cluster.cu_type,
        "cuSize": cluster.cu_size,
        "status": cluster.status(control_plane.now()),
        "connectAddress": control_plane.connect_address(cluster),
        "privateLinkAddress": "",
        "createTime": iso_time(cluster.created),
        "globalClusterMeta": None,
    }


def _describe_project(control_plane: ControlPlane, project: Project) -> dict[str, Json]:
    return {
        "projectId": project.project_id,
        "projectName": project.project_name,
        "description": project.description,
        "instanceCount": len(control_plane.present_clusters(project.project_id)),
        "createTime": iso_time(project.created),
        "plan": project.plan,
        "regionIds": list(project.region_ids),
        "orgType": "SAAS",
    }
