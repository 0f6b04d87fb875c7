from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_provider_zbackup.emulator import ControlPlane, seed
from airflow_provider_zbackup.emulator.formats import DAY, iso_time
from airflow_provider_zbackup.emulator.records import Policy
from tests.clock import VirtualClock
from tests.emulator.api import Api

CLUSTER = seed.DEDICATED_CLUSTER_ID
POLICY = f"/clusters/{CLUSTER}/backups/policy"
ENABLED = {
    "enabled": True,
    "frequency": "1,3",
    "startTime": "02:00-04:00",
    "retentionDays": 7,
    "crossRegionCopies": [],
}


def test_a_cluster_without_a_policy_has_a_disabled_one(api: Api) -> None:
    assert api.data("GET", POLICY) == {
        "clusterId": CLUSTER,
        "status": "DISABLED",
        "startTime": None,
        "frequency": None,
        "retentionDays": 0,
        "crossRegionCopies": [],
    }


def test_a_policy_reads_as_it_was_set_and_can_be_switched_off(api: Api) -> None:
    copies = [{"regionId": "aws-us-east-1", "retentionDays": 3}]

    assert api.data("POST", POLICY, json={**ENABLED, "crossRegionCopies": copies}) == {
        "clusterId": CLUSTER,
        "status": "ENABLED",
    }
    assert api.data("GET", POLICY) == {
        "clusterId": CLUSTER,
        "status": "ENABLED",
        "startTime": "02:00-04:00",
        "frequency": "1,3",
        "retentionDays": 7,
        "crossRegionCopies": [{"regionId": "aws-us-east-1", "retentionDays": 3, "region": "us-east-1"}],
    }
    assert api.data("POST", POLICY, json={"enabled": False}) == {"clusterId": CLUSTER, "status": "DISABLED"}
    assert api.data("GET", POLICY)["status"] == "DISABLED"


def test_the_body_with_which_terraform_disables_is_accepted(api: Api) -> None:
    body = {
        "frequency": "",
        "startTime": "",
        "retentionDays": 0,
        "enabled": False,
        "crossRegionCopies": None,
    }

    assert api.data("POST", POLICY, json=body)["status"] == "DISABLED"


def test_enabling_starts_an_automatic_backup_at_once(api: Api) -> None:
    api.data("POST", POLICY, json=ENABLED)

    (item,) = api.listed()
    assert (item["creationMethod"], item["backupType"], item["status"]) == ("AUTO", "CLUSTER", "CREATING")
    assert (item["createTime"], item["expireTime"]) == ("2026-03-02T10:00:00Z", "2026-03-09T10:00:00Z")
    body = {"backupType": "CLUSTER"}
    assert api.error("POST", f"/clusters/{CLUSTER}/backups/create", json=body)[0] == 96038


def test_a_manual_backup_does_not_keep_an_automatic_one_from_starting(api: Api) -> None:
    api.create(CLUSTER)
    api.data("POST", POLICY, json=ENABLED)

    assert {item["creationMethod"] for item in api.listed()} == {"AUTO", "MANUAL"}


def test_disabling_starts_nothing(api: Api) -> None:
    api.data("POST", POLICY, json={"enabled": False})

    assert api.listed() == []


def test_automatic_backups_start_in_their_windows_and_expire(api: Api, clock: VirtualClock) -> None:
    api.data("POST", POLICY, json={**ENABLED, "retentionDays": 30})
    clock.sleep(9 * DAY)

    assert [item["createTime"] for item in api.listed()] == [
        "2026-03-11T02:00:00Z",
        "2026-03-09T02:00:00Z",
        "2026-03-04T02:00:00Z",
        "2026-03-02T10:00:00Z",
    ]
    assert len({item["backupName"] for item in api.listed()}) == 4
    oldest = api.listed()[-1]
    clock.sleep(21 * DAY)
    assert oldest["backupId"] not in {item["backupId"] for item in api.listed()}


