from __future__ import annotations

import pytest

from airflow_provider_zbackup.emulator import ControlPlane, seed
from tests.clock import VirtualClock
from tests.emulator.api import Api

CLUSTER = seed.DEDICATED_CLUSTER_ID
PATH = f"/clusters/{CLUSTER}"


def test_a_dropped_cluster_is_gone_and_its_name_is_free(
    api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    backup_id = api.create(CLUSTER)["backupId"]
    clock.sleep(10)

    answer = api.data("DELETE", f"{PATH}/drop")

    assert set(answer) == {"clusterId", "prompt"}
    assert answer["clusterId"] == CLUSTER
    assert "30 days" in answer["prompt"]
    assert api.error("GET", PATH)[0] == 96018
    assert api.error("DELETE", f"{PATH}/drop")[0] == 96018
    target = {
        "projectId": seed.PROJECT_ID,
        "clusterName": "Dedicated-01",
        "cuSize": 1,
        "collectionStatus": "KEEP",
    }
    assert api.data("POST", f"{PATH}/backups/{backup_id}/restoreCluster", json=target)["jobId"]


def test_manual_backups_of_a_dropped_cluster_are_listed_and_automatic_ones_are_not(
    api: Api, clock: VirtualClock
) -> None:
    manual = api.create(CLUSTER)["backupId"]
    policy = {"enabled": True, "frequency": "1", "startTime": "02:00-04:00", "retentionDays": 7}
    api.data("POST", f"{PATH}/backups/policy", json=policy)
    clock.sleep(10)
    assert len(api.listed()) == 2

    api.data("DELETE", f"{PATH}/drop")
    clock.sleep(30 * 86_400)

    for query in ({"clusterId": CLUSTER}, {"projectId": seed.PROJECT_ID}, {}):
        assert [item["backupId"] for item in api.listed(**query)] == [manual]


def test_a_free_cluster_is_dropped_without_a_recycle_bin(api: Api) -> None:
    assert "30 days" not in api.data("DELETE", f"/clusters/{seed.FREE_CLUSTER_ID}/drop")["prompt"]
    assert api.data("GET", "/clusters")["count"] == 3


def test_a_suspended_cluster_runs_again_some_time_after_it_is_resumed(api: Api, clock: VirtualClock) -> None:
    statuses = []
    for action in ("suspend", "resume"):
        answer = api.data("POST", f"{PATH}/{action}")
        assert set(answer) == {"clusterId", "prompt"}
        statuses.append(api.data("GET", PATH)["status"])
        clock.sleep(9)
        statuses.append(api.data("GET", PATH)["status"])
    clock.sleep(1)

    assert statuses == ["STOPPED", "STOPPED", "RESUMING", "RESUMING"]
    assert api.data("GET", PATH)["status"] == "RUNNING"
    api.create(CLUSTER)


def test_nothing_else_can_be_done_before_the_cluster_runs_again(api: Api, clock: VirtualClock) -> None:
    api.data("POST", f"{PATH}/suspend")
    assert api.error("POST", f"{PATH}/suspend") == (400, "The cluster is not running.")
    api.data("POST", f"{PATH}/resume")

    assert api.error("POST", f"{PATH}/resume") == (400, "The cluster is not suspended.")
    assert api.error("POST", f"{PATH}/suspend") == (400, "The cluster is not running.")
    assert api.error("POST", f"{PATH}/backups/create", json={"backupType": "CLUSTER"})[0] == 96038


@pytest.mark.parametrize("action", ["suspend", "resume"])
@pytest.mark.parametrize(
    ("cluster_id", "code"),
    [(seed.FREE_CLUSTER_ID, 96021), (seed.SERVERLESS_CLUSTER_ID, 96022), ("in01-000000000000000", 96018)],
)
def test_only_dedicated_clusters_are_suspended(api: Api, action: str, cluster_id: str, code: int) -> None:
    assert api.error("POST", f"/clusters/{cluster_id}/{action}")[0] == code
