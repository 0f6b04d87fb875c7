from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from airflow_provider_zbackup.emulator import ControlPlane, seed
from airflow_provider_zbackup.emulator.records import Cluster, Project
from tests.clock import VirtualClock
from tests.emulator.api import Api

CLUSTER = seed.DEDICATED_CLUSTER_ID
BACKUPS = f"/clusters/{CLUSTER}/backups"
CREATE = f"{BACKUPS}/create"


def collections(*names: str, database: str | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"collectionNames": list(names)}
    if database is not None:
        entry["dbName"] = database
    return {"backupType": "COLLECTION", "dbCollections": [entry]}


def test_create_answers_ids_and_a_name_in_the_documented_shapes(api: Api) -> None:
    created = api.create(CLUSTER)

    assert set(created) == {"backupId", "backupName", "jobId"}
    assert re.fullmatch(r"backup\d+_[0-9a-f]{15}", created["backupId"])
    assert re.fullmatch(r"job-[0-9a-z]{22}", created["jobId"])
    assert created["backupName"] == "Dedicated-01_backup1"


def test_names_count_per_cluster_and_per_collection(api: Api, clock: VirtualClock) -> None:
    names = []
    for body in ({}, {}, collections("medium_articles"), {}):
        names.append(api.create(CLUSTER, **body)["backupName"])
        clock.sleep(10)

    assert names == [
        "Dedicated-01_backup1",
        "Dedicated-01_backup2",
        "medium_articles_backup1",
        "Dedicated-01_backup3",
    ]


def test_a_cluster_backup_from_its_start_to_its_end(api: Api, clock: VirtualClock) -> None:
    created = api.create(CLUSTER)
    path = f"{BACKUPS}/{created['backupId']}"

    creating = api.data("GET", path)
    clock.sleep(10)
    available = api.data("GET", path)

    assert (creating["status"], creating["size"]) == ("CREATING", 0)
    articles = {"collectionName": "medium_articles", "description": "Sample collection", "status": "LOADED"}
    size = available.pop("size")
    by_database = {entry["dbName"]: entry["collections"] for entry in available.pop("dbCollections")}
    legacy = available.pop("collections")
    assert size > 0
    assert set(by_database) == {"", "sales"}
    assert articles in by_database[""]
    assert legacy == by_database[""] + by_database["sales"]
    assert available == {
        "clusterId": CLUSTER,
        "clusterName": "Dedicated-01",
        "projectId": seed.PROJECT_ID,
        "backupId": created["backupId"],
        "backupName": "Dedicated-01_backup1",
        "backupType": "CLUSTER",
        "creationMethod": "MANUAL",
        "status": "AVAILABLE",
        "regionId": "aws-us-west-2",
        "expireTime": "",
        "createTime": "2026-03-02T10:00:00Z",
        "restoreNewInstancePolicies": ["LATEST", "ORIGINAL"],
    }


@pytest.mark.parametrize(
    ("body", "database", "names"),
    [
        (collections("medium_articles"), "", ["medium_articles"]),
        (collections("medium_articles", "quick_setup"), "", ["medium_articles", "quick_setup"]),
        (collections("medium_articles", "medium_articles"), "", ["medium_articles"]),
        (collections("medium_articles", database="default"), "", ["medium_articles"]),
        (collections("orders", database="sales"), "sales", ["orders"]),
    ],
)
def test_a_collection_backup_holds_the_collections_asked_for(
    api: Api, body: dict[str, Any], database: str, names: list[str]
) -> None:
    created = api.create(CLUSTER, **body)

    backup = api.data("GET", f"{BACKUPS}/{created['backupId']}")

    assert backup["backupType"] == "COLLECTION"
    assert "restoreNewInstancePolicies" not in backup
    assert [collection["collectionName"] for collection in backup["collections"]] == names
    assert [entry["dbName"] for entry in backup["dbCollections"]] == [database]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 96029),
        ({"backupType": "cluster"}, 96029),
        ({"backupType": ["CLUSTER"]}, 96029),
        ({"backupType": "COLLECTION"}, 96038),
        ({"backupType": "COLLECTION", "dbCollections": []}, 96038),
        (collections(), 96038),
        (collections("nowhere"), 96038),
        (collections("orders"), 96038),
        (collections("medium_articles", database="nowhere"), 96038),
        ({"backupType": "COLLECTION", "dbCollections": "medium_articles"}, 400),
        ({"backupType": "COLLECTION", "dbCollections": [{"collectionNames": [1]}]}, 400),
        ({"backupType": "CLUSTER", "crossRegionCopies": [{"regionId": "aws-mars-1"}]}, 96001),
        ({"backupType": "CLUSTER", "crossRegionCopies": [{"regionId": "aws-us-west-2"}]}, 96038),
        ({"backupType": "CLUSTER", "crossRegionCopies": [{"regionId": "aws-eu-central-1"}]}, 96038),
        ({"backupType": "CLUSTER", "crossRegionCopies": [{"regionId": "gcp-us-west1"}]}, 96038),
        ({"backupType": "CLUSTER", "crossRegionCopies": [{}]}, 400),
    ],
)
def test_create_refuses_a_wrong_body(
    api: Api, control_plane: ControlPlane, body: dict[str, Any], code: int
) -> None:
    assert api.error("POST", CREATE, json=body)[0] == code
    assert not control_plane.backups


