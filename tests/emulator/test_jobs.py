from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_zbackup.emulator import ControlPlane, JobPlan, seed
from airflow_provider_zbackup.emulator.jobs import Job
from tests.clock import VirtualClock
from tests.emulator.api import Api

CLUSTER = seed.DEDICATED_CLUSTER_ID


def follow(
    api: Api, clock: VirtualClock, job_id: str, moments: Sequence[float] = (0, 3, 4, 3)
) -> list[tuple[str, Any]]:
    seen = []
    for seconds in moments:
        clock.sleep(seconds)
        job = api.job(job_id)
        seen.append((job["status"], job.get("progress", "absent")))
    return seen


def test_a_job_goes_from_pending_to_successful(api: Api, clock: VirtualClock) -> None:
    job_id = api.create(CLUSTER)["jobId"]

    assert api.job(job_id) == {
        "jobId": job_id,
        "type": "BACKUP",
        "status": "PENDING",
        "progress": "0",
        "startTime": "2026-03-02T10:00:00Z",
        "endTime": "",
        "reason": "",
    }
    assert follow(api, clock, job_id) == [
        ("PENDING", "0"),
        ("IN_PROGRESS", "30"),
        ("IN_PROGRESS", "70"),
        ("SUCCESSFUL", "100"),
    ]
    clock.sleep(1000)
    assert api.job(job_id)["endTime"] == "2026-03-02T10:00:10Z"


def test_a_job_may_take_no_time(api: Api, control_plane: ControlPlane) -> None:
    control_plane.configure(job_seconds=0)

    assert api.job(api.create(CLUSTER)["jobId"])["status"] == "SUCCESSFUL"


def test_an_unknown_job_is_not_found(api: Api) -> None:
    assert api.error("GET", "/jobs/job-nowhere") == (
        96026,
        "Job not found. Please check your request parameter.",
    )


@pytest.mark.parametrize("status", ["FAILED", "CANCELED", "ERROR"])
def test_a_job_that_ends_badly_takes_its_backup_with_it(
    api: Api, control_plane: ControlPlane, clock: VirtualClock, status: str
) -> None:
    control_plane.faults.add(
        "create_backup", job={"status": status, "at_progress": 70, "reason": "disk full"}
    )
    created = api.create(CLUSTER)
    path = f"/clusters/{CLUSTER}/backups/{created['backupId']}"

    assert follow(api, clock, created["jobId"]) == [
        ("PENDING", "0"),
        ("IN_PROGRESS", "30"),
        (status, "70"),
        (status, "70"),
    ]
    job = api.job(created["jobId"])
    assert (job["reason"], job["endTime"]) == ("disk full", "2026-03-02T10:00:07Z")
    assert api.listed() == []
    assert api.error("GET", path)[0] == 404


@pytest.mark.parametrize("status", ["CANCELING", "HIBERNATING", "IN_PROGRESS"])
def test_a_job_may_never_end(api: Api, control_plane: ControlPlane, clock: VirtualClock, status: str) -> None:
    control_plane.faults.add("create_backup", job={"status": status, "at_progress": 70})
    created = api.create(CLUSTER)
    clock.sleep(1_000_000)

    job = api.job(created["jobId"])
    assert (job["status"], job["progress"], job["endTime"]) == (status, "70", "")
    assert [item["status"] for item in api.listed()] == ["CREATING"]


def test_a_job_may_be_canceling_before_it_is_canceled(
    api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    control_plane.faults.add("create_backup", job={"running_status": "CANCELING", "status": "CANCELED"})
    job_id = api.create(CLUSTER)["jobId"]

    assert [status for status, _ in follow(api, clock, job_id)] == [
        "PENDING",
        "CANCELING",
        "CANCELING",
        "CANCELED",
    ]


@pytest.mark.parametrize(
    ("shown", "progress"), [("number", 30), ("null", None), ("absent", "absent"), ("soon", "soon")]
)
def test_progress_may_look_otherwise(
    api: Api, control_plane: ControlPlane, clock: VirtualClock, shown: str, progress: Any
) -> None:
    control_plane.faults.add("create_backup", job={"progress": shown})
    job_id = api.create(CLUSTER)["jobId"]

    assert follow(api, clock, job_id, [3]) == [("IN_PROGRESS", progress)]


def test_one_job_may_take_longer_than_the_others(
    api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    control_plane.faults.add("create_backup", skip=1, times=1, job={"seconds": 100})
    ends = []
    for _ in range(3):
        job_id = api.create(CLUSTER)["jobId"]
        clock.sleep(100)
        ends.append(api.job(job_id)["endTime"])

    assert ends == ["2026-03-02T10:00:10Z", "2026-03-02T10:03:20Z", "2026-03-02T10:03:30Z"]


def test_jobs_and_backups_may_lag(api: Api, control_plane: ControlPlane, clock: VirtualClock) -> None:
    control_plane.configure(job_lag=2, list_lag=5)
    created = api.create(CLUSTER)

    assert api.error("GET", f"/jobs/{created['jobId']}")[0] == 96026
    assert api.listed() == []
    clock.sleep(2)
    assert api.job(created["jobId"])["status"] == "IN_PROGRESS"
    assert api.listed() == []
    clock.sleep(3)
    assert len(api.listed()) == 1


@pytest.mark.parametrize("plan", [{"at_progress": 101}, {"at_progress": -1}, {"seconds": -1}])
def test_impossible_plans_are_refused(plan: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(plan))):
        JobPlan(**plan)


@given(
    seconds=st.floats(0, 1e6),
    at_progress=st.integers(0, 100),
    moments=st.lists(st.floats(0, 2e6), min_size=2),
)
def test_progress_never_goes_back(seconds: float, at_progress: int, moments: list[float]) -> None:
    job = Job("job-0", "BACKUP", CLUSTER, 0.0, seconds, JobPlan(at_progress=at_progress))

    shown = [job.percent(moment) for moment in sorted(moments)]

    assert shown == sorted(shown)
    assert all(0 <= percent <= at_progress for percent in shown)
