"""
The steps of flows, the one loop that runs any flow, and the smallest flows: send, retry, poll through a lag,
read all pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from pydantic import SecretStr

from airflow_provider_zbackup.zilliz.errors import (
    ZillizError,
    ZillizNotFoundError,
    ZillizPermanentError,
    ZillizRefusedError,
    ZillizTransientError,
)
from airflow_provider_zbackup.zilliz.models import Backup, BackupPage, Cluster
from airflow_provider_zbackup.zilliz.operations import (
    PAGE_SIZE,
    Operation,
    describe_backup,
    list_backups,
    list_clusters,
)
from airflow_provider_zbackup.zilliz.pacing import backoff

T = TypeVar("T")

#: After transient errors, a request is sent at most this often in all.
ATTEMPTS = 6


class Pause(NamedTuple):
    """
    Step: wait, and get the time in return.

    :param seconds: 0 asks for the time only
    :param note: a line for the log, written before the pause
    :param is_trouble: whether the line is a warning
    """

    seconds: float = 0.0
    note: str | None = None
    is_trouble: bool = False


class Save(NamedTuple):
    """
    Step: make a record durable before the flow goes on, and get the time in return.

    :param record: plain JSON; ``None`` deletes what was saved
    """

    record: Mapping[str, Any] | None


class StoreSecret(NamedTuple):
    """
    Step: store what the API shows only once, before anything else can fail, and get whether it is stored.

    :param username: the user of the secret
    :param secret: ``None`` if the API did not show it
    """

    username: str
    secret: SecretStr | None


class Reply(NamedTuple, Generic[T]):
    """
    The answer to an operation.

    :param server_time: the answer's ``Date`` header
    """

    value: T
    server_time: datetime | None = None


Step: TypeAlias = Operation[Any] | Pause | Save | StoreSecret
Flow: TypeAlias = Generator[Step, Any, T]


async def drive(flow: Flow[T], take: Callable[[Step], Awaitable[Any]]) -> T:
    """
    Run a flow to its end. Both clients use this loop; they differ only in how they take a step.

    The flow is always closed, even after an error that no flow handles.

    :param take: takes a step and returns its outcome; a :class:`ZillizError` goes to the flow
    """
    with closing(flow):
        try:
            step = next(flow)
            while True:
                try:
                    outcome = await take(step)
                except ZillizError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result


def drive_blocking(flow: Flow[T], take: Callable[[Step], Any]) -> T:
    """Run a flow to its end where it may block, as in a worker; see :func:`drive`."""

    async def take_now(step: Step) -> Any:
        return take(step)

    running = drive(flow, take_now)
    try:
        # Nothing here awaits, so one step runs the whole coroutine.
        running.send(None)
    except StopIteration as end:
        result: T = end.value
    return result


def now() -> Flow[float]:
    """Return the time, in seconds since the epoch."""
    time: float = yield Pause()
    return time


def server_now(reply: Reply[Any], came_at: float | None = None) -> Flow[datetime]:
    """
    Return the server's time, by the ``Date`` header of a reply, else by this machine's clock.

    :param came_at: when the reply came, by this machine's clock; ``None`` means just now
    """
    time = yield from now()
    age = 0.0 if came_at is None else time - came_at
    return (reply.server_time or datetime.fromtimestamp(time - age, UTC)) + timedelta(seconds=age)


def send(operation: Operation[T]) -> Flow[Reply[T]]:
    """Send an operation once."""
    reply: Reply[T] = yield operation
    return reply


def retrying(operation: Operation[T], attempts: int = ATTEMPTS) -> Flow[Reply[T]]:
    """
    Send an operation, and retry it if that does no harm: after transient errors, and after refusals that came
    with HTTP 5xx, since the code of those is not understood.
    """
    pauses = backoff()
    while True:
        try:
            return (yield from send(operation))
        except (ZillizTransientError, ZillizRefusedError) as error:
            attempts -= 1
            may_pass = isinstance(error, ZillizTransientError) or (error.http_status or 0) >= 500
            is_harmless = operation.idempotent or error.unprocessed
            if not (attempts and may_pass and is_harmless):
                raise
            pause = max(next(pauses), error.retry_after or 0)
            yield Pause(pause, f"{error} Trying again in {pause:.0f} s.", is_trouble=True)


def poll_through_lag(
    poll: Callable[[], Flow[T]],
    is_found: Callable[[T], bool],
    lag: Callable[[float, T], float],
    note: str | None = None,
) -> Flow[T]:
    """
    Poll until something is found, or until the service's lag can no longer hide it.

    :param poll: gives a flow that looks once
    :param is_found: tells whether a poll found it
    :param lag: gives the seconds to poll, from the time and the result of the first poll
    :param note: a line for the log before each further poll
    :return: what the last poll showed
    """
    until: float | None = None
    pauses = backoff(first=1.0, longest=5.0)
    begun = yield from now()
    while True:
        result = yield from poll()
        if is_found(result):
            return result
        time = yield from now()
        if until is None:
            until = time + lag(time, result)
        # The answer of a slow poll is as old as the poll's beginning.
        if begun >= until:
            return result
        begun = yield Pause(max(0.0, min(next(pauses), until - time)), note)


def all_pages(page: Callable[[int], Operation[Any]], attempts: int = ATTEMPTS) -> Flow[Reply[list[Any]]]:
    """
    Return the items of all pages of a list.

    A page that is not full is the last one: the documents disagree about the meaning of ``count``. A page
    with nothing new ends the list too, since a server may repeat one page for ever.

    :param page: gives the operation for a page by its number, from 1
    :param attempts: how often each page is asked for
    """
    # An item that changes between two pages is kept in both versions.
    items: dict[Any, None] = {}
    number = 1
    while True:
        reply = yield from retrying(page(number), attempts)
        found = reply.value.items
        known = len(items)
        items.update(dict.fromkeys(found))
        if len(items) == known or len(found) < (reply.value.page_size or PAGE_SIZE):
            return Reply(list(items), reply.server_time)
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


def look_up_backup(
    cluster_id: str, backup_id: str, *, max_age: float = 0.0, attempts: int = ATTEMPTS
) -> Flow[Reply[Backup]]:
    """
    Return a backup.

    :raises ZillizNotFoundError: when no backup has that id
    :raises ZillizRefusedError: when the backup exists but cannot be described
    """
    try:
        return (yield from retrying(describe_backup(cluster_id, backup_id).accept_cached(max_age), attempts))
    except ZillizRefusedError as refusal:
        # No code for "no such backup" is documented, so the list decides.
        listed = yield from all_backups(cluster_id=cluster_id, max_age=max_age, attempts=attempts)
        if any(backup.backup_id == backup_id for backup in listed.value):
            raise
        raise ZillizNotFoundError(f"It is not in the list of backups. {refusal}") from refusal


def all_clusters(attempts: int = ATTEMPTS) -> Flow[Reply[list[Cluster]]]:
    """Return all clusters that the key may see."""
    return (yield from all_pages(lambda number: list_clusters(page=number), attempts))


def still_listed(listing: Flow[Reply[list[T]]], is_meant: Callable[[T], bool]) -> Flow[T | None]:
    """
    Return what is not found by its id, if a list shows it all the same.

    :param listing: reads the list
    :raises ZillizNotFoundError: when there is no list: what answers there is not the API
    """
    try:
        listed = yield from listing
    except ZillizNotFoundError:
        raise
    except (ZillizPermanentError, ZillizRefusedError):
        # The key may be for one cluster alone.
        return None
    return next((each for each in listed.value if is_meant(each)), None)
