"""The example DAGs, run by ``dag.test()`` against the emulator, as a user would run them."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_zbackup.emulator import ControlPlane, JobPlan
from airflow_provider_zbackup.emulator.data_plane.collection_data import NO_ROWS
from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID, SECOND_DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.version_compat import AIRFLOW_VERSION
from tests.dags.conftest import Run
from tests.documents import ROOT

DAY = 24 * 60 * 60


SNIPPET = ROOT / "airflow_provider_zbackup" / "ui" / "templates" / "restore.txt"


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / "example_dags").glob("*.py")), SNIPPET], ids=lambda path: path.name
)
def test_what_is_copied_runs_without_a_logical_date(path: Path) -> None:
    """A run that an asset starts has none, nor need one that the API starts: then these do not exist."""
    assert re.findall(r"\{\{\s*(?:ts|ds|logical_date|data_interval)\w*", path.read_text()) == []


def test_backup_before_migration(run: Run, control_plane: ControlPlane) -> None:
    said = run("backup_before_migration", collections=["quick_setup"])
    assert "STATE success" in said, said
    (created,) = control_plane.requests.of("create_backup")
    assert created.body == {
        "backupType": "COLLECTION",
        "dbCollections": [{"collectionNames": ["quick_setup"]}],
    }
    assert "migrated quick_setup" in said


def test_backup_before_migration_when_the_sensor_has_to_defer(run: Run, control_plane: ControlPlane) -> None:
    """However slow the machine is, the job does not end before that."""
    deferred = "running trigger in line"
    control_plane.configure(job_seconds=600)

    def end_the_job(line: str) -> None:
        if deferred in line:
            control_plane.advance(600)

    said = run("backup_before_migration", on_line=end_the_job)
    assert "STATE success" in said, said
    assert deferred in said


def test_backup_before_migration_does_not_migrate_without_backup(
    run: Run, control_plane: ControlPlane
) -> None:
    control_plane.faults.add("create_backup", job={"status": "FAILED", "reason": "disk is full"})
    said = run("backup_before_migration")
    assert "STATE failed" in said, said
    assert "disk is full" in said
    assert "migrated" not in said


def test_nightly_backup_and_prune(run: Run, control_plane: ControlPlane) -> None:
    cluster = control_plane.clusters[DEDICATED_CLUSTER_ID]
    articles = {"": [cluster.databases[""][0]]}
    month_ago = time.time() - 30 * DAY
    for night in range(30):
        control_plane.start_backup(
            cluster,
            operation="someone",
            backup_type="COLLECTION",
            databases=articles,
            started=month_ago + night * DAY,
            plan=JobPlan(seconds=0),
        )
    said = run("nightly_backup_and_prune")
    assert "STATE success" in said, said
    kept = [backup for backup in control_plane.backups if not backup.deleted]
    # Airflow does not promise in which order mapped tasks run.
    assert {backup.collections[0].name for backup in kept} == {"medium_articles", "quick_setup"}
    ages = sorted(round((time.time() - backup.created) / DAY) for backup in kept)
    # Tonight's two, six days before, and the last day of each of three weeks before those.
    assert ages[:8] == [0, 0, 1, 2, 3, 4, 5, 6]
    assert len(ages) in (10, 11)
    assert "DELETE: older_than=2 d 0 h, keep_daily=7, keep_weekly=4" in said


def test_restore_backup(run: Run, control_plane: ControlPlane) -> None:
    backup = control_plane.start_backup(
        control_plane.clusters[DEDICATED_CLUSTER_ID], operation="someone", plan=JobPlan(seconds=0)
    )
    said = run("restore_backup", backup_id=backup.backup_id)
    assert "STATE success" in said, said
    clusters = control_plane.clusters.values()
    (restored,) = (cluster for cluster in clusters if cluster.cluster_name.startswith("restored-"))
    assert f"restored as {control_plane.connect_address(restored)}" in said
    assert "The password of db_admin is in the Variable restored_cluster_password." in said


def test_restore_drill(run: Run, control_plane: ControlPlane) -> None:
    source = control_plane.clusters[DEDICATED_CLUSTER_ID]
    said = run("restore_drill:backup_to_prove")
    assert "STATE success" in said, said
    # What happens later does not matter.
    source.remove_collection("", "medium_articles", time.time())
    said = run("restore_drill:restore_drill")
    assert "STATE success" in said, said
    (drill,) = (it for it in control_plane.clusters.values() if it.cluster_name.startswith("drill-"))
    assert drill.settled_status == "DELETED"
    assert source.settled_status == "RUNNING"
    assert re.search(r"restored 480 rows in 4 collections in \d s; nothing differs", said)


def test_restore_drill_fails_if_something_differs(run: Run, control_plane: ControlPlane) -> None:
    said = run("restore_drill:backup_to_prove")
    assert "STATE success" in said, said
    (backup,) = control_plane.backups
    articles = replace(backup.databases[""][0], data=NO_ROWS)
    backup.databases = {"": [articles]}
    said = run("restore_drill:restore_drill")
    assert "STATE failed" in said, said
    for line in (
        r"sales.orders +collection +there +missing",
        r"medium_articles +rows +120 +0",
        r"medium_articles +field title +there +missing",
    ):
        assert re.search(line, said), said
    assert "nothing differs" not in said
    (drill,) = (it for it in control_plane.clusters.values() if it.cluster_name.startswith("drill-"))
    assert drill.settled_status == "DELETED"


def test_restore_drill_drops_the_cluster_of_a_restore_that_failed(
    run: Run, control_plane: ControlPlane
) -> None:
    said = run("restore_drill:backup_to_prove")
    assert "STATE success" in said, said
    control_plane.faults.add("restore_cluster_backup", job={"status": "FAILED", "reason": "disk is full"})
    said = run("restore_drill:restore_drill")
    assert "STATE failed" in said, said
    assert "disk is full" in said
    (drill,) = (it for it in control_plane.clusters.values() if it.cluster_name.startswith("drill-"))
    assert drill.settled_status == "DELETED", said


def test_restore_drill_without_a_manifest_restores_nothing(run: Run, control_plane: ControlPlane) -> None:
    control_plane.faults.add("query_entities", code=1800, message="not with this key")
    said = run("restore_drill:backup_to_prove")
    assert "STATE success" in said, said
    said = run("restore_drill:restore_drill")
    assert "STATE failed" in said, said
    assert len(control_plane.clusters) == 4


def test_fleet_backup(run: Run, control_plane: ControlPlane) -> None:
    suspended = control_plane.clusters[SECOND_DEDICATED_CLUSTER_ID]
    suspended.settled_status = "STOPPED"
    old = control_plane.start_backup(
        suspended, operation="someone", plan=JobPlan(seconds=0), started=time.time() - 90 * DAY
    )
    said = run("fleet_backup")
    assert "STATE success" in said, said
    new = [backup for backup in control_plane.backups if backup is not old]
    assert [backup.cluster_id for backup in new] == [DEDICATED_CLUSTER_ID]
    assert not old.deleted, "the last one stays"
    for row in (DEDICATED_CLUSTER_ID, f"{SECOND_DEDICATED_CLUSTER_ID}  Dedicated-02  STOPPED"):
        assert row in said


def test_fleet_backup_fails_while_a_backup_is_missing(run: Run, control_plane: ControlPlane) -> None:
    control_plane.faults.add("create_backup", job={"status": "FAILED", "reason": "disk is full"})
    said = run("fleet_backup")
    assert "STATE failed" in said, said
    assert "has no usable cluster backup" in said
    assert f"{DEDICATED_CLUSTER_ID}  Dedicated-01  RUNNING  none" in said, "the report is made nevertheless"


def test_rpo_alarm_is_quiet_while_a_backup_is_young(run: Run, control_plane: ControlPlane) -> None:
    source = control_plane.clusters[DEDICATED_CLUSTER_ID]
    control_plane.start_backup(source, operation="someone", plan=JobPlan(seconds=0))
    said = run("rpo_alarm")
    assert "STATE success" in said, said
    assert "RPO ALARM" not in said


@pytest.mark.skipif(
    AIRFLOW_VERSION.release[:2] in ((3, 0), (3, 1), (3, 2)),
    reason="dag.test() of Airflow 3.0 to 3.2 gives callbacks no exception",
)
def test_rpo_alarm_tells_how_old_the_newest_backup_is(run: Run, control_plane: ControlPlane) -> None:
    old = control_plane.start_backup(
        control_plane.clusters[DEDICATED_CLUSTER_ID],
        operation="someone",
        plan=JobPlan(seconds=0),
        started=time.time() - 3 * DAY,
    )
    said = run("rpo_alarm")
    assert "STATE failed" in said, said
    assert f"RPO ALARM for {DEDICATED_CLUSTER_ID}: Newest usable backup {old.backup_id}" in said
    assert "older than max_age 1 d 2 h" in said


def test_backup_policy_is_set_once(run: Run, control_plane: ControlPlane) -> None:
    for _ in range(2):
        said = run("backup_policy")
        assert "STATE success" in said, said
    (sent,) = control_plane.requests.of("set_backup_policy")
    assert sent.body["frequency"] == "1,3,5"
    assert [backup.creation_method for backup in control_plane.backups] == ["AUTO"]


@pytest.mark.skipif(AIRFLOW_VERSION.major < 3, reason="Airflow 2 has no asset watchers")
def test_react_to_new_backup_has_nothing_to_do_without_events(run: Run, control_plane: ControlPlane) -> None:
    """As when a person starts it. ``tests/e2e/test_watchers.py`` runs it with events."""
    said = run("react_to_new_backup")
    assert "STATE success" in said, said
    assert "TASK find_new success" in said
    assert "TASK report skipped" in said
