"""A create that is answered or refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_zbackup.zilliz.errors import (
    ZillizAuthenticationError,
    ZillizBadRequestError,
    ZillizConflictError,
    ZillizConnectionError,
    ZillizError,
    ZillizPermissionError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizThrottledError,
)
from airflow_provider_zbackup.zilliz.flows.creation import CreateRecord
from airflow_provider_zbackup.zilliz.flows.recovery import LIST_LAG
from airflow_provider_zbackup.zilliz.flows.steps import Reply
from airflow_provider_zbackup.zilliz.flows.submission import SUBMIT_ATTEMPTS, UNEXPLAINED_PAUSE
from airflow_provider_zbackup.zilliz.operations import create_backup
from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest
from tests.zilliz.creation_cloud import (
    CATCH_ALL,
    MADE,
    RUNNING,
    SOME,
    UNSENT,
    WHOLE,
    cloud,
    create,
    made_later,
)
from tests.zilliz.driver import CLUSTER, at, backup, page

# Answered


def test_a_create_is_remembered_before_and_after() -> None:
    driver = cloud([MADE], lambda elapsed: page(backup("old", create_time=at(-60))))
    made = create(driver, answer_time=20.0)
    assert (made.backup_id, made.backup_name, made.job_id, made.adopted) == (
        "new",
        "Name_backup1",
        "job-1",
        False,
    )
    before = CreateRecord(
        cluster_id=CLUSTER,
        backup_type="CLUSTER",
        first_sent=at(0),
        answer_deadline=at(20),
        known=("old",),
    )
    assert driver.steps[-3:] == [before.save(), create_backup(CLUSTER, WHOLE), made.save()]
    assert driver.pauses == []


def test_a_record_survives_json() -> None:
    made = create(cloud([MADE]))
    assert CreateRecord.model_validate(made.save().record) == made


def test_only_what_could_be_mistaken_is_known() -> None:
    backups = [
        backup("old", create_time=at(-3601)),
        backup("recent", create_time=at(-3599)),
        backup("undated", create_time=None),
    ]
    assert create(cloud([MADE], lambda elapsed: page(*backups))).known == ("recent", "undated")


def test_without_a_date_header_the_workers_clock_counts() -> None:
    driver = cloud([MADE], lambda elapsed: Reply(page()))
    assert create(driver).first_sent == at(0)


def test_the_time_is_the_servers() -> None:
    driver = cloud([MADE], lambda elapsed: Reply(page(), at(-500)))
    made = create(driver, answer_time=30.0)
    assert (made.first_sent, made.answer_deadline) == (at(-500), at(-470))


# Refused


@pytest.mark.parametrize("method", ["MANUAL", "AUTO"])
@pytest.mark.parametrize("status", ["CREATING", "PENDING", ""])
def test_nothing_is_sent_while_another_backup_runs(method: str, status: str) -> None:
    driver = cloud(listed=lambda elapsed: page(backup("b", status=status, creation_method=method)))
    with pytest.raises(ZillizConflictError, match=f"in the way: {method.lower()} cluster backup b") as caught:
        create(driver)
    assert caught.value.unprocessed
    assert "create backup" not in driver.calls
    assert driver.records == []


@pytest.mark.parametrize(
    "error",
    [ZillizBadRequestError("No.", unprocessed=True), ZillizAuthenticationError("No.", unprocessed=True)],
)
def test_a_permanent_error_ends_it_and_is_forgotten(error: ZillizError) -> None:
    driver = cloud([error])
    with pytest.raises(type(error), match=r"No\."):
        create(driver)
    assert driver.calls == ["list backups", "create backup"]
    assert driver.records[-1] is None


def test_what_did_not_arrive_is_sent_again() -> None:
    driver = cloud([UNSENT, UNSENT, MADE])
    assert create(driver, answer_time=30.0).backup_id == "new"
    assert driver.calls == ["list backups"] + ["create backup"] * 3
    assert len(driver.pauses) == 2
    assert driver.notes[0].startswith("Unsent. No backup was made. Sending again in 1 s.")


def test_each_create_has_its_own_time_to_be_answered() -> None:
    driver = cloud([UNSENT, MADE])
    create(driver, answer_time=30.0)
    before = [CreateRecord.model_validate(record) for record in driver.records[:3] if record]
    pause, answer_time = driver.pauses[0], timedelta(seconds=30)
    assert [record.first_sent for record in before] == [at(0), at(pause)]
    assert [record.answer_deadline for record in before] == [at(0) + answer_time, at(pause) + answer_time]


def test_too_many_requests_waits_as_asked() -> None:
    driver = cloud([ZillizThrottledError("Slow.", retry_after=77.0, unprocessed=True), MADE])
    create(driver)
    assert driver.pauses == [77.0]


def test_attempts_are_limited() -> None:
    driver = cloud([UNSENT] * SUBMIT_ATTEMPTS)
    with pytest.raises(ZillizConnectionError):
        create(driver)
    assert driver.calls.count("create backup") == SUBMIT_ATTEMPTS
    assert driver.records[-1] is None


def test_a_catch_all_with_somebody_in_the_way_is_a_conflict() -> None:
    driver = cloud([CATCH_ALL], made_later(RUNNING))
    with pytest.raises(
        ZillizConflictError, match=r"in the way: manual cluster backup other .*Failed to create"
    ) as caught:
        create(driver)
    assert caught.value.unprocessed
    assert caught.value.__cause__ is CATCH_ALL
    assert caught.value.retry_after is None
    assert driver.calls[:3] == ["list backups", "create backup", "list backups"]


def test_a_catch_all_with_somebody_in_the_way_elsewhere_is_a_conflict() -> None:
    elsewhere = page(
        backup("auto", status="CREATING", creation_method="AUTO", cluster_id="in01-another"),
        backup("manual", status="CREATING", cluster_id="in01-another"),
    )
    with pytest.raises(
        ZillizConflictError, match=r"manual cluster backup manual .* of cluster in01-another"
    ) as caught:
        create(cloud([CATCH_ALL], elsewhere=elsewhere))
    assert "backup auto" not in str(caught.value)
    assert caught.value.retry_after == UNEXPLAINED_PAUSE


@pytest.mark.parametrize("method", ["MANUAL", "AUTO"])
def test_a_copy_that_is_being_made_may_be_in_the_way(method: str) -> None:
    """No document says whether the server counts it. If it does, the create is sent ever more rarely."""
    copy = backup("copy", status="CREATING", creation_method=method, region_id="aws-us-east-1")
    driver = cloud([CATCH_ALL], made_later(copy), region="aws-us-west-2", elsewhere=page(copy))
    with pytest.raises(ZillizConflictError, match=f"{method.lower()} cluster backup copy") as caught:
        create(driver)
    assert not caught.value.is_guess
    assert caught.value.retry_after == UNEXPLAINED_PAUSE
    assert driver.records[-1] is not None, "If it is not in the way, the next try must search first."


@pytest.mark.parametrize("lag", [5.0, LIST_LAG])
def test_whoever_is_in_the_way_may_be_missing_in_the_list_at_first(lag: float) -> None:
    driver = cloud([CATCH_ALL], made_later(RUNNING, after=lag), elsewhere=page())
    with pytest.raises(ZillizConflictError, match="backup other"):
        create(driver)
    assert lag <= driver.elapsed <= lag + 5
    assert driver.records[-1] is None, "The next try must not take it for its own"
    assert driver.notes == [
        "Failed to create backup (code 96038). Checking whether another backup is in the way."
    ]


@pytest.mark.parametrize("lag", [0.0, 5.0])
def test_what_began_after_a_catch_all_was_not_in_its_way(lag: float) -> None:
    """The refused create may have made it all the same: the next try adopts it."""
    late = backup("late", status="CREATING", create_time=at(3))
    driver = cloud([CATCH_ALL], made_later(late, after=lag), elsewhere=page(late))
    with pytest.raises(ZillizRefusedError):
        create(driver)
    later = cloud(listed=lambda elapsed: page(late))
    found = create(later, record=driver.records[-1])
    assert (found.backup_id, found.adopted) == ("late", True)


def test_a_colleague_who_was_quicker_is_in_the_way_however_slow_the_answers_are() -> None:
    """The list took 4 s to come, and in that time the colleague's backup began."""
    quicker = backup("quicker", status="CREATING", create_time=at(3))
    lists = iter([Reply(page(), at(0)), Reply(page(quicker), at(4))])
    driver = cloud([CATCH_ALL], lambda elapsed: next(lists))
    with pytest.raises(ZillizConflictError, match="backup quicker"):
        create(driver)
    assert driver.records[-1] is None


