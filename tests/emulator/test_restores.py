from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_provider_zbackup.emulator import ControlPlane, seed
from airflow_provider_zbackup.emulator.records import Project
from tests.clock import VirtualClock
from tests.emulator.api import Api

CLUSTER = seed.DEDICATED_CLUSTER_ID
SECOND = seed.SECOND_DEDICATED_CLUSTER_ID
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


def names(control_plane: ControlPlane, cluster_id: str) -> dict[str, dict[str, str]]:
    databases = control_plane.clusters[cluster_id].databases_at(control_plane.now())
    return {database: {item.name: item.status for item in group} for database, group in databases.items()}


def test_restored_collections_appear_when_the_job_ends(
    api: Api, control_plane: ControlPlane, path: str, clock: VirtualClock
) -> None:
    body = collection(collectionName="orders", destCollectionName="old_orders", destCollectionStatus="LOADED")
    api.data("POST", f"{path}/restoreCollection", json=body)
    clock.sleep(9)
    assert names(control_plane, SECOND) == {"": {"products": "LOADED"}}
    clock.sleep(1)

    assert names(control_plane, SECOND) == {"": {"products": "LOADED"}, "archive": {"old_orders": "LOADED"}}


def test_a_restore_without_collections_brings_all_of_them_unloaded(
    api: Api, control_plane: ControlPlane, path: str, clock: VirtualClock
) -> None:
    api.data("POST", f"{path}/restoreCollection", json={"destClusterId": SECOND})
    clock.sleep(10)

    assert names(control_plane, SECOND) == {
        "": {"products": "LOADED", "medium_articles": "UNLOADED", "quick_setup": "UNLOADED"},
        "sales": {"orders": "UNLOADED", "customers": "UNLOADED"},
    }


def test_an_entry_without_collections_restores_its_database(
    api: Api, control_plane: ControlPlane, path: str, clock: VirtualClock
) -> None:
    body = {"destClusterId": SECOND, "dbCollections": [{"dbName": "sales", "destDbName": "default"}]}
    api.data("POST", f"{path}/restoreCollection", json=body)
    clock.sleep(10)

    assert names(control_plane, SECOND) == {
        "": {"products": "LOADED", "orders": "UNLOADED", "customers": "UNLOADED"}
    }


def test_only_later_backups_hold_the_restored_collections(
    api: Api, control_plane: ControlPlane, path: str, clock: VirtualClock
) -> None:
    policy = {"enabled": True, "frequency": "1,2", "startTime": "02:00-04:00", "retentionDays": 7}
    api.data("POST", f"/clusters/{SECOND}/backups/policy", json=policy)
    control_plane.configure(job_seconds=20 * 3600)
    api.data("POST", f"{path}/restoreCollection", json=collection(collectionName="orders"))
    # The restore ends on Tuesday at 6: after the backup of this day, and before that of the next Monday.
    control_plane.configure(job_seconds=10)
    clock.sleep(7 * 86_400)

    backups = [
        api.data("GET", f"/clusters/{SECOND}/backups/{item['backupId']}")
        for item in api.listed(clusterId=SECOND)
    ]

    assert [(item["createTime"], len(item["collections"])) for item in backups[:2]] == [
        ("2026-03-09T02:00:00Z", 2),
        ("2026-03-03T02:00:00Z", 1),
    ]
    again = {
        "backupType": "COLLECTION",
        "dbCollections": [{"dbName": "archive", "collectionNames": ["orders"]}],
    }
    assert api.create(SECOND, **again)["backupName"] == "orders_backup1"


def test_a_failed_restore_leaves_nothing(
    api: Api, control_plane: ControlPlane, path: str, clock: VirtualClock
) -> None:
    control_plane.faults.add("restore_collection_backup", times=1, job={"status": "FAILED"})
    body = collection(collectionName="orders")
    api.data("POST", f"{path}/restoreCollection", json=body)
    clock.sleep(10)

    assert names(control_plane, SECOND) == {"": {"products": "LOADED"}}
    api.data("POST", f"{path}/restoreCollection", json=body)
    clock.sleep(10)
    assert "archive" in names(control_plane, SECOND)


