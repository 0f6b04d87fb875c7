"""The cloud that was used for 30 days looks the same at each hour of the day."""

from __future__ import annotations

import pytest

from airflow_provider_zbackup.emulator import ControlPlane, seed
from airflow_provider_zbackup.emulator.formats import DAY
from airflow_provider_zbackup.emulator.history import HOUR, LARGE_CLUSTER_ID, add_history
from tests.clock import VirtualClock


@pytest.mark.parametrize("hour", range(24))
def test_a_cluster_with_a_nightly_backup_has_one_of_the_last_24_hours(hour: int, clock: VirtualClock) -> None:
    clock.sleep((hour + 0.5) * HOUR)
    control_plane = ControlPlane(clock=clock.time)
    add_history(control_plane)
    for cluster_id in (LARGE_CLUSTER_ID, seed.DEDICATED_CLUSTER_ID):
        newest = max(
            backup.created
            for backup in control_plane.present_backups(cluster_id)
            if backup.status(clock.time()) == "AVAILABLE"
        )
        assert clock.time() - newest <= DAY


def test_the_backups_to_come_are_as_large_as_the_last_ones(clock: VirtualClock) -> None:
    control_plane = ControlPlane(clock=clock.time)
    add_history(control_plane)
    before = control_plane.present_backups(LARGE_CLUSTER_ID)
    clock.sleep(2 * DAY)
    known = {backup.backup_id for backup in before}
    later = [each for each in control_plane.present_backups(LARGE_CLUSTER_ID) if each.backup_id not in known]
    assert later
    largest = max(backup.size(clock.time()) for backup in before)
    assert min(backup.size(clock.time()) for backup in later) >= largest
