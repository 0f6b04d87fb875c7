from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_provider_zbackup.emulator import ControlPlane, seed
from airflow_provider_zbackup.emulator.records import Project
from tests.clock import VirtualClock
from tests.emulator.api import Api

CLUSTER = seed.DEDICATED_CLUSTER_ID
TARGET = {
    "projectId": seed.PROJECT_ID,
    "clusterName": "Restored-01",
    "cuSize": 2,
    "collectionStatus": "KEEP",
}


@pytest.fixture
def path(api: Api, clock: VirtualClock) -> str:
    backup_id = api.create(CLUSTER)["backupId"]
    clock.sleep(10)
    return f"/clusters/{CLUSTER}/backups/{backup_id}"


def test_restoring_a_cluster_makes_a_new_one(api: Api, path: str, clock: VirtualClock) -> None:
    restored = api.data("POST", f"{path}/restoreCluster", json=TARGET)
    cluster_path = f"/clusters/{restored['clusterId']}"

    assert set(restored) == {"clusterId", "username", "password", "jobId"}
    assert restored["username"] == "db_admin"
    statuses = []
    for seconds in (0, 5, 5):
        clock.sleep(seconds)
        cluster = api.data("GET", cluster_path)
        statuses.append((cluster["status"], cluster["createProgress"]))
    assert statuses == [("CREATING", 0), ("RESTORE_BACKUP", 50), ("RUNNING", 100)]
    assert (cluster["clusterName"], cluster["cuSize"], cluster["plan"]) == ("Restored-01", 2, "Enterprise")
    assert api.job(restored["jobId"])["type"] == "RESTORE"
    assert api.job(restored["jobId"])["status"] == "SUCCESSFUL"
    api.create(restored["clusterId"])


def test_the_password_is_new_each_time_and_kept_nowhere(api: Api, path: str, visitor: httpx.Client) -> None:
    first = api.data("POST", f"{path}/restoreCluster", json=TARGET)
    second = api.data("POST", f"{path}/restoreCluster", json={**TARGET, "clusterName": "Restored-02"})

    assert first["password"] != second["password"]
    shown = visitor.get("/_emulator/state").text + visitor.get("/_emulator/requests").text
    assert first["password"] not in shown


def test_released_collections_come_back_unloaded(api: Api, path: str, clock: VirtualClock) -> None:
    target = {**TARGET, "collectionStatus": "RELEASE"}
    cluster_id = api.data("POST", f"{path}/restoreCluster", json=target)["clusterId"]
    clock.sleep(10)
    backup_id = api.create(cluster_id)["backupId"]

    collections = api.data("GET", f"/clusters/{cluster_id}/backups/{backup_id}")["collections"]

    assert {collection["status"] for collection in collections} == {"UNLOADED"}


def test_a_restore_that_fails_leaves_an_abnormal_cluster(
    api: Api, control_plane: ControlPlane, path: str, clock: VirtualClock
) -> None:
    control_plane.faults.add("restore_cluster_backup", job={"status": "FAILED", "reason": "no capacity"})
    restored = api.data("POST", f"{path}/restoreCluster", json=TARGET)
    clock.sleep(10)

    assert api.job(restored["jobId"])["reason"] == "no capacity"
    assert api.data("GET", f"/clusters/{restored['clusterId']}")["status"] == "ABNORMAL"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"projectId": None}, 96005),
        ({"projectId": "proj-nowhere"}, 96005),
        ({"projectId": "proj-elsewhere"}, 96040),
        ({"clusterName": None}, 96010),
        ({"clusterName": "under_score"}, 96010),
        ({"clusterName": "Dedicated-02"}, 40013),
        ({"cuSize": None}, 96002),
        ({"cuSize": 0}, 96002),
        ({"cuSize": 1025}, 96002),
        ({"cuSize": "2"}, 96002),
        ({"collectionStatus": None}, 96031),
        ({"collectionStatus": "LOADED"}, 96031),
        ({"restoreVersionPolicy": "OLDEST"}, 96040),
    ],
)
def test_restoring_a_cluster_refuses_a_wrong_body(
    api: Api, control_plane: ControlPlane, clock: VirtualClock, path: str, changes: dict[str, Any], code: int
) -> None:
    control_plane.put_project(
        Project("proj-elsewhere", "Elsewhere", clock.time(), region_ids=["aws-eu-central-1"])
    )

    assert api.error("POST", f"{path}/restoreCluster", json={**TARGET, **changes})[0] == code
    assert len(api.data("GET", "/clusters")["clusters"]) == 4