@pytest.mark.parametrize("seconds", [0, 10])
def test_a_name_that_is_there_or_on_its_way_is_refused(
    api: Api, path: str, clock: VirtualClock, seconds: int
) -> None:
    api.data("POST", f"{path}/restoreCollection", json=collection(collectionName="orders"))
    clock.sleep(seconds)

    for body in (
        collection(collectionName="orders"),
        collection(collectionName="customers", destCollectionName="orders"),
    ):
        assert api.error("POST", f"{path}/restoreCollection", json=body) == (
            96039,
            "Failed to restore collection backup. Collection orders exists in the destination.",
        )
    assert api.error("POST", f"{path}/restoreCollection", json={"destClusterId": CLUSTER})[0] == 96039


def test_one_request_cannot_restore_a_name_twice(api: Api, control_plane: ControlPlane, path: str) -> None:
    body = collection(collectionName="orders")
    body["dbCollections"] *= 2

    assert api.error("POST", f"{path}/restoreCollection", json=body)[0] == 96039
    assert not control_plane.clusters[SECOND].restored


@pytest.mark.parametrize(
    ("days", "offered"), [(29, ["LATEST", "ORIGINAL"]), (30, ["LATEST"]), (400, ["LATEST"])]
)
def test_only_a_young_backup_offers_its_original_version(
    api: Api, path: str, clock: VirtualClock, days: int, offered: list[str]
) -> None:
    clock.sleep(days * 86_400 - 10)

    assert api.data("GET", path)["restoreNewInstancePolicies"] == offered
    assert [item["restoreNewInstancePolicies"] for item in api.listed()] == [offered]
    target = {**TARGET, "restoreVersionPolicy": "ORIGINAL"}
    assert api.call("POST", f"{path}/restoreCluster", json=target)["code"] == (
        0 if "ORIGINAL" in offered else 96040
    )


def test_what_backups_offer_can_be_set(api: Api, visitor: httpx.Client, path: str) -> None:
    visitor.patch("/_emulator/settings", json={"restore_policies": ["ORIGINAL"]}).raise_for_status()

    assert api.data("GET", path)["restoreNewInstancePolicies"] == ["ORIGINAL"]
    latest = {**TARGET, "restoreVersionPolicy": "LATEST"}
    assert api.error("POST", f"{path}/restoreCluster", json=latest) == (
        96040,
        "Failed to restore cluster backup. The backup does not offer LATEST.",
    )
    api.data("POST", f"{path}/restoreCluster", json=TARGET)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 96025),
        ({"destClusterId": "in01-000000000000000"}, 96018),
        ({"destClusterId": seed.FREE_CLUSTER_ID}, 96021),
        (collection(collectionName="orders", destCollectionStatus="KEEP"), 96037),
        (collection(collectionName="nowhere"), 96039),
        (collection("nowhere", collectionName="orders"), 96039),
        (collection(collectionName="orders", destCollectionName="orders-2026-03-02"), 96039),
        (collection(collectionName="orders", destCollectionName="2026_orders"), 96039),
        (collection(collectionName="orders", destCollectionName="o" * 256), 96039),
        ({"destClusterId": SECOND, "dbCollections": [{"dbName": "sales", "destDbName": "a-b"}]}, 96039),
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


def test_what_was_exported_is_kept(
    api: Api, control_plane: ControlPlane, path: str, visitor: httpx.Client
) -> None:
    body = {"integrationId": seed.STORAGE_INTEGRATION_ID, "directory": "destdir/"}
    job_id = api.data("POST", f"{path}/export", json=body)["jobId"]

    (export,) = control_plane.exports
    assert (export.backup, export.directory) == (control_plane.backups[0], "destdir/")
    assert visitor.get("/_emulator/state").json()["exports"] == [
        {
            "backupId": export.backup.backup_id,
            "integrationId": seed.STORAGE_INTEGRATION_ID,
            "directory": "destdir/",
            "jobId": job_id,
        }
    ]
    control_plane.reset()
    assert not control_plane.exports


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"status": "INACTIVE"}, 400), ({"project_id": "proj-other"}, 404), ({"name": "renamed"}, 0)],
)
def test_the_integration_has_to_be_active_and_in_the_project_of_the_backup(
    api: Api,
    control_plane: ControlPlane,
    visitor: httpx.Client,
    path: str,
    changes: dict[str, str],
    code: int,
) -> None:
    control_plane.put_project(Project("proj-other", "Other", 0))
    change = {"integration_id": seed.STORAGE_INTEGRATION_ID, **changes}
    visitor.post("/_emulator/storage_integrations", json=change).raise_for_status()

    body = {"integrationId": seed.STORAGE_INTEGRATION_ID, "directory": "destdir/"}

    assert api.call("POST", f"{path}/export", json=body)["code"] == code
    assert len(control_plane.exports) == (code == 0)


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
