"""Creating a backup when an earlier try has left a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import (
    ZillizConflictError,
    ZillizConnectionError,
    ZillizNotFoundError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizUncertainError,
)
from airflow_provider_zbackup.zilliz.flows.creation import CreateBackupSubmission, CreateRecord
from airflow_provider_zbackup.zilliz.flows.polling import LOOK_UP_LAG
from airflow_provider_zbackup.zilliz.flows.recovery import CLOCK_TOLERANCE, LATENESS, LIST_LAG, LONGEST_SEARCH
from airflow_provider_zbackup.zilliz.flows.steps import Reply
from airflow_provider_zbackup.zilliz.flows.submission import submit_once
from airflow_provider_zbackup.zilliz.models import BackupCreation, Cluster
from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest
from tests.zilliz.driver import CLUSTER, Driver, at, backup, job, page

REQUEST = CreateBackupRequest.of()
SUBMISSION = CreateBackupSubmission(CLUSTER, REQUEST)
MADE = BackupCreation(backup_id="new", job_id="job-2")
SENT = CreateRecord(
    cluster_id=CLUSTER,
    backup_type=REQUEST.backup_type,
    first_sent=at(-10),
    answer_deadline=at(20),
    known=("old",),
)
ANSWERED = SENT.model_copy(update={"backup_id": "backup-1", "job_id": "job-1"})
FORGOTTEN = ANSWERED.model_copy(update={"job_id": ""})
ADOPTED = SENT.model_copy(update={"backup_id": "backup-1", "adopted": True})
UNKNOWN = ZillizNotFoundError("Unknown.")


def cloud(
    jobs: Callable[[float], Any] = lambda elapsed: UNKNOWN,
    backups: Callable[[float], Any] = lambda elapsed: UNKNOWN,
    listed: Callable[[float], Any] = lambda elapsed: page(),
) -> Driver:
    """Return a cloud of which each answer depends on the seconds since the start."""
    answers: dict[str, Callable[[float], Any]] = {
        "describe job": jobs,
        "describe backup": backups,
        "list backups": listed,
        "describe cluster": lambda elapsed: Cluster(cluster_id=CLUSTER),
        "create backup": lambda elapsed: MADE,
    }
    driver = Driver(lambda operation: answers[operation.name](driver.elapsed))
    return driver


def create(driver: Driver, record: CreateRecord) -> CreateRecord:
    return driver.run(submit_once(SUBMISSION, record=record.save().record))


@pytest.mark.parametrize("status", ["PENDING", "IN_PROGRESS", "CANCELING", "FUTURE", ""])
def test_a_running_job_is_gone_on_with(status: str) -> None:
    driver = cloud(jobs=lambda elapsed: job(status))
    assert create(driver, ANSWERED) == ANSWERED
    assert driver.calls == ["describe job"]


@pytest.mark.parametrize("status", ["CREATING", "AVAILABLE", "FUTURE"])
def test_a_finished_job_whose_backup_is_there_is_gone_on_with(status: str) -> None:
    driver = cloud(lambda elapsed: job("SUCCESSFUL"), lambda elapsed: backup(status=status))
    assert create(driver, ANSWERED) == ANSWERED
    assert driver.calls == ["describe job", "describe backup"]


@pytest.mark.parametrize("status", ["FAILED", "ERROR", "CANCELED", "CANCELLED"])
def test_a_job_that_ended_badly_is_made_again(status: str) -> None:
    driver = cloud(jobs=lambda elapsed: job(status))
    assert create(driver, ANSWERED).backup_id == "new"
    assert driver.calls == ["describe job", "list backups", "create backup"]


@pytest.mark.parametrize("jobs", [lambda elapsed: job("SUCCESSFUL"), lambda elapsed: UNKNOWN])
def test_a_deleted_backup_is_made_again(jobs: Callable[[float], Any]) -> None:
    driver = cloud(jobs, lambda elapsed: backup(status="DELETED"))
    assert create(driver, ANSWERED).backup_id == "new"
    assert driver.elapsed == 0


def test_a_job_that_is_not_known_yet_is_not_lost() -> None:
    """The service may not know a new job at first, and the task needs the job to tell how it ends."""
    driver = cloud(backups=lambda elapsed: backup(status="CREATING"))
    assert create(driver, ANSWERED) == ANSWERED
    assert driver.records == [ANSWERED.save().record]


def test_a_job_that_is_not_known_any_more_leaves_the_backup_to_look_at() -> None:
    driver = cloud(backups=lambda elapsed: backup())
    assert create(driver, ANSWERED) == FORGOTTEN
    assert driver.elapsed == 0
    assert driver.notes == [
        f"Backup backup-1 of cluster in01-cluster comes from an earlier try, sent {ANSWERED.first_sent}."
    ]


def test_an_adopted_backup_has_no_job_to_look_at() -> None:
    driver = cloud(backups=lambda elapsed: backup(status="CREATING"))
    assert create(driver, ADOPTED) == ADOPTED
    assert driver.calls == ["describe backup"]


def test_what_is_not_found_yet_is_looked_for_again() -> None:
    driver = cloud(backups=lambda elapsed: UNKNOWN if elapsed < 20 else backup(status="CREATING"))
    assert create(driver, ANSWERED) == ANSWERED
    assert 20 <= driver.elapsed <= 25
    assert driver.calls.count("describe job") == 1
    assert set(driver.notes[:-1]) == {
        "Backup backup-1 of cluster in01-cluster (from an earlier try) is not found yet. Looking again."
    }


def test_what_stays_unknown_is_made_again() -> None:
    driver = cloud()
    assert create(driver, ANSWERED).backup_id == "new"
    assert LOOK_UP_LAG <= driver.elapsed <= LOOK_UP_LAG + 5


@pytest.mark.parametrize(
    ("jobs", "status", "is_kept"),
    [
        (job(), "CREATING", True),
        (job("SUCCESSFUL"), "CREATING", True),
        (job("SUCCESSFUL"), "AVAILABLE", False),
        (UNKNOWN, "AVAILABLE", False),
    ],
    ids=["job runs", "nearly finished", "finished", "finished long ago"],
)
def test_after_a_clearing_only_what_is_in_the_making_is_gone_on_with(
    jobs: Any, status: str, is_kept: bool
) -> None:
    driver = cloud(lambda elapsed: jobs, lambda elapsed: backup(status=status))
    flow = submit_once(SUBMISSION, record=ANSWERED.save().record, only_unfinished=True)
    assert (driver.run(flow).backup_id == "backup-1") is is_kept


@pytest.mark.parametrize(("status", "is_kept"), [("CREATING", True), ("AVAILABLE", False)])
def test_after_a_clearing_only_what_is_in_the_making_is_adopted(status: str, is_kept: bool) -> None:
    driver = cloud(listed=lambda elapsed: page(backup("ours", status=status)))
    flow = submit_once(SUBMISSION, record=SENT.save().record, only_unfinished=True)
    assert driver.run(flow).backup_id == ("ours" if is_kept else "new")


REFUSED = ZillizRefusedError("No such thing.", code=12345)


def test_a_backup_that_cannot_be_described_and_is_in_the_list_is_not_made_again() -> None:
    """No code is documented for a backup that does not exist."""
    driver = cloud(backups=lambda elapsed: REFUSED, listed=lambda elapsed: page(backup(status="CREATING")))
    with pytest.raises(ZillizRefusedError):
        create(driver, ADOPTED)
    assert driver.records == []


def test_a_backup_that_can_neither_be_described_nor_found_in_the_list_is_made_again() -> None:
    driver = cloud(backups=lambda elapsed: REFUSED)
    assert create(driver, ADOPTED).backup_id == "new"
    assert LOOK_UP_LAG <= driver.elapsed <= LOOK_UP_LAG + 5


def test_trouble_is_ridden_out_while_looking() -> None:
    trouble = iter([ZillizServerError("Down."), ZillizConnectionError("Gone."), job()])
    assert create(cloud(jobs=lambda elapsed: next(trouble)), ANSWERED) == ANSWERED


def test_trouble_that_lasts_ends_the_try_and_not_the_record() -> None:
    driver = cloud(jobs=lambda elapsed: ZillizServerError("Down."))
    with pytest.raises(ZillizServerError):
        create(driver, ANSWERED)
    assert driver.records == []


def test_what_was_sent_is_found_in_the_list() -> None:
    driver = cloud(listed=lambda elapsed: page(backup("ours") if elapsed >= 5 else backup("old")))
    found = create(driver, SENT)
    assert (found.backup_id, found.adopted) == ("ours", True)
    assert driver.records == [found.save().record]


def test_what_was_sent_and_is_in_no_list_is_sent_again() -> None:
    driver = cloud()
    assert create(driver, SENT).backup_id == "new"
    assert driver.elapsed == pytest.approx(20 + LATENESS + LIST_LAG + CLOCK_TOLERANCE)


@pytest.mark.parametrize("seconds", [LONGEST_SEARCH, 86_400.0])
def test_what_was_sent_is_not_looked_for_for_ever(seconds: float) -> None:
    driver = cloud()
    assert create(driver, SENT.model_copy(update={"answer_deadline": at(seconds)})).backup_id == "new"
    assert driver.elapsed == pytest.approx(LONGEST_SEARCH)


def test_one_look_is_enough_long_afterwards() -> None:
    long_ago = SENT.model_copy(update={"first_sent": at(-500), "answer_deadline": at(-470)})
    driver = cloud()
    assert create(driver, long_ago).backup_id == "new"
    assert driver.elapsed == 0


def test_long_afterwards_somebody_may_be_in_the_way() -> None:
    long_ago = SENT.model_copy(update={"first_sent": at(-500), "answer_deadline": at(-470)})
    driver = cloud(listed=lambda elapsed: page(backup(status="CREATING")))
    with pytest.raises(ZillizConflictError):
        create(driver, long_ago)


def test_without_a_date_header_the_workers_clock_tells_how_long_to_look() -> None:
    driver = cloud(listed=lambda elapsed: Reply(page()))
    assert create(driver, SENT).backup_id == "new"
    assert driver.elapsed == pytest.approx(20 + LATENESS + LIST_LAG + CLOCK_TOLERANCE)


def test_two_in_the_list_are_one_too_many() -> None:
    driver = cloud(listed=lambda elapsed: page(backup("one"), backup("two")))
    with pytest.raises(ZillizUncertainError):
        create(driver, SENT)


@pytest.mark.parametrize(
    "damage",
    [
        {"cluster_id": None},
        {"backup_type": ["CLUSTER"]},
        {"first_sent": "yesterday"},
        {"answer_deadline": None},
        {"known": 5},
        {"backup_id": ["b"]},
        {"adopted": "perhaps"},
    ],
    ids=str,
)
def test_a_record_that_cannot_be_read_may_hide_a_backup(damage: dict[str, Any]) -> None:
    driver = cloud()
    kept = {**(SENT.save().record or {}), **damage}
    with pytest.raises(ZillizUncertainError, match=r"cannot be read: .*on_uncertain"):
        driver.run(submit_once(SUBMISSION, record=kept))
    assert driver.steps == []


def test_an_empty_record_cannot_be_read_either() -> None:
    with pytest.raises(ZillizUncertainError):
        cloud().run(submit_once(SUBMISSION, record={}))


def key(cluster_id: str = CLUSTER, **request: Any) -> str:
    return CreateBackupSubmission(cluster_id, CreateBackupRequest.of(**request)).key


@pytest.mark.parametrize(
    "other",
    [
        {"cluster_id": "in01-another"},
        {"collections": ["a"]},
        {"collections": ["a", "b"], "database": "sales"},
        {"collections": ["a", "b"], "copy_to_regions": ["x"]},
    ],
    ids=str,
)
def test_the_record_of_something_else_does_not_count(other: dict[str, Any]) -> None:
    assert key(**other) not in (key(), key(collections=["a", "b"]))


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"collections": ["a", "b"]}, {"collections": ["b", "a"]}),
        (
            {"collections": ["a"], "copy_to_regions": ["x", "y"]},
            {"collections": ["a"], "copy_to_regions": ["y", "x"]},
        ),
    ],
    ids=["collections", "regions"],
)
def test_the_order_of_names_does_not_make_it_something_else(
    first: dict[str, Any], then: dict[str, Any]
) -> None:
    assert key(**first) == key(**then)


def test_a_retry_after_a_clearing_goes_on_with_what_the_first_try_after_it_found() -> None:
    """It is saved again, and so belongs to the tries after the clearing."""
    driver = cloud(lambda elapsed: job())
    driver.run(submit_once(SUBMISSION, record=ANSWERED.save().record, only_unfinished=True))
    assert driver.records == [ANSWERED.save().record]


def test_what_is_doubtful_while_it_runs_is_saved_again_after_a_clearing() -> None:
    listed = backup("new", backup_type="", status="CREATING")
    driver = cloud(backups=lambda elapsed: listed, listed=lambda elapsed: page(listed))
    with pytest.raises(ZillizConflictError, match="Cannot tell yet"):
        driver.run(submit_once(SUBMISSION, record=SENT.save().record, only_unfinished=True))
    assert driver.records == [SENT.save().record]


def test_a_clearing_alone_does_not_end_a_doubt() -> None:
    driver = cloud(listed=lambda elapsed: page(backup("one"), backup("two")))
    with pytest.raises(ZillizUncertainError):
        driver.run(submit_once(SUBMISSION, record=SENT.save().record, only_unfinished=True))


@pytest.mark.parametrize("backups", [backup(), UNKNOWN], ids=["there", "unknown"])
def test_a_job_that_is_refused_leaves_the_backup_to_look_at(backups: Any) -> None:
    """No code is documented for a job that is forgotten."""
    driver = cloud(lambda elapsed: REFUSED, lambda elapsed: backups)
    if backups is UNKNOWN:
        with pytest.raises(ZillizRefusedError):
            create(driver, ANSWERED)
        assert "create backup" not in driver.calls
    else:
        assert create(driver, ANSWERED) == ANSWERED