def test_no_automatic_backups_after_the_policy_is_off_or_while_the_cluster_is_suspended(
    api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    api.data("POST", POLICY, json=ENABLED)
    control_plane.set_cluster_status(CLUSTER, "STOPPED")
    clock.sleep(3 * DAY)
    control_plane.set_cluster_status(CLUSTER, "RUNNING")
    api.data("POST", POLICY, json={"enabled": False})
    clock.sleep(3 * DAY)

    assert [item["createTime"] for item in api.listed()] == ["2026-03-02T10:00:00Z"]


def test_scheduled_copies_have_a_retention_of_their_own(api: Api, clock: VirtualClock) -> None:
    copies = [{"regionId": "aws-us-east-1", "retentionDays": 3}]
    api.data("POST", POLICY, json={**ENABLED, "crossRegionCopies": copies})
    clock.sleep(20)

    assert {item["expireTime"] for item in api.listed()} == {"2026-03-09T10:00:00Z", "2026-03-05T10:00:10Z"}


def test_backups_and_copies_of_a_policy_disappear_after_their_own_retention(
    api: Api, clock: VirtualClock
) -> None:
    copies = [{"regionId": "aws-us-east-1", "retentionDays": 3}]
    api.data("POST", POLICY, json={**ENABLED, "frequency": "7", "crossRegionCopies": copies})
    clock.sleep(3 * DAY + 9)
    assert len(api.listed()) == 2
    clock.sleep(1)

    (home,) = api.listed()
    assert home["expireTime"] == "2026-03-09T10:00:00Z"
    api.data("POST", POLICY, json={"enabled": False})
    clock.sleep(4 * DAY - 11)
    assert api.listed() == [home]
    clock.sleep(1)
    assert api.listed() == []
    assert api.data("GET", f"/clusters/{CLUSTER}/backups/{home['backupId']}")["status"] == "DELETED"


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("text", {"frequency": "0 3 1 * *", "startTime": "03:00 Europe/Berlin"}),
        ("null", {"frequency": None, "startTime": None}),
        ("absent", {}),
    ],
)
def test_a_policy_of_the_console_reads_in_each_plausible_way(
    api: Api, visitor: httpx.Client, clock: VirtualClock, setting: str, shown: dict[str, Any]
) -> None:
    visitor.patch("/_emulator/settings", json={"console_policies": setting}).raise_for_status()
    policy = {"cluster_id": CLUSTER, "frequency": "0 3 1 * *", "start_time": "03:00 Europe/Berlin"}
    visitor.post("/_emulator/console_policies", json=policy).raise_for_status()

    rest = {"clusterId": CLUSTER, "status": "ENABLED", "retentionDays": 7, "crossRegionCopies": []}
    assert api.data("GET", POLICY) == {**rest, **shown}
    clock.sleep(60 * DAY)
    assert api.listed() == []
    api.data("POST", POLICY, json=ENABLED)
    assert api.data("GET", POLICY)["frequency"] == "1,3"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"enabled": None}, 400),
        ({"enabled": "yes"}, 400),
        ({"frequency": None}, 96032),
        ({"frequency": ""}, 96032),
        ({"frequency": "0"}, 96032),
        ({"frequency": "1;2"}, 96032),
        ({"frequency": 1}, 96032),
        ({"startTime": None}, 96033),
        ({"startTime": "02:00"}, 96033),
        ({"startTime": "02:00-05:00"}, 96033),
        ({"startTime": "24:00-02:00"}, 96033),
        ({"retentionDays": None}, 96034),
        ({"retentionDays": 0}, 96034),
        ({"retentionDays": 31}, 96034),
        ({"retentionDays": True}, 96034),
        ({"retentionDays": "7"}, 96034),
        ({"crossRegionCopies": [{"regionId": "aws-us-east-1"}]}, 96034),
        ({"crossRegionCopies": [{"regionId": "aws-mars-1", "retentionDays": 1}]}, 96001),
        ({"crossRegionCopies": [{"regionId": "gcp-us-west1", "retentionDays": 1}]}, 400),
    ],
)
def test_set_refuses_a_wrong_body(api: Api, changes: dict[str, Any], code: int) -> None:
    assert api.error("POST", POLICY, json={**ENABLED, **changes})[0] == code
    assert api.data("GET", POLICY)["status"] == "DISABLED"
    assert api.listed() == []


def test_a_window_may_pass_midnight(api: Api) -> None:
    assert api.data("POST", POLICY, json={**ENABLED, "startTime": "23:00-01:00"})["status"] == "ENABLED"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("cluster_id", "code"),
    [(seed.FREE_CLUSTER_ID, 96021), (seed.SERVERLESS_CLUSTER_ID, 96022), ("in01-000000000000000", 96018)],
)
def test_only_dedicated_clusters_have_policies(api: Api, method: str, cluster_id: str, code: int) -> None:
    assert api.error(method, f"/clusters/{cluster_id}/backups/policy", json=ENABLED)[0] == code


def test_a_suspended_cluster_refuses_policies(api: Api, control_plane: ControlPlane) -> None:
    control_plane.set_cluster_status(CLUSTER, "STOPPED")

    assert api.error("POST", POLICY, json=ENABLED) == (400, "The cluster is not running.")


def test_weekdays_begin_with_monday() -> None:
    policy = Policy("00:00-02:00", "7", 1, (), started_until=0)

    assert [iso_time(moment) for moment in policy.due(14 * DAY)] == [
        "1970-01-04T00:00:00Z",
        "1970-01-11T00:00:00Z",
    ]
