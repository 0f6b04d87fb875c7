"""Waiting for the copies of a backup in other regions."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import (
    ZillizError,
    ZillizNotFoundError,
    ZillizPermissionError,
    ZillizServerError,
)
from airflow_provider_zbackup.zilliz.flows.copies import may_be_copy, wait_for_copies
from airflow_provider_zbackup.zilliz.flows.polling import Wait
from airflow_provider_zbackup.zilliz.models import Backup
from airflow_provider_zbackup.zilliz.operations import Operation
from tests.clock import START
from tests.zilliz.driver import Driver, at, backup, job, page

EAST, WEST, HOME_REGION = "aws-us-east-1", "aws-us-west-1", "aws-us-west-2"
WAIT = Wait(deadline=START + 7200)


def held(*names: str) -> Any:
    collections = [{"collectionName": name} for name in names]
    return Backup.model_validate({"dbCollections": [{"collections": collections}]}).db_collections


HOME = backup("home", create_time=at(-100), region_id=HOME_REGION, db_collections=held("orders"))


def copy(backup_id: str = "copy", region_id: str | None = EAST, begun: float = -40, **facts: Any) -> Backup:
    return backup(backup_id, region_id=region_id, create_time=at(begun), **facts)


@pytest.mark.parametrize(
    ("facts", "is_one"),
    [
        ({}, True),
        ({"region_id": None}, True),
        ({"create_time": at(-42)}, True),
        ({"create_time": HOME.create_time}, True),
        ({"backup_id": "home"}, True),
        ({"creation_method": ""}, True),
        ({"cluster_id": ""}, True),
        ({"db_collections": held("orders")}, True),
        ({"status": "CREATING"}, True),
        ({"create_time": at(-60)}, False),
        ({"create_time": None}, False),
        ({"backup_id": "home", "region_id": None}, False),
        ({"backup_id": "home", "region_id": HOME_REGION}, False),
        ({"backup_id": ""}, False),
        ({"creation_method": "AUTO"}, False),
        ({"cluster_id": "in01-other"}, False),
        ({"db_collections": held("users")}, False),
        ({"backup_type": "COLLECTION"}, False),
        ({"status": "FAILED"}, False),
        ({"status": "DELETED"}, False),
    ],
    ids=str,
)
def test_what_may_be_a_copy(facts: dict[str, Any], is_one: bool) -> None:
    assert may_be_copy(HOME, copy().model_copy(update=facts), at(-40)) is is_one


def test_without_the_end_of_the_job_the_begin_of_the_backup_counts() -> None:
    assert may_be_copy(HOME, copy(begun=-99), None)
    assert not may_be_copy(HOME, copy(begun=-200), None)
    assert not may_be_copy(HOME.model_copy(update={"create_time": None}), copy(), None)


class Cloud:
    """Shows backups from a moment on. Its list shows no regions."""

    def __init__(self, *backups: tuple[float, Backup], end: Any = None) -> None:
        self.backups = backups
        self.end = end or job("SUCCESSFUL", end_time=at(-40))
        self.failures: dict[str, ZillizError] = {}
        self.driver = Driver(self.answer)

    def answer(self, operation: Operation[Any]) -> Any:
        if operation.name in self.failures:
            return self.failures.pop(operation.name)
        if operation.name == "describe job":
            return self.end
        # What is shown later replaces what was shown before.
        shown = {made.backup_id: made for since, made in self.backups if self.driver.elapsed >= since}
        if operation.name == "list backups":
            hidden = {"region_id": None, "db_collections": ()}
            return page(HOME, *(made.model_copy(update=hidden) for made in shown.values()))
        backup_id = operation.path.rpartition("/")[2]
        return shown.get(backup_id, ZillizNotFoundError("Unknown."))

    def wait(
        self, *regions: str, wait: Wait = WAIT, longest: float = 600, job_id: str | None = "job-1"
    ) -> Any:
        flow = wait_for_copies(HOME, regions or (EAST,), wait, longest=longest, job_id=job_id)
        return self.driver.run(flow)


def state(region_id: str, backup_id: str | None = None, status: str | None = None) -> dict[str, Any]:
    return {"region_id": region_id, "backup_id": backup_id, "status": status}


def test_each_region_is_waited_for() -> None:
    cloud = Cloud(
        (0, copy("e", EAST, status="CREATING")),
        (100, copy("e", EAST)),
        (50, copy("w", WEST, 20)),
        (0, backup("old", region_id=WEST, create_time=at(-500))),
    )
    assert cloud.wait(EAST, WEST) == [state(EAST, "e", "AVAILABLE"), state(WEST, "w", "AVAILABLE")]
    assert 100 <= cloud.driver.elapsed <= 130
    assert cloud.driver.calls.count("describe backup") == 2, "each candidate once"
    assert f"CREATING in {EAST}, not seen yet in {WEST}; " in cloud.driver.notes[0]


def test_the_time_is_counted_from_the_end_of_the_job() -> None:
    """So it ends at the same moment, in whichever process it waits."""
    cloud = Cloud((0, copy(status="CREATING")))
    assert cloud.wait() == [state(EAST, "copy", "CREATING")]
    assert cloud.driver.elapsed == pytest.approx(560)
    assert "No longer waiting for the copies of backup home." in cloud.driver.notes[-1]


@pytest.mark.parametrize(
    ("end", "job_id"),
    [(ZillizNotFoundError("Unknown."), "job-1"), (job("SUCCESSFUL"), "job-1"), (None, None)],
)
def test_without_that_moment_it_is_counted_from_now(end: Any, job_id: str | None) -> None:
    cloud = Cloud(end=end)
    assert cloud.wait(job_id=job_id) == [state(EAST)]
    assert cloud.driver.elapsed == pytest.approx(600)


def test_the_deadline_counts_too() -> None:
    cloud = Cloud()
    assert cloud.wait(wait=WAIT._replace(deadline=START + 60)) == [state(EAST)]
    assert cloud.driver.elapsed == pytest.approx(60)


def test_a_later_copy_of_something_else_is_not_taken() -> None:
    cloud = Cloud(
        (0, copy("later", begun=100)), (0, copy("ours")), (0, copy("elsewhere", "aws-eu-central-1"))
    )
    assert cloud.wait() == [state(EAST, "ours", "AVAILABLE")]
    cloud = Cloud((0, copy("users", db_collections=held("users"))))
    assert cloud.wait() == [state(EAST)]


def test_a_copy_that_vanishes_is_not_reported() -> None:
    cloud = Cloud((0, copy(status="CREATING")), (200, copy(status="FAILED")))
    assert cloud.wait() == [state(EAST)]


def test_nothing_fails_the_backup() -> None:
    cloud = Cloud((0, copy()))
    cloud.failures = {
        "describe job": ZillizServerError("Down."),
        "list backups": ZillizServerError("Down."),
        "describe backup": ZillizNotFoundError("Not yet."),
    }
    assert cloud.wait() == [state(EAST, "copy", "AVAILABLE")]
    cloud = Cloud((0, copy()))
    cloud.failures = {"list backups": ZillizPermissionError("No.")}
    assert cloud.wait() == [state(EAST)]
    assert cloud.driver.elapsed == 0


def test_leaving_the_wait() -> None:
    assert Cloud().wait(wait=WAIT._replace(leave_after=START)) is None
