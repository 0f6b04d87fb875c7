"""The steps that flows are made of, and the smallest flows: send, send again, read all pages."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from airflow_provider_zbackup.zilliz.errors import (
    ZillizNotFoundError,
    ZillizRefusedError,
    ZillizTransientError,
)
from airflow_provider_zbackup.zilliz.models import Backup, BackupPage, Cluster, ClusterPage
from airflow_provider_zbackup.zilliz.operations import (
    PAGE_SIZE,
    Operation,
    describe_backup,
    list_backups,
    list_clusters,
)
from airflow_provider_zbackup.zilliz.pacing import backoff

T = TypeVar("T")

#: How often a request is sent that fails in a way that passes by itself.
ATTEMPTS = 6


class Pause(NamedTuple):
    """
    Step: wait, and learn what time it is.

    :param seconds: how long; 0 only asks for the time
    :param note: a line for the log, written before the pause
    """

    seconds: float = 0.0
    note: str | None = None


class Save(NamedTuple):
    """
    Step: make a record durable before the flow goes on.

    :param record: plain JSON; ``None`` forgets what was remembered
    """

    record: Mapping[str, Any] | None


class Reply(NamedTuple, Generic[T]):
    """
    What an operation is answered with.

    :param value: the answer's data
    :param server_time: the answer's ``Date`` header
    """

    value: T
    server_time: datetime | None = None


Step: TypeAlias = Operation[Any] | Pause | Save
Flow: TypeAlias = Generator[Step, Any, T]


def now() -> Flow[float]:
    """Return the time, in seconds since the epoch."""
    time: float = yield Pause()
    return time


def send(operation: Operation[T]) -> Flow[Reply[T]]:
    """Send an operation once."""
    reply: Reply[T] = yield operation
    return reply


def retrying(operation: Operation[T], attempts: int = ATTEMPTS) -> Flow[Reply[T]]:
    """Send an operation, again and again while that is harmless and the failure passes by itself."""
    pauses = backoff()
    while True:
        try:
            return (yield from send(operation))
        except ZillizTransientError as error:
            attempts -= 1
            if not attempts or not (operation.idempotent or error.unprocessed):
                raise
            pause = max(next(pauses), error.retry_after or 0)
            yield Pause(pause, f"{error.sentence} Trying again in {pause:.0f} s.")


def all_pages(
    page: Callable[[int], Operation[BackupPage] | Operation[ClusterPage]], attempts: int = ATTEMPTS
) -> Flow[Reply[list[Any]]]:
    """
    Return the items of all pages of a list.

    The last page is the one that is not full, since the documents disagree about what ``count``
    means; a server that answers the same page again and again ends the list too.

    :param page: gives the operation for a page by its number, from 1
    :param attempts: how often each page is asked for
    """
    # Models cannot be hashed; what they show can. What changes between two pages is listed as both.
    items: dict[str, Any] = {}
    number = 1
    while True:
        operation: Operation[Any] = page(number)
        reply = yield from retrying(operation, attempts)
        found = reply.value.items
        known = len(items)
        items.update((repr(item), item) for item in found)
        if len(items) == known or len(found) < (reply.value.page_size or PAGE_SIZE):
            return Reply(list(items.values()), reply.server_time)
        number += 1


def all_backups(
    *,
    cluster_id: str | None = None,
    project_id: str | None = None,
    max_age: float = 0.0,
    attempts: int = ATTEMPTS,
) -> Flow[Reply[list[Backup]]]:
    """Return all backups of a cluster, of a project, or of everything that the key may see."""

    def page(number: int) -> Operation[BackupPage]:
        return list_backups(cluster_id=cluster_id, project_id=project_id, page=number).accept_cached(max_age)

    return (yield from all_pages(page, attempts))


def find_backup(
    cluster_id: str, backup_id: str, *, max_age: float = 0.0, attempts: int = ATTEMPTS
) -> Flow[Reply[Backup]]:
    """
    Return a backup.

    :raises ZillizNotFoundError: when there is none of that id
    :raises ZillizRefusedError: when there is, but it cannot be described
    """
    try:
        return (yield from retrying(describe_backup(cluster_id, backup_id).accept_cached(max_age), attempts))
    except ZillizRefusedError as refusal:
        # No code is documented for a backup that does not exist, so the list has to say whether it does.
        listed = yield from all_backups(cluster_id=cluster_id, max_age=max_age, attempts=attempts)
        if any(backup.backup_id == backup_id for backup in listed.value):
            raise
        raise ZillizNotFoundError(f"It is not in the list of backups. {refusal}") from refusal


def all_clusters(attempts: int = ATTEMPTS) -> Flow[Reply[list[Cluster]]]:
    """Return all clusters that the key may see."""
    return (yield from all_pages(lambda number: list_clusters(page=number), attempts))
