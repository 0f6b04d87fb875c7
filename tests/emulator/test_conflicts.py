from __future__ import annotations

import pytest

from airflow_provider_zbackup.emulator import ControlPlane, seed
from tests.clock import VirtualClock
from tests.emulator.api import Api

FIRST = seed.DEDICATED_CLUSTER_ID
SECOND = seed.SECOND_DEDICATED_CLUSTER_ID


def error(api: Api, cluster_id: str) -> tuple[int, str]:
    return api.error("POST", f"/clusters/{cluster_id}/backups/create", json={"backupType": "CLUSTER"})


def test_one_manual_backup_at_a_time_per_cluster(api: Api, clock: VirtualClock) -> None:
    running = api.create(FIRST)
    clock.sleep(9)

    assert error(api, FIRST) == (
        96038,
        f"Failed to create backup. Another backup is in progress: {running['backupName']}.",
    )
    api.create(SECOND)
    clock.sleep(1)
    api.create(FIRST)


def test_one_manual_backup_at_a_time_in_the_organisation(
    api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    control_plane.configure(conflict_scope="organisation")
    api.create(FIRST)

    assert error(api, SECOND)[0] == 96038
    clock.sleep(10)
    api.create(SECOND)


@pytest.mark.parametrize("scope", ["cluster", "organisation"])
def test_an_automatic_backup_is_in_the_way_on_its_own_cluster_only(
    api: Api, control_plane: ControlPlane, clock: VirtualClock, scope: str
) -> None:
    control_plane.configure(conflict_scope=scope)
    control_plane.start_backup(
        control_plane.clusters[FIRST], operation="automatic_backup", creation_method="AUTO"
    )

    assert error(api, FIRST)[0] == 96038
    api.create(SECOND)
    clock.sleep(10)
    api.create(FIRST)


def test_the_conflict_error_can_be_set(api: Api, control_plane: ControlPlane) -> None:
    control_plane.configure(conflict_code=90001, conflict_message="Busy: {}")
    running = api.create(FIRST)

    assert error(api, FIRST) == (90001, f"Busy: Another backup is in progress: {running['backupName']}.")


@pytest.mark.parametrize("status", ["FAILED", "CANCELED"])
def test_the_end_of_a_bad_job_frees_the_cluster(
    api: Api, control_plane: ControlPlane, clock: VirtualClock, status: str
) -> None:
    control_plane.faults.add("create_backup", times=1, job={"status": status, "at_progress": 50})
    api.create(FIRST)

    assert error(api, FIRST)[0] == 96038
    clock.sleep(5)
    api.create(FIRST)


def test_a_copy_is_not_in_the_way(api: Api, clock: VirtualClock) -> None:
    api.create(FIRST, crossRegionCopies=[{"regionId": "aws-us-east-1"}])
    clock.sleep(10)

    api.create(FIRST)


def test_wrong_scopes_are_refused(control_plane: ControlPlane) -> None:
    with pytest.raises(ValueError, match="conflict_scope"):
        control_plane.configure(conflict_scope="world")
