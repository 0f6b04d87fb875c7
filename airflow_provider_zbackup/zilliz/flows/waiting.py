"""Waiting for a job, for a backup, and for a cluster to be free of running backups."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBackupLostError,
    ZillizError,
    ZillizJobCanceledError,
    ZillizJobFailedError,
    ZillizNotFoundError,
    ZillizPermanentError,
    ZillizTimeoutError,
    ZillizTransientError,
)
from airflow_provider_zbackup.zilliz.flows.steps import (
    Flow,
    Pause,
    Reply,
    all_backups,
    find_backup,
    now,
    send,
)
from airflow_provider_zbackup.zilliz.models import Backup, Job
from airflow_provider_zbackup.zilliz.operations import describe_job
from airflow_provider_zbackup.zilliz.pacing import backoff, jitter, poll_pause

T = TypeVar("T")

#: A job or backup may be unknown to look-ups for so long after its creation, in seconds.
LOOK_UP_LAG = 30.0
#: Refusals, with codes that say nothing, after which a wait gives up.
TOLERATED_REFUSALS = 5
#: Even when nothing changes, a wait says that it is alive this often, in seconds.
LONGEST_SILENCE = 300.0
#: A wait whose end is nearer than this is not left to somebody else, in seconds.
NEAR_END = 6.0
#: Those who wait for the same turn take it at moments so far apart, in seconds.
QUEUE_JITTER = 5.0
#: Pause between the looks that confirm each other, in seconds.
CONFIRMATION_PAUSE = 2.0


class Wait(NamedTuple):
    """
    How to wait for something that is under way.

    Times are seconds since the epoch, so that they mean the same in every process that a wait moves to.

    :param deadline: when to give up
    :param longest_pause: the longest pause between two looks, in seconds
    :param since: when the work began, where that is known
    :param leave_after: when to leave the wait to somebody else, unless the end is near
    :param not_before: when to look for the first time
    """

    deadline: float
    longest_pause: float = 60.0
    since: float | None = None
    leave_after: float | None = None
    not_before: float | None = None


class PollResult(NamedTuple):
    """
    What one look showed.

    :param state: what is the case, in words; the log tells when it changes
    :param done: whether the wait is over
    :param progress: per cent, where known
    :param age: how long the work has been going on, in seconds, where known
    :param to_confirm: whether one more look is needed to be sure
    """

    state: str
    done: bool = False
    progress: int | None = None
    age: float | None = None
    to_confirm: bool = False


def wait_until(
    look: Callable[[float], Flow[Reply[T]]], evaluate: Callable[[T, datetime | None], PollResult], wait: Wait
) -> Flow[T | None]:
    """
    Look until what is waited for has happened, riding out what passes by itself.

    :param look: gives a flow that looks once, content with an answer of the age that it is given
    :param evaluate: tells what the look showed; raises if it can never happen any more
    :param wait: how to wait
    :return: the last look; ``None`` if it was time to leave
    :raises ZillizTimeoutError: when the deadline has passed
    """
    begin = time = yield from now()
    if wait.not_before is not None and wait.not_before > time:
        time = yield Pause(max(0.0, min(wait.not_before, wait.deadline) - time))
    since = begin if wait.since is None else min(wait.since, begin)
    refusals, pauses = 0, backoff(first=1.0)
    missed_at: float | None = None
    told, told_at = "", time
    max_age = 0.0
    while True:
        try:
            reply = yield from look(max_age)
            sight = evaluate(reply.value, reply.server_time)
        except ZillizError as error:
            time = yield from now()
            refusals += not isinstance(error, ZillizTransientError | ZillizNotFoundError)
            if isinstance(error, ZillizNotFoundError) and missed_at is None:
                missed_at = time
            if not _can_be_waited_out(error, refusals, time - (missed_at or time)):
                raise
            sight = PollResult(str(error).rstrip("."))
            retry_after = error.retry_after or 0.0
            pause = max(next(pauses), retry_after)
            may_leave = isinstance(error, ZillizTransientError)
        else:
            time = yield from now()
            if sight.done:
                yield Pause(0, f"{sight.state}; {time - since:.0f} s elapsed.")
                return reply.value
            refusals, pauses, missed_at = 0, backoff(first=1.0), None
            retry_after = 0.0
            if sight.age is not None:
                since = min(since, time - sight.age)
            pause = poll_pause(time - since, sight.progress, wait.longest_pause)
            if sight.to_confirm:
                pause = CONFIRMATION_PAUSE
            may_leave = not sight.to_confirm

        if time >= wait.deadline:
            raise ZillizTimeoutError(f"Gave up after {time - since:.0f} s. Last seen: {sight.state}.")
        if wait.leave_after is not None and may_leave:
            near_end = _is_near_end(time, since, sight.progress, wait.leave_after)
            # Who may not ask again before it is time to leave need not stay until then.
            if time + retry_after >= wait.leave_after and not near_end:
                return None
            if time < wait.leave_after:
                pause = min(pause, wait.leave_after - time)
        pause = max(0.1, min(pause, wait.deadline - time))
        note = None
        if sight.state != told or time - told_at >= LONGEST_SILENCE:
            note = f"{sight.state}; {time - since:.0f} s elapsed, next look in {pause:.0f} s."
            told, told_at = sight.state, time
        time = yield Pause(pause, note)
        # Many who wait for one thing so send hardly more requests than one.
        max_age = 0.0 if sight.to_confirm else pause / 2


def _can_be_waited_out(error: ZillizError, refusals: int, missing: float) -> bool:
    """Tell whether a failed look is no reason to end the wait."""
    if isinstance(error, ZillizTransientError):
        return True
    if isinstance(error, ZillizNotFoundError):
        return missing < LOOK_UP_LAG
    if isinstance(error, ZillizPermanentError | ZillizJobFailedError | ZillizBackupLostError):
        return False
    return refusals < TOLERATED_REFUSALS


def _is_near_end(time: float, since: float, progress: int | None, leave_after: float) -> bool:
    """Tell whether the end is so near that leaving the wait would take longer than staying."""
    if not progress or time >= leave_after + 2 * NEAR_END:
        return False
    return (time - since) * (100 - progress) / progress <= NEAR_END


def evaluate_job(job: Job, server_time: datetime | None = None) -> PollResult:
    """
    Tell whether a job has ended well.

    :raises ZillizJobFailedError: when it has failed
    :raises ZillizJobCanceledError: when it was cancelled
    """
    if job.is_failed:
        raise ZillizJobFailedError(f"Job {job.job_id} failed: {job.reason or 'no reason was given'}.")
    if job.is_canceled:
        raise ZillizJobCanceledError(
            f"Job {job.job_id} was canceled: {job.reason or 'somebody cancelled it in the web console'}."
        )
    progress = "" if job.progress is None else f", {job.progress} %"
    return PollResult(
        f"Job {job.job_id} is {job.status or 'in no known state'}{progress}",
        done=job.is_successful,
        progress=job.progress,
        age=_age(job.start_time, server_time),
    )


def evaluate_backup(backup: Backup, server_time: datetime | None = None) -> PollResult:
    """
    Tell whether a backup can be used.

    :raises ZillizBackupLostError: when it is deleted
    """
    if backup.is_deleted:
        raise ZillizBackupLostError(f"Backup {backup.backup_id} was deleted.")
    return PollResult(
        f"Backup {backup.backup_id} is {backup.status or 'in no known state'}",
        done=backup.is_available,
        age=_age(backup.create_time, server_time),
    )


def _age(begin: datetime | None, server_time: datetime | None) -> float | None:
    """Return an age by the server's clock alone, since the worker's may be minutes off."""
    return None if begin is None or server_time is None else max(0.0, (server_time - begin).total_seconds())


def wait_for_job(job_id: str, wait: Wait) -> Flow[Job | None]:
    """Wait until a job has ended well; see :func:`wait_until` and :func:`evaluate_job`."""
    operation = describe_job(job_id)

    def look(max_age: float) -> Flow[Reply[Job]]:
        reply = yield from send(operation.accept_cached(max_age))
        return Reply(reply.value.model_copy(update={"job_id": job_id}), reply.server_time)

    return (yield from wait_until(look, evaluate_job, wait))


def wait_for_backup(
    cluster_id: str, backup_id: str, wait: Wait, *, job_ended: bool = False
) -> Flow[Backup | None]:
    """
    Wait until a backup is AVAILABLE, by its status.

    No failed status is documented: a backup that cannot be found any more has failed.

    :param job_ended: whether its job has ended well, so that it is only to be confirmed
    """

    def look(max_age: float) -> Flow[Reply[Backup]]:
        reply = yield from find_backup(cluster_id, backup_id, max_age=max_age, attempts=1)
        return Reply(reply.value.model_copy(update={"backup_id": backup_id}), reply.server_time)

    def evaluate(backup: Backup, server_time: datetime | None) -> PollResult:
        sight = evaluate_backup(backup, server_time)
        return sight._replace(progress=100) if job_ended else sight

    try:
        return (yield from wait_until(look, evaluate, wait))
    except ZillizNotFoundError as error:
        raise ZillizBackupLostError(
            f"Backup {backup_id} of cluster {cluster_id} cannot be found: its creation failed, or somebody "
            f"deleted it. The answer was: {error}"
        ) from error


def wait_for_job_or_backup(
    job_id: str | None, cluster_id: str | None, backup_id: str | None, wait: Wait
) -> Flow[dict[str, Any] | None]:
    """
    Wait for a job or, where its id is not known, for the backup that it makes.

    :return: the job or the backup, as plain JSON; ``None`` if it was time to leave
    """
    end: Job | Backup | None
    if job_id:
        end = yield from wait_for_job(job_id, wait)
    else:
        end = yield from wait_for_backup(cluster_id or "", backup_id or "", wait)
    return None if end is None else end.model_dump(mode="json", exclude={"db_collections"})


def wait_for_created_backup(
    cluster_id: str, backup_id: str, job_id: str | None, wait: Wait
) -> Flow[Backup | None]:
    """
    Wait until a backup's job has ended well and the backup itself is there.

    :param job_id: the job that makes the backup; ``None`` waits by the backup's status alone
    :return: ``None`` if it was time to leave
    """
    job_ended = False
    if job_id:
        try:
            if (yield from wait_for_job(job_id, wait)) is None:
                return None
            job_ended = True
        except ZillizNotFoundError as error:
            yield Pause(0, f"{error.sentence} Waiting by the status of backup {backup_id} instead.")
    return (yield from wait_for_backup(cluster_id, backup_id, wait, job_ended=job_ended))


def wait_until_free(
    wait: Wait, *, cluster_id: str | None = None, project_id: str | None = None, for_turn: bool = False
) -> Flow[dict[str, int] | None]:
    """
    Wait until no backup, manual or automatic, is being created.

    :param cluster_id: the cluster to watch
    :param project_id: the project to watch instead
    :param for_turn: whether it is to create a backup next. Then one look is enough, since the create looks
        again, and all who wait for their turn spread out. Else nothing must be seen twice in a row
    :return: how many backups there are; ``None`` if it was time to leave
    """
    free = 0
    looks = 1 if for_turn else 2
    where = f"Cluster {cluster_id}" if cluster_id else f"Project {project_id}"

    def evaluate(backups: list[Backup], server_time: datetime | None) -> PollResult:
        nonlocal free
        running = [backup for backup in backups if backup.is_running]
        if running:
            free = 0
            ages = [age for backup in running if (age := _age(backup.create_time, server_time)) is not None]
            # No age in the text: it would differ at every look, and be logged each time.
            state = f"{where} is busy with {', '.join(backup.describe() for backup in running)}"
            return PollResult(state, age=max(ages, default=None))
        free += 1
        return PollResult(f"{where} has no running backup", done=free >= looks, to_confirm=True)

    def look(max_age: float) -> Flow[Reply[list[Backup]]]:
        # One attempt, since it is the wait that rides out trouble and knows its deadline.
        return all_backups(cluster_id=cluster_id, project_id=project_id, max_age=max_age, attempts=1)

    backups = yield from wait_until(look, evaluate, wait)
    if backups is None:
        return None
    if for_turn:
        yield Pause(jitter(QUEUE_JITTER))
    return {"backups": len(backups)}
