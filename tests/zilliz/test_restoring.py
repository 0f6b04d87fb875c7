"""Restoring a backup into a new cluster: the result of a call is found by the cluster's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import SecretStr

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBadRequestError,
    ZillizConflictError,
    ZillizConnectionError,
    ZillizError,
    ZillizNotFoundError,
    ZillizRefusedError,
    ZillizUncertainError,
)
from airflow_provider_zbackup.zilliz.flows.restoration import (
    RestoreClusterRecord,
    RestoreClusterSubmission,
)
from airflow_provider_zbackup.zilliz.flows.steps import Reply, Save, StoreSecret
from airflow_provider_zbackup.zilliz.flows.submission import UNEXPLAINED_PAUSE, submit_once
from airflow_provider_zbackup.zilliz.models import Cluster, ClusterPage, ClusterRestoration
from airflow_provider_zbackup.zilliz.operations import Operation
from tests.zilliz.driver import CLUSTER, Driver, at

SOURCE = Cluster(cluster_id=CLUSTER, cluster_name="source", project_id="proj-1", cu_size=2, status="RUNNING")
MADE = ClusterRestoration(
    cluster_id="in01-new", username="db_admin", password=SecretStr("hidden"), job_id="job-1"
)
LOST = ZillizConnectionError("Lost.")
NAME_EXISTS = ZillizBadRequestError(
    "The specified cluster name already exists.", code=40013, unprocessed=True
)


def restored(cluster_id: str = "in01-new", **facts: Any) -> Cluster:
    defaults = {"cluster_name": "restored", "project_id": "proj-1", "status": "CREATING"}
    return Cluster(cluster_id=cluster_id, **defaults | facts)


def cloud(calls: Sequence[Any] = (), clusters: Sequence[Cluster] = (), source: Any = SOURCE) -> Driver:
    """Return a cloud with one source cluster, and with these once a restore was called."""
    answers = iter(calls)

    def answer(operation: Operation[Any]) -> Any:
        match operation.name:
            case "restore cluster":
                return next(answers)
            case "describe cluster":
                return source
        was_called = "restore cluster" in driver.calls
        return ClusterPage(page_size=100, clusters=(SOURCE, *clusters) if was_called else (SOURCE,))

    driver = Driver(answer)
    return driver


def submission(**arguments: Any) -> RestoreClusterSubmission:
    return RestoreClusterSubmission(CLUSTER, "backup-1", "restored", **arguments)


def restore(driver: Driver, record: Any = None, **arguments: Any) -> RestoreClusterRecord:
    return driver.run(submit_once(submission(**arguments), record=record))


def test_the_password_is_kept_before_the_record_which_never_holds_it() -> None:
    driver = cloud([MADE])
    made = restore(driver)
    assert (made.new_cluster_id, made.job_id, made.username) == ("in01-new", "job-1", "db_admin")
    assert made.password_kept
    assert driver.steps[-2:] == [StoreSecret("db_admin", SecretStr("hidden")), made.save()]
    assert "hidden" not in repr([step for step in driver.steps if isinstance(step, Save)])


@pytest.mark.parametrize(
    ("arguments", "body", "calls"),
    [
        ({}, {"projectId": "proj-1", "cuSize": 2}, ["describe cluster", "list clusters"]),
        ({"cu_size": 4}, {"projectId": "proj-1", "cuSize": 4}, ["describe cluster", "list clusters"]),
        (
            {"cu_size": 4, "project_id": "proj-2", "restore_version": "LATEST"},
            {"projectId": "proj-2", "cuSize": 4, "restoreVersionPolicy": "LATEST"},
            ["list clusters"],
        ),
    ],
    ids=["defaults", "a size", "all"],
)
def test_what_is_not_given_is_as_the_source_has_it(
    arguments: dict[str, Any], body: dict[str, Any], calls: list[str]
) -> None:
    driver = cloud([MADE])
    made = restore(driver, **arguments)
    assert made.request == {"clusterName": "restored", "collectionStatus": "KEEP"} | body
    assert driver.calls == [*calls, "restore cluster"]


def test_a_source_that_does_not_tell_its_size_is_an_error_before_anything_is_sent() -> None:
    driver = cloud(source=SOURCE.model_copy(update={"cu_size": None}))
    with pytest.raises(ZillizBadRequestError, match="Give project_id and cu_size") as caught:
        restore(driver)
    assert caught.value.unprocessed
    assert driver.records == []


def test_a_password_without_a_cluster_is_kept_and_the_cluster_looked_for() -> None:
    driver = cloud([ClusterRestoration(username="db_admin", password=SecretStr("hidden"))], [restored()])
    found = restore(driver)
    assert (found.new_cluster_id, found.adopted) == ("in01-new", True)
    assert [step.secret for step in driver.secrets] == [SecretStr("hidden")]


def test_an_answer_without_a_password_says_so() -> None:
    assert not restore(cloud([MADE.model_copy(update={"password": None})])).password_kept


def test_the_cluster_of_a_lost_answer_is_found_by_its_name() -> None:
    driver = cloud([LOST], [restored()])
    found = restore(driver)
    assert (found.new_cluster_id, found.job_id, found.adopted) == ("in01-new", "", True)
    assert driver.notes[-1] == "Adopted cluster in01-new (CREATING) named restored: this task made it."
    assert driver.secrets == []


@pytest.mark.parametrize(
    "other",
    [
        restored(cluster_name="another"),
        restored(project_id="proj-2"),
        restored(status="DELETED"),
        restored(""),
        restored(create_time=at(-3600)),
        restored(create_time=at(3600)),
    ],
    ids=["another name", "another project", "dropped", "no id", "too old", "too young"],
)
def test_what_cannot_be_ours_is_not_adopted(other: Cluster) -> None:
    assert not restore(cloud([LOST, MADE], [other])).adopted


def test_two_clusters_of_that_name_are_one_too_many() -> None:
    with pytest.raises(ZillizUncertainError, match=r"2 clusters may be from .*in01-a.*in01-b"):
        restore(cloud([LOST], [restored("in01-a", project_id=""), restored("in01-b")]))


def test_a_name_that_exists_all_at_once_is_that_of_the_call_before() -> None:
    """The first call was carried out so late that nothing was found; then the second is refused."""
    driver = cloud([LOST, NAME_EXISTS])
    inner = driver.answer

    def answer(operation: Operation[Any]) -> Any:
        late = driver.calls.count("restore cluster") == 2 and operation.name == "list clusters"
        return ClusterPage(page_size=100, clusters=(restored(),)) if late else inner(operation)

    driver.answer = answer
    found = restore(driver)
    assert (found.new_cluster_id, found.adopted) == ("in01-new", True)


def test_a_name_that_is_taken_by_somebody_quicker_is_not_adopted() -> None:
    driver = cloud([NAME_EXISTS], [restored()])
    with pytest.raises(ZillizBadRequestError, match="already exists"):
        restore(driver)
    assert driver.records[-1] is None


@pytest.mark.parametrize(
    ("source", "is_adopted"),
    [(restored(), True), (restored(status="DELETING"), False), (ZillizNotFoundError("Unknown."), False)],
    ids=["there", "dropped", "unknown"],
)
def test_an_earlier_try_is_gone_on_with_while_its_cluster_is_there(source: Any, is_adopted: bool) -> None:
    earlier = RestoreClusterRecord(
        cluster_id=CLUSTER, request={}, first_sent=at(-60), answer_deadline=at(-30), new_cluster_id="in01-new"
    )
    driver = cloud([MADE], source=source)
    made = restore(driver, earlier.save().record, project_id="proj-1", cu_size=1)
    assert (made == earlier) is is_adopted
    assert driver.calls.count("restore cluster") == (0 if is_adopted else 1)


def test_each_request_has_its_own_record() -> None:
    keys = {
        submission().key,
        submission(cu_size=2).key,
        submission(collection_status="RELEASE").key,
        RestoreClusterSubmission(CLUSTER, "backup-2", "restored").key,
        RestoreClusterSubmission(CLUSTER, "backup-1", "another").key,
    }
    assert len(keys) == 5
    assert all(key.startswith("zilliz_restore_cluster_") for key in keys)


def test_without_a_date_header_the_workers_clock_counts() -> None:
    driver = cloud([MADE])
    inner = driver.answer
    driver.answer = lambda operation: Reply(inner(operation))
    assert restore(driver).first_sent == at(0)


def test_a_name_that_is_taken_is_told_before_anything_is_sent() -> None:
    driver = cloud()
    with pytest.raises(ZillizBadRequestError, match=f"'source' is taken in project proj-1, by {CLUSTER}"):
        driver.run(submit_once(RestoreClusterSubmission(CLUSTER, "backup-1", "source")))
    assert driver.records == []


@pytest.mark.parametrize(
    ("refusal", "codes"),
    [
        (ZillizConflictError("Busy.", unprocessed=True), []),
        (ZillizRefusedError("Busy.", code=12345, unprocessed=True), [12345]),
    ],
    ids=["HTTP 409", "a configured code"],
)
def test_a_refusal_that_says_what_it_is_is_a_conflict(refusal: ZillizError, codes: list[int]) -> None:
    with pytest.raises(ZillizConflictError, match=r"a conflict that no list shows\. Busy") as caught:
        cloud([refusal]).run(submit_once(submission(), conflict_codes=codes))
    assert caught.value.retry_after == UNEXPLAINED_PAUSE


def test_another_refusal_is_an_error() -> None:
    with pytest.raises(ZillizRefusedError, match="Busy"):
        restore(cloud([ZillizRefusedError("Busy.", code=12345, unprocessed=True)]))
