"""Waiting for a job, for what it makes, and for a cluster to be free of running backups."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBackupLostError,
    ZillizClusterLostError,
    ZillizError,
    ZillizJobCanceledError,
    ZillizJobFailedError,
    ZillizLostError,
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
from airflow_provider_zbackup.zilliz.models import Backup, Cluster, Job
from airflow_provider_zbackup.zilliz.operations import describe_cluster, describe_job
from airflow_provider_zbackup.zilliz.pacing import backoff, jitter, poll_pause

T = TypeVar("T")

#: A job or backup may be unknown to look-ups for so long after its creation, in seconds.
LOOK_UP_LAG = 30.0
#: A wait gives up after so many refusals in a row whose codes say nothing.
TOLERATED_REFUSALS = 5
#: Even when nothing changes, a wait writes a line to the log this often, in seconds.
LONGEST_SILENCE = 300.0
#: A wait whose end is nearer than this is not handed over, in seconds.
NEAR_END = 6.0
#: Tasks that wait for the same backup to end go on at random moments within so many seconds.
QUEUE_JITTER = 5.0
#: Pause between two polls that confirm each other, in seconds.
CONFIRMATION_PAUSE = 2.0


class Wait(NamedTuple):
    """
    How to wait for something that is under way.

    Times are seconds since the epoch, so that they mean the same in every process that a wait moves to.

    :param deadline: when to give up
    :param longest_pause: the longest pause between two polls, in seconds
    :param since: when the work began, where that is known
    :param leave_after: when to hand the wait over to somebody else, unless the end is near
    :param not_before: when to poll for the first time
    """

    deadline: float
    longest_pause: float = 60.0
    since: float | None = None
    leave_after: float | None = None
    not_before: float | None = None


class PollResult(NamedTuple):
    """
    What one poll showed.

    :param state: what is the case, in words; the log tells when it changes
    :param done: whether the wait is over
    :param progress: per cent, where known
    :param age: how long the work has been going on, in seconds, where known
    :param to_confirm: whether one more poll is needed to be sure
    """

    state: str
    done: bool = False
    progress: int | None = None
    age: float | None = None
    to_confirm: bool = False


class Finish(NamedTuple):
    """The wait is over."""

    note: str


class HandOver(NamedTuple):
    """It is time to leave the wait to somebody else."""


class PollAgain(NamedTuple):
    """
    The wait goes on.

    :param pause: before the next poll, in seconds
    :param note: a line for the log, if there is anything new to tell
    :param max_age: how old an answer the next poll may share, in seconds
    """

    pause: float
    note: str | None
    max_age: float


class WaitState:
    """
    Decides what follows a poll. It sends nothing and reads no clock.

    ==================================  ===================================================================
    what the poll showed                what follows
    ==================================  ===================================================================
    the end                             :class:`Finish`
    work under way                      :class:`PollAgain`, the sooner the younger or the nearer to its end
    the first of two good polls         :class:`PollAgain`, soon
    a transient error                   :class:`PollAgain`, after a backoff or when ``Retry-After`` allows
    not found                           the same, for up to :data:`LOOK_UP_LAG` seconds in a row
    a refusal                           the same, up to :data:`TOLERATED_REFUSALS` times in a row
    anything else                       the error is raised
    any but the end, at the deadline    :class:`ZillizTimeoutError` is raised
    work under way or a transient       :class:`HandOver`, unless the end is near
    error, at ``leave_after``
    ==================================  ===================================================================

    :param wait: how to wait
    :param begin: when the wait began, in seconds since the epoch
    """

    def __init__(self, wait: Wait, begin: float) -> None:
        self._wait = wait
        self._since = begin if wait.since is None else min(wait.since, begin)
        self._refusals = 0
        self._missing_since: float | None = None
        self._pauses = backoff(first=1.0)
        self._logged, self._logged_at = "", begin

    def after(self, outcome: PollResult | ZillizError, time: float) -> Finish | HandOver | PollAgain:
        """
        Decide what follows a poll.

        :param outcome: what it showed, or how it failed
        :param time: now, in seconds since the epoch
        """
        if isinstance(outcome, ZillizError):
            self._raise_unless_it_may_pass(outcome, time)
            result = PollResult(str(outcome).rstrip("."))
            retry_after = outcome.retry_after or 0.0
            pause = max(next(self._pauses), retry_after)
            may_hand_over = isinstance(outcome, ZillizTransientError)
        elif outcome.done:
            return Finish(f"{outcome.state}; {time - self._since:.0f} s elapsed.")
        else:
            result = outcome
            self._forget_trouble()
            if result.age is not None:
                self._since = min(self._since, time - result.age)
            retry_after = 0.0
            pause = self._pause_after(result, time)
            may_hand_over = not result.to_confirm
        if time >= self._wait.deadline:
            raise ZillizTimeoutError(f"Gave up after {time - self._since:.0f} s. Last seen: {result.state}.")
        if self._wait.leave_after is not None and may_hand_over:
            # If Retry-After ends after leave_after, hand over now.
            if time + retry_after >= self._wait.leave_after and not self._is_near_end(result, time):
                return HandOver()
            if time < self._wait.leave_after:
                pause = min(pause, self._wait.leave_after - time)
        pause = max(0.1, min(pause, self._wait.deadline - time))
        # Sharing answers, many who wait for one thing send hardly more requests than one.
        return PollAgain(pause, self._note(result, pause, time), 0.0 if result.to_confirm else pause / 2)

    def _raise_unless_it_may_pass(self, error: ZillizError, time: float) -> None:
        match error:
            case ZillizTransientError():
                return
            case ZillizNotFoundError():
                if self._missing_since is None:
                    self._missing_since = time
                if time - self._missing_since < LOOK_UP_LAG:
                    return
            case ZillizPermanentError() | ZillizJobFailedError() | ZillizLostError():
                pass
            case _:
                self._refusals += 1
                if self._refusals < TOLERATED_REFUSALS:
                    return
        raise error

    def _forget_trouble(self) -> None:
        self._refusals, self._missing_since, self._pauses = 0, None, backoff(first=1.0)

    def _pause_after(self, result: PollResult, time: float) -> float:
        if result.to_confirm:
            return CONFIRMATION_PAUSE
        return poll_pause(time - self._since, result.progress, self._wait.longest_pause)

    def _is_near_end(self, result: PollResult, time: float) -> bool:
        """Tell whether handing over would take longer than staying."""
        if not result.progress or time >= (self._wait.leave_after or 0.0) + 2 * NEAR_END:
            return False
        return (time - self._since) * (100 - result.progress) / result.progress <= NEAR_END

    def _note(self, result: PollResult, pause: float, time: float) -> str | None:
        if result.state == self._logged and time - self._logged_at < LONGEST_SILENCE:
            return None
        self._logged, self._logged_at = result.state, time
        return f"{result.state}; {time - self._since:.0f} s elapsed, next poll in {pause:.0f} s."


def wait_until(
    poll: Callable[[float], Flow[Reply[T]]], evaluate: Callable[[T, datetime | None], PollResult], wait: Wait
) -> Flow[T | None]:
    """
    Poll until what is waited for has happened.

    :param poll: gives a flow that polls once; it may share an answer of the age that it is given
    :param evaluate: tells what a poll showed; raises if what is waited for can never happen any more
    :param wait: how to wait
    :return: the last poll; ``None`` if it was time to hand over
    :raises ZillizTimeoutError: when the deadline has passed
    """
    time = yield from now()
    state = WaitState(wait, time)
    if wait.not_before is not None and wait.not_before > time:
        yield Pause(max(0.0, min(wait.not_before, wait.deadline) - time))
    max_age = 0.0
    while True:
        outcome: PollResult | ZillizError
        try:
            reply = yield from poll(max_age)
            outcome = evaluate(reply.value, reply.server_time)
        except ZillizError as error:
            outcome = error
        match state.after(outcome, (yield from now())):
            case Finish(note):
                yield Pause(0, note)
                return reply.value
            case HandOver():
                return None
            case PollAgain(pause, note, max_age):
                yield Pause(pause, note)


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


def evaluate_cluster(cluster: Cluster, server_time: datetime | None = None) -> PollResult:
    """
    Tell whether a new cluster can be used.

    :raises ZillizClusterLostError: when it is dropped
    """
    if cluster.is_dropped:
        raise ZillizClusterLostError(f"Cluster {cluster.cluster_id} was dropped.")
    return PollResult(
        f"Cluster {cluster.cluster_id} is {cluster.status or 'in no known state'}",
        done=cluster.is_running,
        age=_age(cluster.create_time, server_time),
    )


def _age(begin: datetime | None, server_time: datetime | None) -> float | None:
    """Return an age by the server's clock alone, since the worker's may be minutes off."""
    return None if begin is None or server_time is None else max(0.0, (server_time - begin).total_seconds())


def wait_for_job(job_id: str, wait: Wait) -> Flow[Job | None]:
    """Wait until a job has ended well; see :func:`wait_until` and :func:`evaluate_job`."""
    operation = describe_job(job_id)

    def poll(max_age: float) -> Flow[Reply[Job]]:
        reply = yield from send(operation.accept_cached(max_age))
        return Reply(reply.value.model_copy(update={"job_id": job_id}), reply.server_time)

    return (yield from wait_until(poll, evaluate_job, wait))


def _wait_for_what_a_job_makes(
    poll: Callable[[float], Flow[Reply[T]]],
    evaluate: Callable[[T, datetime | None], PollResult],
    wait: Wait,
    *,
    name: str,
    job_id: str | None,
    lost: type[ZillizLostError],
) -> Flow[T | None]:
    """
    Wait until a job has ended well and what it makes can be used.

    No failed status of backups and clusters is documented: what cannot be found any more has failed.

    :param job_id: ``None`` waits by the status of what it makes
    """
    job_ended = False
    if job_id:
        try:
            if (yield from wait_for_job(job_id, wait)) is None:
                return None
            job_ended = True
        except ZillizNotFoundError as error:
            yield Pause(0, f"{error} Waiting by the status of {name} instead.")

    def evaluate_near_end(value: T, server_time: datetime | None) -> PollResult:
        result = evaluate(value, server_time)
        # What is only to be confirmed is polled as something that is at its end.
        return result._replace(progress=100) if job_ended else result

    try:
        return (yield from wait_until(poll, evaluate_near_end, wait))
    except ZillizNotFoundError as error:
        raise lost(
            f"{name[0].upper()}{name[1:]} cannot be found: its creation failed, or somebody deleted it. "
            f"The answer was: {error}"
        ) from error


def wait_for_backup(
    cluster_id: str, backup_id: str, wait: Wait, *, job_id: str | None = None
) -> Flow[Backup | None]:
    """
    Wait until a backup's job has ended well and the backup is AVAILABLE.

    :param job_id: the job that makes the backup; ``None`` waits by the backup's status alone
    :return: ``None`` if it was time to hand over
    :raises ZillizBackupLostError: when the backup is deleted or cannot be found
    """

    def poll(max_age: float) -> Flow[Reply[Backup]]:
        reply = yield from find_backup(cluster_id, backup_id, max_age=max_age, attempts=1)
        return Reply(reply.value.model_copy(update={"backup_id": backup_id}), reply.server_time)

    return (
        yield from _wait_for_what_a_job_makes(
            poll,
            evaluate_backup,
            wait,
            name=f"backup {backup_id} of cluster {cluster_id}",
            job_id=job_id,
            lost=ZillizBackupLostError,
        )
    )


def wait_for_cluster(cluster_id: str, wait: Wait, *, job_id: str | None = None) -> Flow[Cluster | None]:
    """
    Wait until the job that makes a cluster has ended well and the cluster is RUNNING.

    :param job_id: the job that makes the cluster; ``None`` waits by the cluster's status alone
    :return: ``None`` if it was time to hand over
    :raises ZillizClusterLostError: when the cluster is dropped or cannot be found
    """

    def poll(max_age: float) -> Flow[Reply[Cluster]]:
        reply = yield from send(describe_cluster(cluster_id).accept_cached(max_age))
        return Reply(reply.value.model_copy(update={"cluster_id": cluster_id}), reply.server_time)

    return (
        yield from _wait_for_what_a_job_makes(
            poll,
            evaluate_cluster,
            wait,
            name=f"cluster {cluster_id}",
            job_id=job_id,
            lost=ZillizClusterLostError,
        )
    )


def wait_for_job_or_backup(
    job_id: str | None, cluster_id: str | None, backup_id: str | None, wait: Wait
) -> Flow[dict[str, Any] | None]:
    """
    Wait for a job or, where its id is not known, for the backup that it makes.

    :return: the job or the backup, as plain JSON; ``None`` if it was time to hand over
    """
    end: Job | Backup | None
    if job_id:
        end = yield from wait_for_job(job_id, wait)
    else:
        end = yield from wait_for_backup(cluster_id or "", backup_id or "", wait)
    return None if end is None else end.model_dump(mode="json", exclude={"db_collections"})


def wait_until_free(
    wait: Wait, *, cluster_id: str | None = None, project_id: str | None = None, to_submit: bool = False
) -> Flow[dict[str, int] | None]:
    """
    Wait until no backup, manual or automatic, is being created.

    :param cluster_id: the cluster to watch
    :param project_id: the project to watch instead
    :param to_submit: whether the task starts a job next. Then one poll is enough, since the submission looks
        again, and tasks that wait for the same moment spread out. Else two polls in a row must show nothing
    :return: how many backups there are; ``None`` if it was time to hand over
    """
    free = 0
    polls = 1 if to_submit else 2
    where = f"Cluster {cluster_id}" if cluster_id else f"Project {project_id}"

    def evaluate(backups: list[Backup], server_time: datetime | None) -> PollResult:
        nonlocal free
        running = [backup for backup in backups if backup.is_running]
        if running:
            free = 0
            ages = [age for backup in running if (age := _age(backup.create_time, server_time)) is not None]
            # No age in the text: it would differ at every poll, and be logged each time.
            state = f"{where} is busy with {', '.join(backup.describe() for backup in running)}"
            return PollResult(state, age=max(ages, default=None))
        free += 1
        return PollResult(f"{where} has no running backup", done=free >= polls, to_confirm=True)

    def poll(max_age: float) -> Flow[Reply[list[Backup]]]:
        # One attempt: the wait rides out trouble itself, since it knows its deadline.
        return all_backups(cluster_id=cluster_id, project_id=project_id, max_age=max_age, attempts=1)

    backups = yield from wait_until(poll, evaluate, wait)
    if backups is None:
        return None
    if to_submit:
        yield Pause(jitter(QUEUE_JITTER))
    return {"backups": len(backups)}