def test_without_a_date_header_whoever_runs_is_in_the_way() -> None:
    running = backup("other", status="CREATING", create_time=at(3))
    lists = iter([Reply(page()), Reply(page(running))])
    driver = cloud([CATCH_ALL], lambda elapsed: next(lists))
    with pytest.raises(ZillizConflictError, match="backup other"):
        create(driver)


def test_a_catch_all_with_nobody_in_the_way_is_an_error() -> None:
    auto = backup("auto", status="CREATING", creation_method="AUTO", cluster_id="in01-another")
    driver = cloud([CATCH_ALL], elsewhere=page(auto))
    with pytest.raises(ZillizRefusedError):
        create(driver)
    assert driver.elapsed == pytest.approx(LIST_LAG)
    kept = CreateRecord.model_validate(driver.records[-1])
    assert (kept.backup_id, kept.first_sent, kept.answer_deadline) == ("", at(0), at(0))


def refused(message: str) -> ZillizRefusedError:
    return ZillizRefusedError(message, code=96038, unprocessed=True)


@pytest.mark.parametrize(
    "message",
    [
        "Collection a does not exist.",
        "collection not found[database=default][collection=a]",
        "No such collection: 'a'",
        "Invalid region aws-us-east-1.",
    ],
)
def test_a_refusal_that_names_what_is_wrong_is_no_conflict(message: str) -> None:
    request = CreateBackupRequest.of(["a"], copy_to_regions=["aws-us-east-1"])
    driver = cloud([refused(message)], made_later(RUNNING))
    with pytest.raises(ZillizBadRequestError) as caught:
        create(driver, request)
    assert (caught.value.message, caught.value.code) == (message, 96038)
    assert driver.elapsed == 0
    assert driver.records[-1] is None


