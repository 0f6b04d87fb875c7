"""Every shape of mapped tasks in one DAG: each task makes a backup of its own."""

from __future__ import annotations

import json

from airflow_provider_zbackup.emulator import ControlPlane
from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID, SECOND_DEDICATED_CLUSTER_ID
from tests.dags.conftest import Run

NAMES = ["medium_articles", "quick_setup"]


def test_every_shape_of_mapping(run: Run, control_plane: ControlPlane) -> None:
    said = run("mapping")
    assert "STATE success" in said, said
    made = [
        (
            backup.cluster_id,
            sorted(item.name for item in backup.collections) if backup.backup_type == "COLLECTION" else [],
        )
        for backup in control_plane.backups
    ]
    some = [(DEDICATED_CLUSTER_ID, [name]) for name in NAMES]
    whole: list[tuple[str, list[str]]] = [(DEDICATED_CLUSTER_ID, []), (SECOND_DEDICATED_CLUSTER_ID, [])]
    expected = [*some, *some, *whole, (DEDICATED_CLUSTER_ID, NAMES), whole[1], *whole]
    assert sorted(made) == sorted(expected)
    kept, _ = json.JSONDecoder().raw_decode(said.partition("KEPT ")[2])
    assert set(kept) <= {backup.backup_id for backup in control_plane.backups}
    assert len(set(kept)) == 2