def test_create_refuses_collections_of_two_databases(api: Api) -> None:
    entries = [
        {"collectionNames": ["medium_articles"]},
        {"dbName": "sales", "collectionNames": ["orders"]},
    ]

    code, message = api.error("POST", CREATE, json={"backupType": "COLLECTION", "dbCollections": entries})

    assert (code, message) == (
        96038,
        "Failed to create backup. All collections must belong to the same database.",
    )


def test_an_unknown_collection_is_named_in_the_error(api: Api) -> None:
    code, message = api.error("POST", CREATE, json=collections("nowhere"))

    assert (code, message) == (96038, "Failed to create backup. Collection nowhere does not exist.")


@pytest.mark.parametrize(
    ("cluster_id", "code", "message"),
    [
        (seed.FREE_CLUSTER_ID, 96021, "Free cluster does not support this operation."),
        (seed.SERVERLESS_CLUSTER_ID, 96022, "Serverless cluster does not support this operation."),
        (
            "in01-000000000000000",
            96018,
            "Cluster not found. Please use the ListClusters API to obtain your scoped clusters.",
        ),
        ("Dedicated-01", 96036, "Invalid clusterId."),
    ],
)
def test_create_refuses_clusters_that_cannot_have_backups(
    api: Api, cluster_id: str, code: int, message: str
) -> None:
    path = f"/clusters/{cluster_id}/backups/create"

    assert api.error("POST", path, json={"backupType": "CLUSTER"}) == (code, message)


def test_a_suspended_cluster_refuses_backups(api: Api, control_plane: ControlPlane) -> None:
    control_plane.set_cluster_status(CLUSTER, "STOPPED")

    code, message = api.error("POST", CREATE, json={"backupType": "CLUSTER"})

    assert (code, message) == (96038, "Failed to create backup. The cluster is not running.")


