"""Many tasks at a time: deferred tasks occupy no worker, and backups of one cluster take turns."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.e2e.task_run import TaskRun, wait_for_all
from tests.e2e.world import World

pytestmark = pytest.mark.e2e

JOBS = 20


def test_backups_of_one_cluster_take_turns(world: World) -> None:
    world.cloud.configure(job_seconds=3)
    other = world.cloud.start_backup(seconds=3600)
    mapped = world.run("backups_of_one_cluster")
    tasks = [mapped.mapped(index) for index in range(3)] + [world.run("backup_deferred")]

    wait_for_all(tasks, "deferred")
    assert world.cloud.creates_done() == 0
    world.cloud.cancel(other)
    results = [task.result() for task in tasks]

    _, *ours = world.cloud.backups()
    assert sorted(result["backup_id"] for result in results) == sorted(it["backupId"] for it in ours)
    assert all(task.try_number() == 1 for task in tasks)
    ends = [world.cloud.job(backup["jobId"])["endTime"] for backup in ours]
    begins = [backup["createTime"] for backup in ours]
    assert all(begin >= end for begin, end in zip(begins[1:], ends[:-1], strict=True)), "Backups overlap"
    refused = len(world.cloud.requests("create_backup")) - len(ours)
    assert refused <= 3, "Only a create sent at the same moment as another may be refused"


def test_twenty_deferred_sensors_occupy_no_worker(world: World) -> None:
    backups = [world.cloud.start_backup(seconds=60) for _ in range(JOBS)]
    run = world.run("jobs", "job", conf={"job_ids": [backup["jobId"] for backup in backups]})
    run.wait_for_mapped(JOBS)
    sensors = [run.mapped(index) for index in range(JOBS)]

    wait_for_all(sensors, "deferred")
    assert world.stack.api.pool("default_pool")["running_slots"] == 0
    assert world.stack.api.pool("default_pool")["occupied_slots"] == 0
    assert all(not world.cloud.job(backup["jobId"])["endTime"] for backup in backups), (
        "The jobs must be longer"
    )

    wait_for_all(sensors, "success")
    seen = [sensor.result() for sensor in sensors]
    assert [it["job_id"] for it in seen] == [backup["jobId"] for backup in backups]
    assert all(it["status"] == "SUCCESSFUL" for it in seen)


def test_gate_waits_for_an_automatic_backup(world: World) -> None:
    backup = world.cloud.start_backup(seconds=3600, creation_method="AUTO")
    gate = world.run("gate", "gate")
    gate.wait_for("deferred")
    world.cloud.cancel(backup)

    change = TaskRun(world.stack, "gate", gate.run_id, "change_schema")
    change.wait_for("success")

    begin = datetime.fromisoformat(change.details()["start_date"])
    assert begin >= datetime.fromisoformat(world.cloud.job(backup["jobId"])["endTime"])
    # One that was canceled is no backup.
    assert gate.result() == {"backups": 0}
    assert world.cloud.requests("create_backup") == []
