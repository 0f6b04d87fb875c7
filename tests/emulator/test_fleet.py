from __future__ import annotations

from airflow_provider_zbackup.emulator import ControlPlane
from airflow_provider_zbackup.emulator.formats import DAY
from tests.clock import VirtualClock
from tests.emulator.api import Api


def test_a_fleet_has_old_backups_of_each_cluster(api: Api, control_plane: ControlPlane) -> None:
    fleet = control_plane.put_fleet(3, 4)

    assert len(api.data("GET", "/clusters")["clusters"]) == 4 + 3
    assert {item["status"] for item in api.listed()} == {"AVAILABLE"}
    assert len(api.listed()) == 12
    assert [item["createTime"] for item in api.listed(clusterId=fleet[1].cluster_id)] == [
        "2026-03-01T10:00:00Z",
        "2026-02-28T10:00:00Z",
        "2026-02-27T10:00:00Z",
        "2026-02-26T10:00:00Z",
    ]


def test_collection_backups_of_a_fleet_take_the_collections_by_turns(
    api: Api, control_plane: ControlPlane
) -> None:
    (cluster,) = control_plane.put_fleet(1, 4, every=3600, backup_type="COLLECTION")

    names = [
        api.data("GET", f"/clusters/{cluster.cluster_id}/backups/{item['backupId']}")["collections"][0]
        for item in api.listed()
    ]

    assert [name["collectionName"] for name in names] == ["documents", "users", "images", "documents"]


def test_what_is_present_follows_each_change(control_plane: ControlPlane, clock: VirtualClock) -> None:
    (cluster,) = control_plane.put_fleet(1, 2)
    newest, oldest = control_plane.present_backups()
    control_plane.backups.delete(oldest)
    assert list(control_plane.present_backups()) == [newest]

    daily = control_plane.start_backup(
        cluster, operation="automatic_backup", creation_method="AUTO", retention_days=1
    )
    assert list(control_plane.present_backups(cluster.cluster_id)) == [daily, newest]
    clock.sleep(DAY - 1)
    assert list(control_plane.present_backups()) == [daily, newest]
    clock.sleep(1)
    assert list(control_plane.present_backups()) == [newest]


def test_a_page_of_many_backups_does_not_look_at_all_of_them(
    api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    fleet = control_plane.put_fleet(20, 50)
    total = api.data("GET", "/backups")["count"]
    looked_at = control_plane.present_backups()
    clock.sleep(3600)

    assert total == 1000
    assert control_plane.present_backups() is looked_at
    assert len(api.listed(clusterId=fleet[7].cluster_id)) == 50