@pytest.mark.parametrize(
    "message", ["Collection abc does not exist.", "Collection a is locked.", "The snapshot does not exist."]
)
def test_another_refusal_may_be_a_conflict(message: str) -> None:
    with pytest.raises(ZillizConflictError):
        create(cloud([refused(message)], made_later(RUNNING)), SOME)


def test_after_a_catch_all_the_next_try_looks_first() -> None:
    """The server said "failed", perhaps before it made the backup all the same."""
    refused = cloud([CATCH_ALL], elsewhere=page())
    with pytest.raises(ZillizRefusedError):
        create(refused)
    late = cloud(listed=lambda elapsed: page(backup("late", create_time=at(0))))
    found = create(late, record=refused.records[-1])
    assert (found.backup_id, found.adopted) == ("late", True)
    assert "create backup" not in late.calls


@pytest.mark.parametrize(
    ("error", "codes"),
    [
        (ZillizConflictError("Busy.", unprocessed=True), []),
        (ZillizBadRequestError("Busy.", code=40013, unprocessed=True), [40013]),
        (CATCH_ALL, [96038]),
        (ZillizServerError("Busy.", code=12345, http_status=500), [12345]),
        (ZillizThrottledError("Busy.", code=12345, http_status=429, unprocessed=True), [12345]),
    ],
    ids=["HTTP 409", "permanent", "catch-all", "HTTP 500", "HTTP 429"],
)
def test_a_named_conflict_needs_nobody_in_the_list(error: ZillizError, codes: list[int]) -> None:
    driver = cloud([error], elsewhere=page())
    with pytest.raises(ZillizConflictError, match=r"a conflict that no list shows\. ") as caught:
        create(driver, conflict_codes=codes)
    assert caught.value.retry_after == UNEXPLAINED_PAUSE
    assert driver.records[-1] is None, "it had no result"


@pytest.mark.parametrize(
    ("codes", "raised"),
    [([], ZillizRefusedError), ([96038], ZillizConflictError)],
    ids=["catch-all", "named"],
)
def test_who_may_not_look_at_everything_gets_the_refusal_itself(
    codes: list[int], raised: type[ZillizError]
) -> None:
    driver = cloud([CATCH_ALL], elsewhere=ZillizPermissionError("Not yours."))
    with pytest.raises(raised, match="Failed to create") as caught:
        create(driver, conflict_codes=codes)
    assert CATCH_ALL in (caught.value, caught.value.__cause__)


def test_a_guess_that_is_wrong_does_not_hide_what_the_server_does_all_the_same() -> None:
    """Another cluster's backup may explain the refusal, and need not."""
    elsewhere = page(backup("manual", status="CREATING", cluster_id="in01-another"))
    refused = cloud([CATCH_ALL], elsewhere=elsewhere)
    with pytest.raises(ZillizConflictError) as caught:
        create(refused)
    assert caught.value.is_guess
    late = cloud(listed=lambda elapsed: page(backup("late", create_time=at(4))))
    found = create(late, record=refused.records[-1])
    assert (found.backup_id, found.adopted) == ("late", True)
