"""Which listed backups are being made, and which are copies that are being made in other regions."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import ZillizError, ZillizPermissionError, ZillizServerError
from airflow_provider_zbackup.zilliz.flows.running import CACHED, RunningBackups
from airflow_provider_zbackup.zilliz.flows.steps import Flow, Reply
from airflow_provider_zbackup.zilliz.models import Backup, Cluster
from tests.zilliz.driver import Driver, at, backup

HOME, ELSEWHERE = "aws-us-west-2", "aws-us-east-1"


def world(region: Any = ELSEWHERE, home: Any = HOME) -> Driver:
    """Return a cloud in which the backup and its cluster lie there; or what the look at them gives."""
    answers = {
        "describe backup": region if isinstance(region, ZillizError) else Backup(region_id=region),
        "describe cluster": home if isinstance(home, ZillizError) else Cluster(region_id=home),
    }
    return Driver(lambda operation: answers[operation.name])


def among(driver: Driver, *backups: Backup, running: RunningBackups | None = None) -> list[str]:
    def flow() -> Flow[list[str]]:
        found = yield from (running or RunningBackups(attempts=1)).among(Reply(list(backups), at(0)))
        return [each.backup_id for each in found]

    return driver.run(flow())


MAKING = backup("making", status="CREATING")


@pytest.mark.parametrize(
    ("region", "home", "is_made"),
    [
        (HOME, HOME, True),
        (ELSEWHERE, HOME, False),
        (None, HOME, True),
        ("", HOME, True),
        (ELSEWHERE, "", True),
        (ZillizServerError("Down."), HOME, True),
        (ELSEWHERE, ZillizPermissionError("Not yours."), True),
    ],
)
def test_only_another_region_shows_that_it_is_a_copy(region: Any, home: Any, is_made: bool) -> None:
    assert among(world(region, home), MAKING, backup("old")) == ["making"] * is_made


def test_what_is_finished_and_running_is_finished_and_copied() -> None:
    """Or it has ended between two pages of the list."""
    driver = world(HOME)
    assert among(driver, MAKING, backup("making")) == []
    assert driver.calls == []


def test_without_an_id_it_is_no_copy() -> None:
    assert among(world(), backup("", status="CREATING"), backup("")) == [""]


def test_who_is_not_running_is_not_looked_at() -> None:
    driver = world()
    assert among(driver, backup("old"), backup("failed", status="FAILED")) == []
    assert driver.calls == []


@pytest.mark.parametrize("region", [HOME, ELSEWHERE, ""])
def test_each_is_looked_at_once(region: str) -> None:
    driver, running = world(region), RunningBackups()
    first = among(driver, MAKING, running=running)
    assert among(driver, MAKING, running=running) == first
    assert driver.calls == ["describe backup", "describe cluster"]
    assert {operation.max_age for operation in driver.sent} == {CACHED}, "Waits share what they see."


def test_what_could_not_be_seen_is_looked_at_again() -> None:
    driver, running = world(ZillizServerError("Down.")), RunningBackups(attempts=1)
    assert among(driver, MAKING, running=running) == ["making"]
    assert among(world(), MAKING, running=running) == []
