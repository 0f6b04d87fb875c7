"""A create whose answer got lost: its result is searched for in the list."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import (
    ZillizConflictError,
    ZillizError,
    ZillizNotFoundError,
    ZillizPermissionError,
    ZillizProtocolError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizThrottledError,
    ZillizUncertainError,
)
from airflow_provider_zbackup.zilliz.flows.export import ExportBackupSubmission
from airflow_provider_zbackup.zilliz.flows.recovery import CLOCK_TOLERANCE, LATENESS, LIST_LAG
from airflow_provider_zbackup.zilliz.flows.started_jobs import JobRecord
from airflow_provider_zbackup.zilliz.flows.steps import Save
from airflow_provider_zbackup.zilliz.flows.submission import LONGEST_SKEW
from airflow_provider_zbackup.zilliz.models import Backup, BackupCreation
from airflow_provider_zbackup.zilliz.operations import create_backup
from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest
from tests.zilliz.creation_cloud import (
    CATCH_ALL,
    LOST,
    MADE,
    RUNNING,
    SOME,
    WHOLE,
    cloud,
    create,
    made_later,
    some_backup,
)
from tests.zilliz.driver import CLUSTER, Driver, at, backup, page


@pytest.mark.parametrize(
    "lost",
    [
        LOST,
        ZillizServerError("Bad gateway."),
        ZillizProtocolError("Garbage."),
        BackupCreation(job_id="job-1"),
    ],
    ids=["connection", "5xx", "unreadable", "no backup id"],
)
@pytest.mark.parametrize("lag", [0.0, 5.0, LIST_LAG])
def test_the_backup_of_a_lost_answer_is_found_in_the_list(lost: Any, lag: float) -> None:
    ours = backup("ours", backup_name="Name", create_time=at(1))
    driver = cloud([lost], made_later(ours, after=lag))
    found = create(driver)
    assert (found.backup_id, found.backup_name, found.job_id, found.adopted) == ("ours", "Name", "", True)
    assert driver.calls.count("create backup") == 1
    assert driver.steps[-1] == found.save()
    assert driver.notes[-1].startswith("Adopted manual cluster backup ours (AVAILABLE, ")


def test_nothing_found_is_sent_again_only_after_the_list_can_be_trusted() -> None:
    driver = cloud([LOST, MADE])
    assert create(driver).backup_id == "new"
    first, second = (
        index for index, step in enumerate(driver.steps) if step == create_backup(CLUSTER, WHOLE)
    )
    assert driver.calls[1:3] == ["create backup", "list backups"]
    between = Driver(driver.answer, steps=driver.steps[first:second])
    assert sum(between.pauses) >= LATENESS + LIST_LAG


def test_a_list_of_collections_that_fills_up_while_the_backup_is_made_is_awaited() -> None:
    request = CreateBackupRequest.of(["a", "b"])
    held: list[str] = []
    listed = made_later(backup("ours", backup_type="COLLECTION", status="CREATING", create_time=at(1)))
    driver = cloud([LOST], listed)
    answer = driver.answer
    driver.answer = lambda operation: (
        some_backup("ours", *held, status="CREATING", create_time=at(1))
        if operation.name == "describe backup"
        else answer(operation)
    )
    record = None
    for shown in ([], ["a"]):
        held[:] = shown
        # The task waits for the end of what is in the way, and looks again.
        with pytest.raises(ZillizConflictError):
            create(driver, request, record=record)
        record = next(step.record for step in reversed(driver.steps) if isinstance(step, Save))
    held[:] = ["b", "a"]
    assert create(driver, request, record=record).backup_id == "ours"
    assert driver.calls.count("create backup") == 1


@pytest.mark.parametrize(
    "other",
    [
        backup("other", creation_method="AUTO", create_time=at(1)),
        backup("other", backup_type="COLLECTION", create_time=at(1)),
        backup("other", create_time=at(-LONGEST_SKEW - 1)),
        backup("", create_time=at(1)),
        backup("other", create_time=at(LATENESS + CLOCK_TOLERANCE + 1)),
        backup("other", cluster_id="in01-another", create_time=at(1)),
        backup("other", status="FAILED", create_time=at(1)),
        backup("other", status="CANCELED", create_time=at(1)),
        backup("other", status="DELETED", create_time=at(1)),
    ],
    ids=[
        "automatic",
        "of another type",
        "too old",
        "no id",
        "too young",
        "of another cluster",
        "failed",
        "cancelled",
        "deleted",
    ],
)
def test_what_cannot_be_ours_is_not_adopted(other: Backup) -> None:
    assert create(cloud([LOST, MADE], made_later(other))).backup_id == "new"


@pytest.mark.parametrize("begun", [5.0, 30.0])
def test_what_began_while_nothing_was_unanswered_is_not_adopted(begun: float) -> None:
    """A colleague's short backup, between a call that was not carried out and the one that got lost."""
    throttled = ZillizThrottledError("Slow.", retry_after=77.0, unprocessed=True)
    theirs = backup("theirs", create_time=at(begun))
    driver = cloud([throttled, LOST, MADE], lambda elapsed: page(theirs) if elapsed > begun else page())
    with suppress(ZillizUncertainError):
        assert create(driver).backup_id == "new"
    assert not any(record and record["adopted"] for record in driver.records)


