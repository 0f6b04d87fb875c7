"""Waiting for a backup, and for a cluster to be free of running backups."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBackupLostError,
    ZillizNotFoundError,
    ZillizRefusedError,
    ZillizThrottledError,
    ZillizTimeoutError,
)
from airflow_provider_zbackup.zilliz.flows.polling import CONFIRMATION_PAUSE, LOOK_UP_LAG, NEAR_END, Wait
from airflow_provider_zbackup.zilliz.flows.waiting import (
    QUEUE_JITTER,
    wait_for_backup,
    wait_for_job_or_product,
    wait_until_free,
)
from airflow_provider_zbackup.zilliz.models import Backup, Cluster, Job
from airflow_provider_zbackup.zilliz.operations import Operation, describe_backup, list_backups
from tests.clock import START
from tests.zilliz.driver import CLUSTER, Driver, always, at, backup, job, page, scripted

WAIT = Wait(deadline=START + 3600)
UNKNOWN = ZillizNotFoundError("Unknown.")
RUNNING, DONE = job(), job("SUCCESSFUL", progress=100)


def test_a_backup_is_waited_for_by_its_status() -> None:
    done = backup("b", size=7)
    driver = scripted(backup("b", status="CREATING"), backup("b", status="FUTURE"), backup("", size=7))
    assert driver.run(wait_for_backup(CLUSTER, "b", WAIT)) == done
    assert set(driver.sent) == {describe_backup(CLUSTER, "b")}
    assert driver.notes[1].startswith("Backup b is FUTURE; ")


def test_a_backup_in_no_known_state_is_told_as_such() -> None:
    driver = scripted(backup("b", status=""), backup("b"))
    driver.run(wait_for_backup(CLUSTER, "b", WAIT))
    assert driver.notes[0].startswith("Backup b is in no known state; ")


def test_a_deleted_backup_is_lost() -> None:
    with pytest.raises(ZillizBackupLostError, match=r"Backup b was deleted\."):
        scripted(backup("b", status="DELETED")).run(wait_for_backup(CLUSTER, "b", WAIT))


def test_a_backup_that_is_not_found_is_lost() -> None:
    with pytest.raises(
        ZillizBackupLostError, match=r"Backup b of cluster .* cannot be found.*Unknown\."
    ) as caught:
        always(UNKNOWN).run(wait_for_backup(CLUSTER, "b", WAIT))
    assert isinstance(caught.value.__cause__, ZillizNotFoundError)


def test_a_backup_that_cannot_be_described_and_is_not_listed_is_lost() -> None:
    """No code is documented for a backup that does not exist."""
    driver = Driver(
        lambda operation: (
            page(backup("other"))
            if operation.name == "list backups"
            else ZillizRefusedError("No such thing.", code=12345)
        )
    )
    with pytest.raises(ZillizBackupLostError, match=r"b .*cannot be found.*No such thing \(code 12345\)"):
        driver.run(wait_for_backup(CLUSTER, "b", WAIT))
    assert LOOK_UP_LAG <= driver.elapsed <= 2 * LOOK_UP_LAG + 1


@pytest.mark.parametrize(
    ("job_id", "end"),
    [("job-1", DONE), (None, backup("b")), ("", backup("b"))],
    ids=["job", "backup", "no id"],
)
def test_a_job_or_its_backup(job_id: str | None, end: Any) -> None:
    result = scripted(end).run(wait_for_job_or_product(job_id, CLUSTER, "b", WAIT))
    assert result == end.model_dump(mode="json", exclude={"db_collections"})
    assert "db_collections" not in (result or {})


@pytest.mark.parametrize("job_id", ["job-1", None])
def test_leaving_a_job_or_its_backup(job_id: str | None) -> None:
    leave = WAIT._replace(leave_after=START)
    assert scripted(Job()).run(wait_for_job_or_product("job-1", None, None, leave)) is None
    assert scripted(backup(status="CREATING")).run(wait_for_job_or_product(None, CLUSTER, "b", leave)) is None


def test_a_created_backup_is_confirmed_after_its_job() -> None:
    driver = scripted(RUNNING, DONE, backup("b", status="CREATING"), backup("b"))
    assert driver.run(wait_for_backup(CLUSTER, "b", WAIT, job_id="job-1")) == backup("b")
    assert driver.calls == ["describe job"] * 2 + ["describe backup"] * 2


def test_a_created_backup_whose_job_is_forgotten_is_waited_for_by_its_status() -> None:
    driver = Driver(
        lambda operation: (
            UNKNOWN
            if operation.name == "describe job"
            else backup("b", status="AVAILABLE" if driver.elapsed > 200 else "CREATING")
        )
    )
    assert driver.run(wait_for_backup(CLUSTER, "b", WAIT, job_id="job-1")) == backup("b")
    assert "Unknown. Waiting by the status of backup b of cluster in01-cluster instead." in driver.notes


def test_a_created_backup_without_a_job_id() -> None:
    driver = scripted(backup("b"))
    assert driver.run(wait_for_backup(CLUSTER, "b", WAIT, job_id=None)) == backup("b")


def test_a_backup_whose_job_has_ended_is_confirmed_soon_however_long_that_took() -> None:
    creating = backup("b", status="CREATING", create_time=at(-3000))
    driver = scripted(DONE, creating, creating, backup("b"))
    driver.run(wait_for_backup(CLUSTER, "b", WAIT._replace(since=START - 3000), job_id="job-1"))
    assert max(driver.pauses) <= 3000 / 100


@pytest.mark.parametrize(
    ("answers", "seconds"),
    [([RUNNING], 0.0), ([DONE, backup("b", status="CREATING")], 2 * NEAR_END)],
    ids=["in its job", "in its confirmation, whose end is near"],
)
def test_leaving_a_created_backup(answers: list[Any], seconds: float) -> None:
    leave = WAIT._replace(leave_after=START)
    driver = always(*answers)
    assert driver.run(wait_for_backup(CLUSTER, "b", leave, job_id="job-1")) is None
    assert driver.elapsed == pytest.approx(seconds, abs=1.5)


# A free cluster

BUSY = page(backup("b", status="CREATING", creation_method="AUTO"), backup("old"))
FREE = page(backup("b"), backup("old"))


def lists(*pages: Any) -> Driver:
    """Return a cloud with these lists, one after the other; the last one for ever."""
    answers = always(*pages).answer

    def answer(operation: Operation[Any]) -> Any:
        match operation.name:
            case "describe backup":
                return Backup(region_id="aws-us-west-2")
            case "describe cluster":
                return Cluster(region_id="aws-us-west-2")
        return answers(operation)

    return Driver(answer)


def test_free_must_be_seen_twice_in_a_row() -> None:
    driver = lists(FREE, BUSY, FREE, FREE)
    assert driver.run(wait_until_free(WAIT, cluster_id=CLUSTER)) == {"backups": 2}
    assert driver.sent[0] == list_backups(cluster_id=CLUSTER)
    assert driver.pauses[0] == driver.pauses[-1] == CONFIRMATION_PAUSE
    assert driver.notes[0].startswith(f"Cluster {CLUSTER} has no running backup; ")
    assert driver.notes[1].startswith(f"Cluster {CLUSTER} is busy with auto cluster backup b (CREATING); ")


def test_the_first_of_two_looks_is_not_the_time_to_leave() -> None:
    driver = lists(FREE, FREE)
    assert driver.run(wait_until_free(WAIT._replace(leave_after=START), cluster_id=CLUSTER)) == {"backups": 2}


def test_a_busy_cluster_is_a_time_to_leave() -> None:
    assert lists(BUSY).run(wait_until_free(WAIT._replace(leave_after=START), cluster_id=CLUSTER)) is None


def test_before_a_create_one_look_at_a_free_cluster_and_a_random_pause_are_enough() -> None:
    driver = lists(page())
    assert driver.run(wait_until_free(WAIT, cluster_id=CLUSTER, before_submission=True)) == {"backups": 0}
    (pause,) = driver.pauses
    assert 0 < pause <= QUEUE_JITTER


@pytest.mark.parametrize("before_submission", [True, False])
def test_leaving_takes_no_extra_pause(before_submission: bool) -> None:
    driver = lists(BUSY)
    leave = WAIT._replace(leave_after=START)
    assert driver.run(wait_until_free(leave, cluster_id=CLUSTER, before_submission=before_submission)) is None
    assert driver.pauses == []


SLOW = ZillizThrottledError("Slow.", retry_after=300.0, unprocessed=True)


@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_retry_after_does_not_carry_a_wait_past_its_deadline(before: int) -> None:
    """Neither in the first look nor in a later one, nor on a later page of the list."""
    full = page(*(backup(f"b{number}") for number in range(100)))
    driver = lists(*[BUSY] * before, full, SLOW)
    with pytest.raises(ZillizTimeoutError, match=r"Last seen: Slow\."):
        driver.run(wait_until_free(Wait(deadline=START + 100), cluster_id=CLUSTER))
    assert driver.elapsed == pytest.approx(100)


def test_a_page_that_fails_is_asked_for_once_per_look() -> None:
    driver = lists(SLOW, FREE, FREE)
    driver.run(wait_until_free(WAIT, cluster_id=CLUSTER))
    assert driver.pauses == [300.0, CONFIRMATION_PAUSE]


def test_the_pause_follows_the_oldest_running_backup() -> None:
    running = [backup(f"b{age}", status="CREATING", create_time=at(-age)) for age in (20, 100)]
    driver = lists(page(*running, backup("b", status="CREATING", create_time=None)), FREE, FREE)
    driver.run(wait_until_free(WAIT, cluster_id=CLUSTER))
    assert 9 <= driver.pauses[0] <= 11


def test_a_project_can_be_watched_instead() -> None:
    driver = lists(page(), page())
    driver.run(wait_until_free(WAIT, project_id="p-1"))
    assert set(driver.sent) == {list_backups(project_id="p-1")}
    assert driver.notes[0].startswith("Project p-1 has no running backup; ")


def test_an_id_is_told_as_it_is() -> None:
    driver = lists(BUSY, FREE, FREE)
    driver.run(wait_until_free(WAIT, cluster_id="in01-ABC"))
    assert "in01-ABC" in driver.notes[0]


NEVER_AVAILABLE = ["FAILED", "ERROR", "CANCELED", "CANCELLED", "DELETING", "DELETED"]


@pytest.mark.parametrize("status", NEVER_AVAILABLE)
def test_a_backup_that_will_never_be_available_is_lost_at_once(status: str) -> None:
    with pytest.raises(ZillizBackupLostError, match=f"Backup b (is {status}|was deleted)"):
        scripted(backup("b", status=status)).run(wait_for_backup(CLUSTER, "b", WAIT))


@pytest.mark.parametrize(
    ("status", "age", "blocks"),
    [
        ("CREATING", 90_000, True),
        ("FUTURE", 80_000, True),
        ("FUTURE", 90_000, False),
        ("", 90_000, False),
        *(
            (status, 0, False)
            for status in ("FAILED", "ERROR", "CANCELED", "CANCELLED", "DELETING", "DELETED")
        ),
    ],
)
def test_what_keeps_the_gate_shut(status: str, age: int, blocks: bool) -> None:
    """A status that nobody has documented does so only while the backup is young."""
    found = backup("b", status=status, create_time=at(-age))
    assert found.may_block(at(0)) is blocks
    driver = lists(page(found))
    end = driver.run(wait_until_free(WAIT._replace(leave_after=START + 5), cluster_id=CLUSTER))
    assert (end is None) is blocks
