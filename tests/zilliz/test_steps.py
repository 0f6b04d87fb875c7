from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBadRequestError,
    ZillizConnectionError,
    ZillizError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizThrottledError,
)
from airflow_provider_zbackup.zilliz.flows.steps import (
    Pause,
    Reply,
    all_backups,
    all_clusters,
    now,
    retrying,
    send,
)
from airflow_provider_zbackup.zilliz.models import Backup, BackupPage, Cluster, ClusterPage, Job
from airflow_provider_zbackup.zilliz.operations import (
    create_backup,
    describe_job,
    list_backups,
    list_clusters,
)
from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest
from tests.clock import START
from tests.zilliz.driver import CLUSTER, at, scripted

DESCRIBE = describe_job("job-1")
CREATE = create_backup(CLUSTER, CreateBackupRequest.of())
DOWN = ZillizServerError("Down.")


def test_now_asks_for_the_time_without_waiting() -> None:
    driver = scripted()
    assert driver.run(now()) == START
    assert driver.steps == [Pause(0.0)]


def test_send_sends_once() -> None:
    driver = scripted(DOWN)
    with pytest.raises(ZillizServerError):
        driver.run(send(DESCRIBE))
    assert driver.steps == [DESCRIBE]


def test_retrying_goes_on_while_it_fails() -> None:
    driver = scripted(DOWN, DOWN, ZillizConnectionError("Gone."), Reply(Job(), at(9)))
    assert driver.run(retrying(DESCRIBE)) == Reply(Job(), at(9))
    assert len(driver.pauses) == 3
    assert all(step / 2 <= pause <= step for pause, step in zip(driver.pauses, (0.5, 1, 2), strict=True))
    assert driver.notes[2] == f"Gone. Trying again in {driver.pauses[2]:.0f} s."


def test_retrying_ends_after_six_attempts() -> None:
    driver = scripted(*[DOWN] * 6)
    with pytest.raises(ZillizServerError):
        driver.run(retrying(DESCRIBE))
    assert (len(driver.sent), len(driver.pauses)) == (6, 5)


def test_retrying_waits_as_long_as_the_server_asks() -> None:
    driver = scripted(ZillizThrottledError("Slow.", retry_after=42.0), Job())
    driver.run(retrying(DESCRIBE))
    assert driver.pauses == [42.0]


@pytest.mark.parametrize(
    ("operation", "error", "attempts"),
    [
        (DESCRIBE, ZillizBadRequestError("No.", unprocessed=True), 1),
        (CREATE, ZillizConnectionError("Lost."), 1),
        (CREATE, ZillizConnectionError("Unsent.", unprocessed=True), 6),
        (DESCRIBE, ZillizConnectionError("Lost."), 6),
        (DESCRIBE, ZillizRefusedError("No.", code=12345, http_status=200), 1),
        (DESCRIBE, ZillizRefusedError("No.", code=12345, http_status=500), 6),
        (CREATE, ZillizRefusedError("No.", code=12345, http_status=500), 1),
    ],
    ids=[
        "permanent",
        "create that may be done",
        "create that is not done",
        "harmless",
        "refused",
        "refused with HTTP 500",
        "create that was refused with HTTP 500",
    ],
)
def test_what_is_sent_again(operation: Any, error: ZillizError, attempts: int) -> None:
    driver = scripted(*[error] * attempts)
    with pytest.raises(type(error)):
        driver.run(retrying(operation))
    assert driver.sent == [operation] * attempts