def test_a_call_that_is_sent_again_may_be_explained_by_the_one_before_it() -> None:
    """The first is unanswered, so what began with it is still looked for after the second."""
    ours = backup("ours", create_time=at(1))
    refused = ZillizServerError("Busy.", code=12345)
    driver = cloud([LOST, refused])
    inner = driver.answer

    def answer(operation: Any) -> Any:
        if driver.calls.count("create backup") == 2 and operation.name == "list backups":
            return page(ours)
        return inner(operation)

    driver.answer = answer
    found = create(driver, conflict_codes=[12345])
    assert (found.backup_id, found.adopted, found.first_sent) == ("ours", True, at(0))


def test_what_was_there_before_is_not_adopted() -> None:
    driver = cloud([LOST, MADE], lambda elapsed: page(backup("undated", create_time=None)))
    assert create(driver).backup_id == "new"


def test_an_undated_newcomer_is_adopted() -> None:
    assert create(cloud([LOST], made_later(backup("b", create_time=None)))).backup_id == "b"


def test_a_newcomer_whose_creation_method_is_unknown_is_adopted() -> None:
    assert create(cloud([LOST], made_later(backup("b", creation_method="")))).backup_id == "b"


@pytest.mark.parametrize(
    ("request_", "described"), [(WHOLE, backup("b")), (SOME, some_backup("b", "a"))], ids=["cluster", "some"]
)
def test_a_newcomer_of_unknown_type_is_looked_at(request_: CreateBackupRequest, described: Backup) -> None:
    driver = cloud([LOST], made_later(backup("b", backup_type="")), described)
    assert create(driver, request_).backup_id == "b"
    assert "describe backup" in driver.calls


def test_a_newcomer_whose_type_stays_unknown_is_not_passed_over() -> None:
    unknown = backup("b", backup_type="")
    with pytest.raises(ZillizUncertainError, match=r"backup b .*does not show"):
        create(cloud([LOST], made_later(unknown), unknown))


def test_two_that_may_be_ours_are_one_too_many() -> None:
    driver = cloud([LOST], made_later(backup("one"), backup("two")))
    with pytest.raises(
        ZillizUncertainError,
        match=r"2 backups may be from this task's unanswered call.*backup one.*backup two",
    ):
        create(driver)
    assert driver.calls.count("create backup") == 1
    assert driver.records[-1] is not None


def test_one_that_changes_between_two_pages_is_no_second_one() -> None:
    same = [backup("one", status=status) for status in ("CREATING", "AVAILABLE")]
    assert create(cloud([LOST], made_later(*same))).backup_id == "one"


def test_a_running_backup_that_is_not_ours_is_a_conflict_in_the_end() -> None:
    running = backup("auto", status="CREATING", creation_method="AUTO")
    driver = cloud([LOST], made_later(running))
    with pytest.raises(ZillizConflictError, match="backup auto"):
        create(driver)
    assert driver.elapsed == pytest.approx(LATENESS + LIST_LAG + CLOCK_TOLERANCE)
    assert driver.records[-1] is not None


def test_the_same_collections_are_ours() -> None:
    listed = some_backup()
    assert create(cloud([LOST], made_later(listed), some_backup("new", "a")), SOME).backup_id == "new"


