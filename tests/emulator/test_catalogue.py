from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_zbackup.emulator import ControlPlane, RunningEmulator, seed
from airflow_provider_zbackup.emulator.records import Cluster, Project, StorageIntegration
from tests.clock import VirtualClock
from tests.emulator.api import Api

CLUSTER = seed.DEDICATED_CLUSTER_ID
SUMMARY = {
    "clusterId": CLUSTER,
    "clusterName": "Dedicated-01",
    "description": "",
    "projectId": seed.PROJECT_ID,
    "regionId": "aws-us-west-2",
    "plan": "Enterprise",
    "deploymentOption": "Dedicated",
    "cuType": "Performance-optimized",
    "cuSize": 1,
    "status": "RUNNING",
    "privateLinkAddress": "",
    "createTime": "2024-07-01T08:00:00Z",
    "globalClusterMeta": None,
}


def test_list_clusters(api: Api, emulator: RunningEmulator) -> None:
    data = api.data("GET", "/clusters")

    assert {key: data[key] for key in ("count", "currentPage", "pageSize")} == {
        "count": 4,
        "currentPage": 1,
        "pageSize": 10,
    }
    address = f"{emulator.url}/_data/{CLUSTER}"
    assert data["clusters"][0] == SUMMARY | {"connectAddress": address}
    assert [(item["clusterId"], item["deploymentOption"]) for item in data["clusters"]] == [
        (CLUSTER, "Dedicated"),
        (seed.SECOND_DEDICATED_CLUSTER_ID, "Dedicated"),
        (seed.SERVERLESS_CLUSTER_ID, "Serverless"),
        (seed.FREE_CLUSTER_ID, "Free"),
    ]


def test_list_clusters_pages_and_filters_by_region(
    api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    elsewhere = Cluster("in01-5555", "Elsewhere", seed.PROJECT_ID, clock.time(), region_id="aws-us-east-1")
    control_plane.put_cluster(elsewhere)

    def names(**query: Any) -> list[str]:
        return [item["clusterName"] for item in api.data("GET", "/clusters", params=query)["clusters"]]

    assert names(region="aws-us-east-1") == ["Elsewhere"]
    assert names(pageSize=2, currentPage=3) == ["Elsewhere"]


@pytest.mark.parametrize(
    ("query", "code"),
    [({"pageSize": "0"}, 96008), ({"currentPage": "0"}, 96009), ({"region": "aws-mars-1"}, 96001)],
)
def test_list_clusters_refuses_wrong_queries(api: Api, query: dict[str, Any], code: int) -> None:
    assert api.error("GET", "/clusters", params=query)[0] == code


def test_describe_cluster(api: Api) -> None:
    api.create(CLUSTER)

    data = api.data("GET", f"/clusters/{CLUSTER}")

    assert data.pop("storageSize") > 0
    assert data.pop("connectAddress").endswith(f"/_data/{CLUSTER}")
    assert data == {**SUMMARY, "replica": 1, "snapshotNumber": 1, "createProgress": 100}


@pytest.mark.parametrize(("cluster_id", "code"), [("in01-000000000000000", 96018), ("Dedicated-01", 96036)])
def test_an_unknown_cluster_is_not_found(api: Api, cluster_id: str, code: int) -> None:
    assert api.error("GET", f"/clusters/{cluster_id}")[0] == code


def test_a_deleted_cluster_is_gone(api: Api, control_plane: ControlPlane) -> None:
    control_plane.set_cluster_status(CLUSTER, "DELETED")

    assert api.error("GET", f"/clusters/{CLUSTER}")[0] == 96018
    assert api.data("GET", "/clusters")["count"] == 3
    assert api.data("GET", f"/projects/{seed.PROJECT_ID}")["instanceCount"] == 3


def test_projects(api: Api) -> None:
    project = {
        "projectId": seed.PROJECT_ID,
        "projectName": "Default Project",
        "description": "",
        "instanceCount": 4,
        "createTime": "2024-07-01T08:00:00Z",
        "plan": "Enterprise",
        "regionIds": ["aws-us-west-2", "aws-us-east-1"],
        "orgType": "SAAS",
    }

    assert api.data("GET", "/projects") == [project]
    assert api.data("GET", f"/projects/{seed.PROJECT_ID}") == project
    assert api.error("GET", "/projects/proj-nowhere")[0] == 96005


def test_clouds_and_regions(api: Api) -> None:
    assert [cloud["cloudId"] for cloud in api.data("GET", "/clouds")] == ["aws", "gcp", "azure"]
    regions = api.data("GET", "/regions")
    assert {
        "cloudId": "aws",
        "regionId": "aws-us-west-2",
        "domain": "https://api.cloud.zilliz.com",
    } in regions
    azure = api.data("GET", "/regions", params={"cloudId": "azure"})
    assert {region["cloudId"] for region in azure} == {"azure"}
    assert api.error("GET", "/regions", params={"cloudId": "moon"})[0] == 96000


def test_storage_integrations(api: Api) -> None:
    data = api.data("GET", "/storageIntegrations", params={"projectId": seed.PROJECT_ID})

    assert (data["count"], data["currentPage"], data["pageSize"]) == (1, 1, 10)
    (integration,) = data["storageIntegrations"]
    assert integration["integrationId"] == seed.STORAGE_INTEGRATION_ID
    assert set(integration) == {"integrationId", "name", "status", "message", "regionId", "bucketName"}
    assert api.error("GET", "/storageIntegrations")[0] == 96005


def test_storage_integrations_belong_to_a_project(
    api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    control_plane.put_project(Project("proj-other", "Other", clock.time()))

    assert api.data("GET", "/storageIntegrations", params={"projectId": "proj-other"})["count"] == 0
    control_plane.put_storage_integration(StorageIntegration("integ-other", "other", "proj-other"))
    data = api.data("GET", "/storageIntegrations", params={"projectId": "proj-other"})
    assert [item["integrationId"] for item in data["storageIntegrations"]] == ["integ-other"]