def backups(*numbers: int) -> tuple[Backup, ...]:
    return tuple(Backup(backup_id=f"b{number}") for number in numbers)


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        ([BackupPage(backups=())], 0),
        ([BackupPage(backups=backups(1, 2))], 2),
        (
            [BackupPage(page_size=100, backups=backups(*range(100))), BackupPage(page_size=100, backups=())],
            100,
        ),
        ([BackupPage(backups=backups(*range(100))), BackupPage(backups=backups(100))], 101),
        (
            [BackupPage(page_size=2, backups=backups(*pair)) for pair in pairwise(range(8))]
            + [BackupPage(page_size=2, backups=backups(7))],
            8,
        ),
        ([BackupPage(page_size=2, backups=backups(1, 2))] * 2, 2),
        ([BackupPage(page_size=0, backups=backups(1, 2))], 2),
        ([BackupPage(page_size=-1, backups=backups(1))] * 2, 1),
    ],
    ids=[
        "empty",
        "one page",
        "an exact multiple",
        "two pages",
        "small pages that overlap",
        "always the same page",
        "page size 0",
        "negative page size",
    ],
)
def test_all_pages_are_read_and_no_more(pages: list[BackupPage], found: int) -> None:
    driver = scripted(*pages)
    reply = driver.run(all_backups(cluster_id=CLUSTER, project_id="p"))
    assert sorted({backup.backup_id for backup in reply.value}) == sorted(
        f"b{number}" for number in ({1, 2} if found == 2 else {1} if found == 1 else range(found))
    )
    assert len(reply.value) == found
    assert driver.sent == [
        list_backups(cluster_id=CLUSTER, project_id="p", page=number + 1) for number in range(len(pages))
    ]


def test_an_item_that_changes_between_two_pages_is_there_as_both() -> None:
    def changed(*facts: tuple[str, str]) -> BackupPage:
        shown = (Backup(backup_id=backup_id, status=status) for backup_id, status in facts)
        return BackupPage(page_size=2, backups=tuple(shown))

    driver = scripted(
        changed(("b1", "AVAILABLE"), ("b2", "CREATING")), changed(("b2", "AVAILABLE"), ("b3", "AVAILABLE")),
        changed(),
    )  # fmt: skip
    found = driver.run(all_backups()).value
    assert [(backup.backup_id, backup.status) for backup in found] == [
        ("b1", "AVAILABLE"),
        ("b2", "CREATING"),
        ("b2", "AVAILABLE"),
        ("b3", "AVAILABLE"),
    ]


def test_items_that_show_the_same_are_one() -> None:
    same, other = Backup(status="CREATING"), Backup(status="AVAILABLE")
    driver = scripted(BackupPage(backups=(same, other, same)))
    assert driver.run(all_backups()).value == [same, other]
    assert scripted(ClusterPage(clusters=(Cluster(), Cluster()))).run(all_clusters()).value == [Cluster()]


def test_a_page_is_full_by_all_that_it_holds_even_the_same_twice() -> None:
    full = BackupPage(page_size=2, backups=backups(1, 1))
    assert scripted(full, BackupPage(page_size=2, backups=backups(2))).run(all_backups()).value == list(
        backups(1, 2)
    )


def test_many_pages_are_read_without_comparing_their_items() -> None:
    compared = 0

    class Counted(Backup):
        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return super().__eq__(other)

    pages = [
        BackupPage.model_construct(
            page_size=10,
            backups=tuple(Counted(backup_id=f"b{number}") for number in range(start, start + 10)),
        )
        for start in range(0, 300, 10)
    ]
    assert len(scripted(*pages, BackupPage(backups=())).run(all_backups()).value) == 300
    assert compared == 0


@pytest.mark.parametrize("every", [all_backups, all_clusters])
def test_a_page_is_asked_for_as_often_as_the_caller_wants(every: Any) -> None:
    driver = scripted(DOWN)
    with pytest.raises(ZillizServerError):
        driver.run(every(attempts=1))
    assert driver.pauses == []


def test_a_page_that_fails_is_asked_for_again() -> None:
    full = BackupPage(page_size=2, backups=backups(1, 2))
    driver = scripted(full, DOWN, Reply(BackupPage(page_size=2, backups=()), at(60)))
    assert driver.run(all_backups()) == Reply(list(full.backups), at(60))
    assert [dict(sent.query)["currentPage"] for sent in driver.sent] == ["1", "2", "2"]


def test_clusters_have_pages_too() -> None:
    clusters = tuple(Cluster(cluster_id=f"c{number}") for number in range(101))
    driver = scripted(
        ClusterPage(page_size=100, clusters=clusters[:100]),
        ClusterPage(page_size=100, clusters=clusters[100:]),
    )
    assert driver.run(all_clusters()).value == list(clusters)
    assert driver.sent == [list_clusters(page=1), list_clusters(page=2)]