def test_copies_need_more_than_the_standard_plan(
    api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    control_plane.put_cluster(
        Cluster("in01-5555", "Standard-01", seed.PROJECT_ID, clock.time(), plan="Standard")
    )
    body = {"backupType": "CLUSTER", "crossRegionCopies": [{"regionId": "aws-us-east-1"}]}

    code, message = api.error("POST", "/clusters/in01-5555/backups/create", json=body)

    assert (code, message) == (96028, "Feature only supported for enterprise plan clusters.")


def test_a_copy_follows_the_backup_as_one_more_backup_in_its_region(api: Api, clock: VirtualClock) -> None:
    home = api.create(CLUSTER, crossRegionCopies=[{"regionId": "aws-us-east-1"}])
    while_home_runs = api.listed()
    clock.sleep(10)
    while_copy_runs = {item["backupId"]: item["status"] for item in api.listed()}
    clock.sleep(10)
    in_the_end = api.listed()

    assert [item["backupId"] for item in while_home_runs] == [home["backupId"]]
    assert while_copy_runs.pop(home["backupId"]) == "AVAILABLE"
    assert list(while_copy_runs.values()) == ["CREATING"]
    (copy_id,) = while_copy_runs
    assert [item["status"] for item in in_the_end] == ["AVAILABLE", "AVAILABLE"]
    copy = api.data("GET", f"{BACKUPS}/{copy_id}")
    assert (copy["regionId"], copy["backupType"]) == ("aws-us-east-1", "CLUSTER")
    assert copy["createTime"] == "2026-03-02T10:00:10Z"


def test_a_copy_can_have_the_same_id_as_the_backup(
    api: Api, visitor: httpx.Client, clock: VirtualClock
) -> None:
    visitor.patch("/_emulator/settings", json={"copies_listed": "same_id"}).raise_for_status()
    home = api.create(CLUSTER, crossRegionCopies=[{"regionId": "aws-us-east-1"}])["backupId"]
    clock.sleep(20)

    assert [item["backupId"] for item in api.listed()] == [home, home]
    assert api.data("GET", f"{BACKUPS}/{home}")["regionId"] == "aws-us-west-2"
    api.data("DELETE", f"{BACKUPS}/{home}")
    assert [item["createTime"] for item in api.listed()] == ["2026-03-02T10:00:10Z"]


def test_copies_may_not_be_listed_at_all(api: Api, visitor: httpx.Client, clock: VirtualClock) -> None:
    visitor.patch("/_emulator/settings", json={"copies_listed": "not_listed"}).raise_for_status()
    home = api.create(CLUSTER, crossRegionCopies=[{"regionId": "aws-us-east-1"}])["backupId"]
    clock.sleep(20)

    assert [item["backupId"] for item in api.listed()] == [home]
    copy = visitor.get("/_emulator/state").json()["backups"][1]
    described = api.data("GET", f"{BACKUPS}/{copy['backupId']}")
    assert (described["regionId"], described["status"]) == ("aws-us-east-1", "AVAILABLE")


def test_there_is_no_copy_of_a_backup_that_fails(
    api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    control_plane.faults.add("create_backup", job={"status": "FAILED"})
    api.create(CLUSTER, crossRegionCopies=[{"regionId": "aws-us-east-1"}])
    clock.sleep(100)

    assert api.listed() == []


def test_a_copy_can_fail_by_itself(api: Api, control_plane: ControlPlane, clock: VirtualClock) -> None:
    control_plane.faults.add("copy_backup", job={"status": "FAILED"})
    home = api.create(CLUSTER, crossRegionCopies=[{"regionId": "aws-us-east-1"}])
    clock.sleep(100)

    assert [item["backupId"] for item in api.listed()] == [home["backupId"]]


def test_list_shows_running_and_finished_backups_newest_first(api: Api, clock: VirtualClock) -> None:
    first = api.create(CLUSTER)
    clock.sleep(60)
    second = api.create(CLUSTER)

    items = api.listed()

    assert [(item["backupId"], item["status"]) for item in items] == [
        (second["backupId"], "CREATING"),
        (first["backupId"], "AVAILABLE"),
    ]
    assert set(items[0]) == {
        "projectId",
        "backupId",
        "backupName",
        "backupType",
        "creationMethod",
        "size",
        "expireTime",
        "clusterId",
        "clusterName",
        "createTime",
        "status",
        "restoreNewInstancePolicies",
    }


def test_list_pages(api: Api, clock: VirtualClock) -> None:
    for _ in range(12):
        api.create(CLUSTER)
        clock.sleep(10)

    first = api.data("GET", "/backups")
    second = api.data("GET", "/backups", params={"currentPage": 2})
    beyond = api.data("GET", "/backups", params={"currentPage": 3})

    assert {key: first[key] for key in ("count", "currentPage", "pageSize")} == {
        "count": 12,
        "currentPage": 1,
        "pageSize": 10,
    }
    assert [len(page["backups"]) for page in (first, second, beyond)] == [10, 2, 0]
    assert len({item["backupId"] for page in (first, second) for item in page["backups"]}) == 12


@pytest.fixture
def variety(api: Api, control_plane: ControlPlane, clock: VirtualClock) -> None:
    """A cluster and a collection backup of one cluster, an automatic one of another, in this order."""
    api.create(CLUSTER)
    clock.sleep(60)
    api.create(CLUSTER, **collections("medium_articles"))
    clock.sleep(60)
    control_plane.start_backup(
        control_plane.clusters[seed.SECOND_DEDICATED_CLUSTER_ID],
        operation="automatic_backup",
        creation_method="AUTO",
        retention_days=7,
    )


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["Dedicated-02_backup1", "medium_articles_backup1", "Dedicated-01_backup1"]),
        ({"clusterId": CLUSTER}, ["medium_articles_backup1", "Dedicated-01_backup1"]),
        ({"clusterId": "in01-000000000000000"}, []),
        ({"clusterId": CLUSTER, "creationMethod": "AUTO"}, []),
        ({"creationMethod": "AUTO"}, ["Dedicated-02_backup1"]),
        ({"creationMethod": "MANUAL"}, ["medium_articles_backup1", "Dedicated-01_backup1"]),
        ({"backupType": "COLLECTION"}, ["medium_articles_backup1"]),
        ({"backupType": "CLUSTER"}, ["Dedicated-02_backup1", "Dedicated-01_backup1"]),
        ({"start": "2026-03-02T10:01:00Z"}, ["Dedicated-02_backup1", "medium_articles_backup1"]),
        ({"start": "2026-03-02T10:00:30Z", "end": "2026-03-02T10:01:30Z"}, ["medium_articles_backup1"]),
    ],
)
def test_list_filters(api: Api, variety: None, query: dict[str, Any], names: list[str]) -> None:
    assert [item["backupName"] for item in api.listed(**query)] == names


