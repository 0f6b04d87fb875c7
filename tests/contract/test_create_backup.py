"""The create operator against the emulator, over real HTTP."""

from __future__ import annotations

import re
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_zbackup.emulator import FaultRule, JobPlan
from airflow_provider_zbackup.emulator.seed import FREE_CLUSTER_ID, SERVERLESS_CLUSTER_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.zilliz.errors import (
    ZillizConflictError,
    ZillizJobCanceledError,
    ZillizJobFailedError,
    ZillizTimeoutError,
)
from tests.support import CLUSTER_ID, TaskInstance, World

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])


def create(**arguments: Any) -> TaskInstance:
    arguments = {"cluster_id": CLUSTER_ID} | arguments
    return TaskInstance(lambda: ZillizCreateBackupOperator(task_id="task", **arguments))


@MODES
def test_the_bodies_and_paths_are_those_of_the_guide(world: World, deferrable: bool) -> None:
    create(deferrable=deferrable).run()
    create(deferrable=deferrable, collections=["medium_articles"]).run()
    sent = [(request.method, request.path, request.body) for request in world.requests("create_backup")]
    path = f"/v2/clusters/{CLUSTER_ID}/backups/create"
    assert sent == [
        ("POST", path, {"backupType": "CLUSTER"}),
        (
            "POST",
            path,
            {
                "backupType": "COLLECTION",
                "dbCollections": [{"collectionNames": ["medium_articles"]}],
            },
        ),
    ]


@MODES
def test_result(world: World, deferrable: bool) -> None:
    task = create(deferrable=deferrable)
    result = task.run()
    (backup,) = world.backups()
    (created,) = world.requests("create_backup")
    assert created.work_done
    assert re.fullmatch(r"job-\w+", result.pop("job_id"))
    assert result == {
        "cluster_id": CLUSTER_ID,
        "backup_id": backup.backup_id,
        "backup_name": "Dedicated-01_backup1",
        "backup_type": "CLUSTER",
        "status": "AVAILABLE",
        "size": backup.size,
        "region_id": "aws-us-west-2",
        "create_time": "2026-03-02T10:00:00Z",
        "adopted": False,
    }
    assert len(task.deferrals) == deferrable
