"""What OpenLineage hears of real runs, through its file transport."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from tests.documents import run_pytest

pytestmark = pytest.mark.e2e

TESTS = """
from airflow.providers.common.compat.sdk import DAG, Asset
from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator, ZillizDeleteBackupOperator
from airflow_provider_zbackup.operators.restore import ZillizRestoreCollectionsOperator


def test_a_life_of_a_backup(zilliz_cloud):
    zilliz_cloud.control_plane.configure(job_seconds=0.5)
    # The first backup lasts until its task defers, the second fails.
    zilliz_cloud.control_plane.faults.add("create_backup", times=1, job={"seconds": 5})
    zilliz_cloud.control_plane.faults.add("create_backup", job={"status": "FAILED"})
    where = {"cluster_id": DEDICATED_CLUSTER_ID}
    with DAG("lineage", schedule=None, params={"name": "quick_setup"}) as dag:
        backup = ZillizCreateBackupOperator(
            task_id="backup", collections=["{{ params.name }}"], deferrable=True, defer_after=0, **where
        )
        restore = ZillizRestoreCollectionsOperator(
            task_id="restore", backup_id=backup.output, collections=["quick_setup"], suffix="_old", **where
        )
        restore >> ZillizDeleteBackupOperator(task_id="delete", backup=backup.output)
        restore >> ZillizCreateBackupOperator(task_id="fail", collections=["medium_articles"], **where)
    zilliz_cloud.run(dag)
"""


def test_the_events_of_real_runs(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        'pytest_plugins = ["airflow_provider_zbackup.emulator.pytest_plugin"]\n'
    )
    (tmp_path / "test_mine.py").write_text(TESTS)
    written = tmp_path / "events.jsonl"
    transport = {"type": "file", "log_file_path": str(written), "append": True}
    said = run_pytest(tmp_path, AIRFLOW__OPENLINEAGE__TRANSPORT=json.dumps(transport))
    assert re.search(r"^1 passed", said, re.M), said[-9000:]
    events = [json.loads(line) for line in written.read_text().splitlines()]
    told: dict[str, list[Any]] = {
        task: [short(event) for event in events if event["job"]["name"] == f"lineage.{task}"]
        for task in ("backup", "restore", "delete", "fail")
    }
    (backup_id,) = {name.removeprefix("backups.") for _, names, _ in told["restore"] for name in names}
    backup = f"backups.{backup_id}"
    assert told == {
        # A deferred task starts again when it comes back.
        "backup": [
            ("START", ["default.quick_setup"], []),
            ("START", ["default.quick_setup"], []),
            ("COMPLETE", ["default.quick_setup"], [(backup, "CREATE")]),
        ],
        "restore": [
            ("START", [backup], []),
            ("COMPLETE", [backup], [("default.quick_setup_old", "CREATE")]),
        ],
        "delete": [("START", [], []), ("COMPLETE", [], [(backup, "DROP")])],
        "fail": [("START", ["default.medium_articles"], []), ("FAIL", ["default.medium_articles"], [])],
    }
    (made,) = (event for event in events if event["job"]["name"] == "lineage.backup" and event["outputs"])
    assert made["inputs"][0]["facets"]["version"]["datasetVersion"] == backup_id
    assert made["outputs"][0]["outputFacets"]["outputStatistics"]["size"] > 0
    assert made["run"]["facets"]["externalQuery"]["externalQueryId"].startswith("job-")
    assert {data["namespace"] for event in events for data in event["inputs"] + event["outputs"]} == {
        f"zilliz://{DEDICATED_CLUSTER_ID}"
    }


def short(event: dict[str, Any]) -> tuple[str, list[str], list[tuple[str, str]]]:
    """Return what an event tells: its type, what was read, and what was made with what change."""
    changes = [data["facets"]["lifecycleStateChange"]["lifecycleStateChange"] for data in event["outputs"]]
    outputs = [(data["name"], change) for data, change in zip(event["outputs"], changes, strict=True)]
    return event["eventType"], [data["name"] for data in event["inputs"]], outputs
