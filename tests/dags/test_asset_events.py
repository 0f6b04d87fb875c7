"""Asset events in a DAG: what one task says about its outlets, another one reads."""

from __future__ import annotations

import json

import pytest

from airflow_provider_zbackup.emulator import ControlPlane
from tests.dags.conftest import Run


@pytest.mark.parametrize("dag_id", ["events_from_the_worker", "events_after_a_deferral"])
def test_events_of_fixed_outlets_and_of_an_alias(run: Run, control_plane: ControlPlane, dag_id: str) -> None:
    said = run(f"asset_events:{dag_id}")
    assert "STATE success" in said, said
    (backup,) = control_plane.backups
    got, _ = json.JSONDecoder().raw_decode(said.partition("READ ")[2])
    assert [(extra["backup_id"], set(extra)) for extra in got] == [
        (backup.backup_id, {"backup_id", "job_id", "size", "create_time"})
    ] * 2
