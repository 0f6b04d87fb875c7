"""A create that is answered, refused, or got lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import (
    ZillizAuthenticationError,
    ZillizBadRequestError,
    ZillizConflictError,
    ZillizConnectionError,
    ZillizError,
    ZillizNotFoundError,
    ZillizProtocolError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizThrottledError,
    ZillizUncertainError,
)
from airflow_provider_zbackup.zilliz.flows.creation import (
    CLOCK_TOLERANCE,
    CREATE_ATTEMPTS,
    LIST_LAG,
    CreateRecord,
    create_backup_once,
)
from airflow_provider_zbackup.zilliz.flows.steps import Remember, Reply
from airflow_provider_zbackup.zilliz.models import (
    BackedUpCollection,
    BackedUpDatabase,
    Backup,
    BackupCreation,
    BackupPage,
    CreateBackupRequest,
)
from airflow_provider_zbackup.zilliz.operations import create_backup
from tests.zilliz.driver import CLUSTER, Driver, at, backup, page

WHOLE = CreateBackupRequest.of()
SOME = CreateBackupRequest.of(["a"])
MADE = BackupCreation(backup_id="new", backup_name="Name_backup1", job_id="job-1")
LOST = ZillizConnectionError("Lost.")
UNSENT = ZillizConnectionError("Unsent.", not_done=True)
CATCH_ALL = ZillizRefusedError("Failed to create backup.", code=96038, not_done=True)
RUNNING = backup("other", status="CREATING")


def cloud(
    create: Sequence[Any] = (),
    listed: Callable[[float], BackupPage] = lambda elapsed: page(),
    described: Any = None,
    elsewhere: BackupPage | None = None,
) -> Driver:
    """
    Return a cloud.

    :param create: answers to the creates
    :param listed: the cluster's backups by the seconds since the start
    :param described: answer to every look at a backup
    :param elsewhere: the backups of all clusters
    """
    creates = iter(create)

    def answer(operation: Any) -> Any:
        match operation.name:
            case "create backup":
                return next(creates)
            case "describe backup":
                return described
            case "list backups" if "clusterId" in dict(operation.query):
                return listed(driver.elapsed)
            case "list backups" if elsewhere is not None:
                return elsewhere
        raise AssertionError(f"No {operation.name} was expected.")

    driver = Driver(answer)
    return driver


def create(driver: Driver, request: CreateBackupRequest = WHOLE, **arguments: Any) -> CreateRecord:
    return driver.run(create_backup_once(CLUSTER, request, **arguments))


def made_later(*backups: Backup, after: float = 0.0) -> Callable[[float], BackupPage]:
    """Return lists that show these backups once something can have been sent."""
    first = [True]

    def listed(elapsed: float) -> BackupPage:
        is_first, first[:] = bool(first), []
        return page() if is_first or elapsed < after else page(*backups)

    return listed


def some_backup(backup_id: str = "new", *collections: str, **facts: Any) -> Backup:
    held = tuple(BackedUpCollection(collection_name=name) for name in collections)
    databases = (BackedUpDatabase(collections=held),) if held else ()
    return backup(backup_id, backup_type="COLLECTION", db_collections=databases, **facts)


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
        request={"backupType": "CLUSTER"},
        first_sent=at(0),
        answer_by=at(20),
        known=("old",),
    )
    assert driver.steps[-3:] == [before.remember(), create_backup(CLUSTER, WHOLE), made.remember()]
    assert driver.pauses == []


def test_a_record_survives_json() -> None:
    made = create(cloud([MADE]))
    assert CreateRecord.model_validate(made.remember().record) == made


def test_only_what_could_be_mistaken_is_known() -> None:
    backups = [
        backup("old", create_time=at(-3601)),
        backup("recent", create_time=at(-3599)),
        backup("undated", create_time=None),
    ]
    assert create(cloud([MADE], lambda elapsed: page(*backups))).known == ("recent", "undated")


def test_without_a_date_header_the_workers_clock_counts() -> None:
    driver = cloud([MADE], lambda elapsed: Reply(page()))  # type: ignore[arg-type, return-value]
    assert create(driver).first_sent == at(0)


def test_the_time_is_the_servers() -> None:
    driver = cloud([MADE], lambda elapsed: Reply(page(), at(-500)))  # type: ignore[arg-type, return-value]
    made = create(driver, answer_time=30.0)
    assert (made.first_sent, made.answer_by) == (at(-500), at(-470))


# Refused


@pytest.mark.parametrize("method", ["MANUAL", "AUTO"])
def test_nothing_is_sent_while_another_backup_runs(method: str) -> None:
    driver = cloud(listed=lambda elapsed: page(backup("b", status="CREATING", creation_method=method)))
    with pytest.raises(ZillizConflictError, match=f"in the way: {method.lower()} cluster backup b") as caught:
        create(driver)
    assert caught.value.not_done
    assert driver.calls == ["list backups"]
    assert driver.records == []


@pytest.mark.parametrize(
    "error", [ZillizBadRequestError("No.", not_done=True), ZillizAuthenticationError("No.", not_done=True)]
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
    assert driver.notes[0].startswith("Unsent. No backup came of it. Creating it again in 1 s.")


def test_each_create_has_its_own_time_to_be_answered() -> None:
    driver = cloud([UNSENT, MADE])
    create(driver, answer_time=30.0)
    before = [CreateRecord.model_validate(record) for record in driver.records[:3] if record]
    assert [record.first_sent for record in before] == [at(0), at(0)]
    assert [record.answer_by for record in before] == [at(30), at(30 + driver.pauses[0])]


def test_too_many_requests_waits_as_asked() -> None:
    driver = cloud([ZillizThrottledError("Slow.", retry_after=77.0, not_done=True), MADE])
    create(driver)
    assert driver.pauses == [77.0]


def test_attempts_are_limited() -> None:
    driver = cloud([UNSENT] * CREATE_ATTEMPTS)
    with pytest.raises(ZillizConnectionError):
        create(driver)
    assert driver.calls.count("create backup") == CREATE_ATTEMPTS
    assert driver.records[-1] is None


def test_a_catch_all_with_somebody_in_the_way_is_a_conflict() -> None:
    driver = cloud([CATCH_ALL], made_later(RUNNING))
    with pytest.raises(
        ZillizConflictError, match=r"in the way: manual cluster backup other .*Failed to create"
    ) as caught:
        create(driver)
    assert caught.value.not_done
    assert caught.value.__cause__ is CATCH_ALL
    assert driver.calls == ["list backups", "create backup", "list backups"]


def test_a_catch_all_with_somebody_in_the_way_elsewhere_is_a_conflict() -> None:
    elsewhere = page(
        backup("auto", status="CREATING", creation_method="AUTO"),
        backup("manual", status="CREATING", cluster_id="in01-another"),
    )
    with pytest.raises(
        ZillizConflictError, match=r"manual cluster backup manual .* of cluster in01-another"
    ) as caught:
        create(cloud([CATCH_ALL], elsewhere=elsewhere))
    assert "backup auto" not in str(caught.value)


def test_a_catch_all_with_nobody_in_the_way_is_an_error() -> None:
    driver = cloud([CATCH_ALL], elsewhere=page(backup("auto", status="CREATING", creation_method="AUTO")))
    with pytest.raises(ZillizRefusedError):
        create(driver)
    assert driver.records[-1] is None


@pytest.mark.parametrize(
    ("error", "codes"),
    [
        (ZillizConflictError("Busy.", not_done=True), []),
        (ZillizBadRequestError("Busy.", code=40013, not_done=True), [40013]),
        (CATCH_ALL, [96038]),
    ],
)
def test_a_named_conflict_needs_nobody_in_the_list(error: ZillizError, codes: list[int]) -> None:
    with pytest.raises(ZillizConflictError, match=r"none is listed\. "):
        create(cloud([error], elsewhere=page()), conflict_codes=codes)


# Lost


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
    assert driver.steps[-1] == found.remember()
    assert driver.notes[-1].startswith("Found manual cluster backup ours (AVAILABLE, ")


def test_nothing_found_is_sent_again_only_after_the_list_can_be_trusted() -> None:
    driver = cloud([LOST, MADE])
    assert create(driver).backup_id == "new"
    first, second = (
        index for index, step in enumerate(driver.steps) if step == create_backup(CLUSTER, WHOLE)
    )
    assert driver.calls[1:3] == ["create backup", "list backups"]
    between = Driver(driver.answer, steps=driver.steps[first:second])
    assert sum(between.pauses) >= LIST_LAG


@pytest.mark.parametrize(
    "other",
    [
        backup("other", creation_method="AUTO", create_time=at(1)),
        backup("other", backup_type="COLLECTION", create_time=at(1)),
        backup("other", create_time=at(-3)),
        backup("", create_time=at(1)),
        backup("other", create_time=at(LIST_LAG + 1)),
    ],
    ids=["automatic", "of another type", "too old", "no id", "too young"],
)
def test_what_cannot_be_ours_is_not_adopted(other: Backup) -> None:
    assert create(cloud([LOST, MADE], made_later(other))).backup_id == "new"


def test_what_was_there_before_is_not_adopted() -> None:
    driver = cloud([LOST, MADE], lambda elapsed: page(backup("undated", create_time=None)))
    assert create(driver).backup_id == "new"


def test_an_undated_newcomer_is_adopted() -> None:
    assert create(cloud([LOST], made_later(backup("b", create_time=None)))).backup_id == "b"


def test_a_newcomer_made_by_nobody_knows_whom_is_adopted() -> None:
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
    with pytest.raises(ZillizUncertainError, match=r"backup b .*does not tell"):
        create(cloud([LOST], made_later(unknown), unknown))


def test_two_that_may_be_ours_are_one_too_many() -> None:
    driver = cloud([LOST], made_later(backup("one"), backup("two")))
    with pytest.raises(
        ZillizUncertainError, match=r"2 backups that it may have made.*backup one.*backup two"
    ):
        create(driver)
    assert driver.calls.count("create backup") == 1
    assert driver.records[-1] is not None


def test_a_running_backup_that_is_not_ours_is_a_conflict_in_the_end() -> None:
    running = backup("auto", status="CREATING", creation_method="AUTO")
    driver = cloud([LOST], made_later(running))
    with pytest.raises(ZillizConflictError, match="backup auto"):
        create(driver)
    assert driver.elapsed == pytest.approx(LIST_LAG + CLOCK_TOLERANCE)
    assert driver.records[-1] is not None


def test_the_same_collections_are_ours() -> None:
    listed = some_backup()
    assert create(cloud([LOST], made_later(listed), some_backup("new", "a")), SOME).backup_id == "new"


def test_other_collections_are_not_ours() -> None:
    driver = cloud([LOST, MADE], made_later(some_backup("other")), some_backup("other", "a", "b"))
    assert not create(driver, SOME).adopted


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
    with pytest.raises(error, match=r"collection backup new .*which collections it holds"):
        create(driver, SOME)
    assert driver.steps.count(Remember(None)) == 0


def test_the_backup_in_the_way_is_not_adopted_afterwards() -> None:
    blocker = backup("colleague's", create_time=at(1))
    driver = cloud([CATCH_ALL], made_later(backup("colleague's", status="CREATING", create_time=at(1))))
    with pytest.raises(ZillizConflictError):
        create(driver)
    later = cloud([MADE], lambda elapsed: page(blocker))
    later.now = driver.now + 300
    assert create(later, record=driver.records[-1]).backup_id == "new"


def test_the_backup_in_the_way_is_not_adopted_for_a_conflict_code() -> None:
    driver = cloud([ZillizRefusedError("Busy.", code=12345, not_done=True)], made_later(RUNNING))
    with pytest.raises(ZillizConflictError):
        create(driver, conflict_codes=[12345])