def test_other_collections_are_not_ours() -> None:
    driver = cloud([LOST, MADE], made_later(some_backup("other")), some_backup("other", "a", "b"))
    assert not create(driver, SOME).adopted


@pytest.mark.parametrize("names", [["real"], ["real", "b"], ["real", "other"]], ids=" ".join)
def test_other_names_may_be_those_behind_aliases(names: list[str]) -> None:
    """Nothing tells an alias from a name: so none is adopted, and no second one is made."""
    request = CreateBackupRequest.of(["a", "b"])
    driver = cloud([LOST], made_later(some_backup("b1")), some_backup("b1", *names))
    with pytest.raises(ZillizUncertainError, match=r"backup b1 .*shows other collections, perhaps under"):
        create(driver, request)
    assert not any(record and record["adopted"] for record in driver.records)


def test_a_backup_that_shows_the_very_names_proves_that_they_are_no_aliases() -> None:
    """So the other one is a colleague's, though it comes into the list first."""
    described = {"theirs": some_backup("theirs", "b"), "ours": some_backup("ours", "a")}
    driver = cloud(
        [LOST],
        lambda elapsed: (
            page(*(some_backup(name) for name in described))
            if elapsed > 5
            else page(some_backup("theirs"))
            if elapsed
            else page()
        ),
    )
    inner = driver.answer

    def answer(operation: Any) -> Any:
        if operation.name == "describe backup":
            return described[operation.path.rpartition("/")[2]]
        if operation.name == "create backup":
            driver.now += 1
        return inner(operation)

    driver.answer = answer
    assert create(driver, SOME).backup_id == "ours"


@pytest.mark.parametrize(
    ("listed", "described", "error"),
    [
        (some_backup(status="CREATING"), some_backup(status="CREATING"), ZillizConflictError),
        (some_backup(status="CREATING"), ZillizNotFoundError("Unknown."), ZillizConflictError),
        (some_backup(status="CREATING"), some_backup(), ZillizUncertainError),
        (some_backup(), ZillizNotFoundError("Unknown."), ZillizUncertainError),
    ],
    ids=["running", "running, not found", "available", "available, not found"],
)
def test_unknown_collections(listed: Backup, described: Any, error: type[ZillizError]) -> None:
    driver = cloud([LOST], made_later(listed), described)
    with pytest.raises(error, match=r"collection backup new .*does not show its collections"):
        create(driver, SOME)
    assert driver.steps.count(Save(None)) == 0


def test_who_cannot_see_the_collections_now_can_look_again() -> None:
    refused = ZillizRefusedError("Not now.", code=12345)
    driver = cloud([LOST], made_later(some_backup()), refused)
    with pytest.raises(ZillizRefusedError, match="Not now"):
        create(driver, SOME)
    later = cloud(listed=lambda elapsed: page(some_backup()), described=some_backup("new", "a"))
    assert create(later, SOME, record=driver.records[-1]).backup_id == "new"


def test_the_backup_in_the_way_is_not_adopted_afterwards() -> None:
    blocker = backup("colleague's", create_time=at(1))
    driver = cloud([CATCH_ALL], made_later(backup("colleague's", status="CREATING", create_time=at(1))))
    with pytest.raises(ZillizConflictError):
        create(driver)
    later = cloud([MADE], lambda elapsed: page(blocker))
    later.now = driver.now + 300
    assert create(later, record=driver.records[-1]).backup_id == "new"


def test_the_backup_in_the_way_is_not_adopted_for_a_conflict_code() -> None:
    driver = cloud([ZillizRefusedError("Busy.", code=12345, unprocessed=True)], made_later(RUNNING))
    with pytest.raises(ZillizConflictError):
        create(driver, conflict_codes=[12345])


@pytest.mark.parametrize(
    ("odd", "doubt"),
    [
        (backup("b", create_time=at(-3)), "seems to have begun just before the call"),
        (backup("b", creation_method="SCHEDULED"), "has an undocumented creation method"),
        (backup("b", backup_type=""), "does not show its collections"),
    ],
    ids=["early", "odd", "untold"],
)
def test_weak_evidence_is_no_proof(odd: Backup, doubt: str) -> None:
    """It may be ours, so no second one is made; and it may not, so it is not taken."""
    driver = cloud([LOST], made_later(odd), odd)
    with pytest.raises(ZillizUncertainError, match=f"A backup may be from .*backup b .*, which {doubt}"):
        create(driver)
    assert driver.calls.count("create backup") == 1
    assert driver.records[-1] is not None