def test_a_collection_backup_is_no_cluster(api: Api, clock: VirtualClock) -> None:
    entry = {"collectionNames": ["medium_articles"]}
    created = api.create(CLUSTER, backupType="COLLECTION", dbCollections=[entry])
    clock.sleep(10)
    path = f"/clusters/{CLUSTER}/backups/{created['backupId']}/restoreCluster"

    assert api.error("POST", path, json=TARGET)[0] == 96040


def collection(database: str = "sales", **fields: Any) -> dict[str, Any]:
    return {
        "destClusterId": seed.SECOND_DEDICATED_CLUSTER_ID,
        "dbCollections": [{"dbName": database, "destDbName": "archive", "collections": [fields]}],
    }


@pytest.mark.parametrize(
    "body",
    [
        {"destClusterId": seed.SECOND_DEDICATED_CLUSTER_ID},
        collection(collectionName="orders"),
        collection("default", collectionName="medium_articles", destCollectionName="articles"),
        collection(collectionName="orders", destCollectionStatus="UNLOADED"),
    ],
)
def test_restoring_collections_is_a_job(
    api: Api, path: str, clock: VirtualClock, body: dict[str, Any]
) -> None:
    answer = api.data("POST", f"{path}/restoreCollection", json=body)
    clock.sleep(10)

    assert set(answer) == {"jobId"}
    job = api.job(answer["jobId"])
    assert (job["type"], job["status"]) == ("RESTORE", "SUCCESSFUL")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 96025),
        ({"destClusterId": "in01-000000000000000"}, 96018),
        ({"destClusterId": seed.FREE_CLUSTER_ID}, 96021),
        (collection(collectionName="orders", destCollectionStatus="KEEP"), 96037),
        (collection(collectionName="nowhere"), 96039),
        (collection("nowhere", collectionName="orders"), 96039),
        (
            {
                "destClusterId": CLUSTER,
                "dbCollections": [
                    {
                        "dbName": "sales",
                        "collections": [{"collectionName": "orders"}, {"collectionName": "customers"}],
                    }
                ],
            },
            96039,
        ),
        (collection(), 400),
    ],
)
def test_restoring_collections_refuses_a_wrong_body(
    api: Api, path: str, body: dict[str, Any], code: int
) -> None:
    assert api.error("POST", f"{path}/restoreCollection", json=body)[0] == code


def test_the_destination_has_to_run(api: Api, control_plane: ControlPlane, path: str) -> None:
    control_plane.set_cluster_status(seed.SECOND_DEDICATED_CLUSTER_ID, "STOPPED")
    body = {"destClusterId": seed.SECOND_DEDICATED_CLUSTER_ID}

    assert api.error("POST", f"{path}/restoreCollection", json=body)[0] == 96039


def test_export_is_a_job(api: Api, path: str, clock: VirtualClock) -> None:
    body = {"integrationId": seed.STORAGE_INTEGRATION_ID, "directory": "destdir/"}
    answer = api.data("POST", f"{path}/export", json=body)
    clock.sleep(10)

    assert set(answer) == {"jobId"}
    assert api.job(answer["jobId"])["status"] == "SUCCESSFUL"


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, 400), ({"integrationId": "integ-nowhere"}, 404), ({"integrationId": 1}, 400)],
)
def test_export_refuses_a_wrong_body(api: Api, path: str, body: dict[str, Any], code: int) -> None:
    assert api.error("POST", f"{path}/export", json=body)[0] == code


@pytest.mark.parametrize(
    ("action", "body", "code"),
    [
        ("restoreCluster", TARGET, 96040),
        ("restoreCollection", {"destClusterId": CLUSTER}, 96039),
        ("export", {"integrationId": seed.STORAGE_INTEGRATION_ID}, 400),
    ],
)
def test_a_backup_has_to_be_there_and_finished(
    api: Api, action: str, body: dict[str, Any], code: int
) -> None:
    unknown = f"/clusters/{CLUSTER}/backups/backup0_000000000000000/{action}"
    unfinished = f"/clusters/{CLUSTER}/backups/{api.create(CLUSTER)['backupId']}/{action}"

    assert api.error("POST", unknown, json=body)[0] == 404
    assert api.error("POST", unfinished, json=body)[0] == code