def test_list_filters_by_project(
    api: Api, variety: None, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    control_plane.put_project(Project("proj-other", "Other", clock.time()))

    assert len(api.listed(projectId=seed.PROJECT_ID)) == 3
    assert api.listed(projectId="proj-other") == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"pageSize": "0"}, 96008),
        ({"pageSize": "101"}, 96008),
        ({"pageSize": "ten"}, 96008),
        ({"pageSize": ""}, 96008),
        ({"currentPage": "0"}, 96009),
        ({"currentPage": "-1"}, 96009),
        ({"currentPage": "99999999999999"}, 96009),
        ({"creationMethod": "manual"}, 96030),
        ({"backupType": "DATABASE"}, 96029),
        ({"projectId": "proj-nowhere"}, 96005),
        ({"start": "yesterday"}, 96007),
        ({"end": "2026-03-02"}, 96007),
        ({"start": "2026-03-02T10:00:01Z", "end": "2026-03-02T10:00:00Z"}, 96035),
    ],
)
def test_list_refuses_wrong_queries(api: Api, query: dict[str, Any], code: int) -> None:
    assert api.error("GET", "/backups", params=query)[0] == code


def test_delete_is_at_once_and_for_good(api: Api, clock: VirtualClock) -> None:
    created = api.create(CLUSTER)
    clock.sleep(10)
    path = f"{BACKUPS}/{created['backupId']}"

    assert api.data("DELETE", path) == {
        "backupId": created["backupId"],
        "backupName": "Dedicated-01_backup1",
    }
    assert api.listed() == []
    assert api.data("GET", path)["status"] == "DELETED"
    assert api.error("DELETE", path) == (404, "Backup not found.")


def test_a_running_backup_is_not_deleted(api: Api) -> None:
    created = api.create(CLUSTER)

    assert api.error("DELETE", f"{BACKUPS}/{created['backupId']}")[0] == 400
    assert [item["backupId"] for item in api.listed()] == [created["backupId"]]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_backup_is_not_found(api: Api, method: str) -> None:
    assert api.error(method, f"{BACKUPS}/backup0_000000000000000") == (404, "Backup not found.")


def test_a_backup_is_found_only_under_its_own_cluster(api: Api) -> None:
    created = api.create(CLUSTER)
    path = f"/clusters/{seed.SECOND_DEDICATED_CLUSTER_ID}/backups/{created['backupId']}"

    assert api.error("GET", path)[0] == 404


def test_manual_backups_outlive_their_cluster_and_automatic_ones_do_not(
    api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    manual = api.create(CLUSTER)
    control_plane.start_backup(
        control_plane.clusters[CLUSTER], operation="automatic_backup", creation_method="AUTO"
    )
    clock.sleep(10)
    control_plane.set_cluster_status(CLUSTER, "DELETED")

    assert [item["backupId"] for item in api.listed(clusterId=CLUSTER)] == [manual["backupId"]]
    assert api.data("GET", f"{BACKUPS}/{manual['backupId']}")["status"] == "AVAILABLE"
    assert api.error("POST", CREATE, json={"backupType": "CLUSTER"})[0] == 96018
    assert api.data("DELETE", f"{BACKUPS}/{manual['backupId']}")["backupId"] == manual["backupId"]