def test_the_way_out_deletes_nothing_and_makes_a_new_one() -> None:
    driver = cloud([LOST, MADE], made_later(backup("one"), backup("two")))
    with pytest.raises(ZillizUncertainError, match=r'If not, set on_uncertain="retry"'):
        create(driver)
    later = cloud([MADE], lambda elapsed: page(backup("one"), backup("two")))
    made = create(later, record=driver.records[-1], on_uncertain="retry")
    assert (made.backup_id, made.adopted, made.known) == ("new", False, ("one", "two"))
    assert "Starting again, as on_uncertain says." in later.notes[0]


def test_a_record_that_cannot_be_read_has_the_same_way_out() -> None:
    driver = cloud([MADE])
    assert create(driver, record={}, on_uncertain="retry").backup_id == "new"
    assert "Starting again, as on_uncertain says." in driver.notes[0]


@pytest.mark.parametrize("region", ["aws-us-west-2", ""], ids=["region known", "region unknown"])
def test_a_copy_in_another_region_is_not_taken_for_a_second_backup(region: str) -> None:
    request = CreateBackupRequest.of(copy_to_regions=["aws-us-east-1"])
    ours, copy = backup("ours", region_id="aws-us-west-2"), backup("copy", region_id="aws-us-east-1")
    assert create(cloud([LOST], made_later(ours, copy), region=region), request).backup_id == "ours"


def test_a_copy_of_somebody_elses_backup_is_not_ours() -> None:
    copy = backup("copy", region_id="aws-us-east-1", create_time=at(1))
    driver = cloud([LOST, MADE], made_later(copy), region="aws-us-west-2")
    assert create(driver).backup_id == "new"


def test_who_may_not_see_the_cluster_finds_the_backup_all_the_same() -> None:
    driver = cloud([LOST], made_later(backup("ours")))
    inner = driver.answer
    refused = ZillizPermissionError("Not yours.")
    driver.answer = lambda call: refused if call.name == "describe cluster" else inner(call)
    assert create(driver).backup_id == "ours"


def test_a_backup_that_is_too_new_to_be_described_is_found_all_the_same() -> None:
    """No code is documented for a backup that is not found."""
    refused = ZillizRefusedError("No such backup.", code=12345)
    assert create(cloud([LOST], made_later(backup("ours")), refused)).backup_id == "ours"


def test_what_leaves_no_traces_cannot_be_searched_for() -> None:
    submission = ExportBackupSubmission(CLUSTER, "b", "integ-1", "backups/")
    record = JobRecord(cluster_id=CLUSTER, first_sent=at(0), answer_deadline=at(30))
    with pytest.raises(NotImplementedError, match="ExportBackupSubmission leaves no traces"):
        submission.search(record)


@pytest.mark.parametrize(("save_time", "saves"), [(0.0, 1), (10.0, 1), (50.0, 4)])
def test_a_slow_store_does_not_end_the_time_for_the_answer(save_time: float, saves: int) -> None:
    """The worker may die after the call; then the record alone tells for how long to search."""
    driver = cloud([MADE])
    driver.save_time = save_time
    if saves > 1:
        with pytest.raises(ZillizError, match=r"Airflow takes 50 s to save .* Nothing was sent"):
            create(driver)
        assert driver.records[-1] is None
        assert "create backup" not in driver.calls
    else:
        create(driver)
    assert driver.calls.count("create backup") == (1 if saves == 1 else 0)


def test_a_store_that_was_slow_once_is_asked_again() -> None:
    driver = cloud([MADE])
    times = iter([50.0, 1.0, 1.0])
    inner = driver._take

    def take(step: Any) -> Any:
        if isinstance(step, Save):
            driver.save_time = next(times)
        return inner(step)

    driver._take = take  # type: ignore[method-assign]
    create(driver, answer_time=30.0)
    sent = driver.times[driver.steps.index(create_backup(CLUSTER, WHOLE))]
    before = [record for record in driver.records if record][1]
    assert before["answer_deadline"] == at(50 + 30).isoformat().replace("+00:00", "Z")
    assert sent - driver.times[0] == 51.0
