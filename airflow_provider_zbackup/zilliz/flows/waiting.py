"""Waiting for a job, for what it makes, and for a cluster to be free of running backups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBackupLostError,
    ZillizClusterLostError,
    ZillizError,
    ZillizJobCanceledError,
    ZillizJobFailedError,
    ZillizLostError,
    ZillizNotFoundError,
    ZillizPermanentError,
    ZillizRefusedError,
    ZillizUnsupportedClusterError,
)
from airflow_provider_zbackup.zilliz.flows.polling import PollResult, Wait, wait_until
from airflow_provider_zbackup.zilliz.flows.running import RunningBackups
from airflow_provider_zbackup.zilliz.flows.steps import (
    ATTEMPTS,
    Flow,
    Pause,
    Reply,
    all_backups,
    look_up_backup,
    now,
    send,
)
from airflow_provider_zbackup.zilliz.models import Backup, Cluster, Job
from airflow_provider_zbackup.zilliz.operations import describe_cluster, describe_job, list_projects
from airflow_provider_zbackup.zilliz.pacing import jitter

T = TypeVar("T")

#: Tasks that wait for the same backup go on at random moments within this many seconds.
QUEUE_JITTER = 5.0


def evaluate_job(job: Job, server_time: datetime | None = None) -> PollResult:
    """
    Tell whether a job has ended well.

    :raises ZillizJobFailedError: when it has failed
    :raises ZillizJobCanceledError: when it was canceled
    """
    if job.is_failed:
        raise ZillizJobFailedError(f"Job {job.job_id} failed: {job.reason or 'no reason was given'}.")
    if job.is_canceled:
        raise ZillizJobCanceledError(
            f"Job {job.job_id} was canceled: {job.reason or 'somebody canceled it in the web console'}."
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
    if backup.is_deleted or backup.is_failed:
        what = "was deleted" if backup.is_deleted else f"is {backup.status}"
        raise ZillizBackupLostError(f"Backup {backup.backup_id} {what}.")
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
    """Return an age by the server's clock, because the worker's may be minutes off."""
    return None if begin is None or server_time is None else max(0.0, (server_time - begin).total_seconds())


def wait_for_job(job_id: str, wait: Wait) -> Flow[Job | None]:
    """Wait until a job has ended well; see :func:`wait_until` and :func:`evaluate_job`."""
    operation = describe_job(job_id)

    def poll(max_age: float) -> Flow[Reply[Job]]:
        reply = yield from send(operation.accept_cached(max_age))
        return Reply(reply.value.model_copy(update={"job_id": job_id}), reply.server_time)

    return (yield from wait_until(poll, evaluate_job, wait))


def _wait_for_product(
    poll: Callable[[float], Flow[Reply[T]]],
    evaluate: Callable[[T, datetime | None], PollResult],
    wait: Wait,
    *,
    name: str,
    job_id: str | None,
    lost: type[ZillizLostError],
) -> Flow[T | None]:
    """
    Wait until a job has ended well and its product can be used.

    No failed status of backups and clusters is documented, so one that is no longer found has failed.

    :param job_id: ``None`` waits by the status of what it makes
    """
    job_ended = False
    if job_id:
        try:
            if (yield from wait_for_job(job_id, wait)) is None:
                return None
            job_ended = True
        except (ZillizNotFoundError, ZillizRefusedError) as error:
            # No code is documented for a job that is forgotten.
            yield Pause(0, f"{error} Waiting by the status of {name} instead.", is_trouble=True)

    def evaluate_near_end(value: T, server_time: datetime | None) -> PollResult:
        result = evaluate(value, server_time)
        # After the job's end only a confirmation is missing, so poll often.
        return result._replace(progress=100) if job_ended else result

    try:
        return (yield from wait_until(poll, evaluate_near_end, wait))
    except ZillizNotFoundError as error:
        raise lost(
            f"{name[0].upper()}{name[1:]} cannot be found: its creation failed, or somebody deleted it. "
            f"The answer: {error}"
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
        reply = yield from look_up_backup(cluster_id, backup_id, max_age=max_age, attempts=1)
        return Reply(reply.value.model_copy(update={"backup_id": backup_id}), reply.server_time)

    return (
        yield from _wait_for_product(
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
        yield from _wait_for_product(
            poll,
            evaluate_cluster,
            wait,
            name=f"cluster {cluster_id}",
            job_id=job_id,
            lost=ZillizClusterLostError,
        )
    )


def wait_for_job_or_product(
    job_id: str | None,
    cluster_id: str | None,
    backup_id: str | None,
    wait: Wait,
    *,
    earlier_job_ids: Sequence[str] = (),
) -> Flow[dict[str, Any] | None]:
    """
    Wait for a job or, where its id is not known, for the backup or the cluster that it makes.

    :param backup_id: ``None`` means that it makes the cluster
    :param earlier_job_ids: other jobs of the same task, which are waited for first
    :return: the job, the backup or the cluster, as plain JSON; ``None`` if it was time to hand over
    """
    for earlier in earlier_job_ids:
        try:
            if (yield from wait_for_job(earlier, wait)) is None:
                return None
        except ZillizError as error:
            raise error.with_ids({"job_id": earlier}) from error
    end: Job | Backup | Cluster | None
    if job_id:
        end = yield from wait_for_job(job_id, wait)
    elif backup_id:
        end = yield from wait_for_backup(cluster_id or "", backup_id, wait)
    else:
        end = yield from wait_for_cluster(cluster_id or "", wait)
    return None if end is None else end.model_dump(mode="json", exclude={"db_collections"})


def check_cluster(cluster_id: str) -> Flow[None]:
    """
    Check that a cluster exists and can have backups: if not, its list of backups is just empty.

    :raises ZillizNotFoundError: when there is no such cluster, or it is dropped
    :raises ZillizUnsupportedClusterError: when its plan has no backups
    """
    try:
        cluster = (yield from send(describe_cluster(cluster_id))).value
    except ZillizPermanentError:
        raise
    except ZillizError as error:
        # The wait that follows rides out the same trouble.
        yield Pause(0, f"{error} Going on without checking cluster {cluster_id}.", is_trouble=True)
        return
    if cluster.is_dropped:
        raise ZillizNotFoundError(f"Cluster {cluster_id} was dropped.")
    if not cluster.can_have_backups:
        raise ZillizUnsupportedClusterError(
            f"Cluster {cluster_id} is {cluster.deployment_option or cluster.plan}, so it has no backups."
        )


def check_project(project_id: str) -> Flow[None]:
    """
    Check that a project exists: if not, its list of backups may be just empty.

    :raises ZillizNotFoundError: when there is no such project
    """
    try:
        projects = (yield from send(list_projects())).value
    except ZillizError as error:
        # The key may be for backups alone.
        yield Pause(0, f"{error} Going on without checking project {project_id}.", is_trouble=True)
        return
    if projects and project_id not in {project.project_id for project in projects}:
        raise ZillizNotFoundError(
            f"Project {project_id} is not among those that the API key can see. ZillizHook().list_projects() "
            "shows them."
        )


def wait_until_free(
    wait: Wait,
    *,
    cluster_id: str | None = None,
    project_id: str | None = None,
    before_submission: bool = False,
) -> Flow[dict[str, int] | None]:
    """
    Wait until no backup, manual or automatic, is being created. Copies in other regions do not count.

    :param cluster_id: the cluster to watch
    :param project_id: the project to watch instead
    :param before_submission: whether the task submits a job next. Then one poll is enough, since submitting
        checks again, and the end is spread at random. Else two polls in a row must show nothing
    :return: how many backups there are; ``None`` if it was time to hand over
    """
    free = 0
    polls = 1 if before_submission else 2
    # The wait itself retries, until its deadline. With no time to wait, no request may fail in passing.
    attempts = ATTEMPTS if wait.deadline <= (yield from now()) else 1
    where = f"Cluster {cluster_id}" if cluster_id else f"Project {project_id}"
    running_backups = RunningBackups(attempts)

    def evaluate(seen: tuple[int, list[Backup]], server_time: datetime | None) -> PollResult:
        nonlocal free
        _, running = seen
        if running:
            free = 0
            ages = [age for backup in running if (age := _age(backup.create_time, server_time)) is not None]
            # No age in the text: it would change, and be logged, at every poll.
            state = f"{where} is busy with {', '.join(backup.describe() for backup in running)}"
            return PollResult(state, age=max(ages, default=None))
        free += 1
        return PollResult(f"{where} has no running backup", done=free >= polls, to_confirm=True)

    def poll(max_age: float) -> Flow[Reply[tuple[int, list[Backup]]]]:
        listed = yield from all_backups(
            cluster_id=cluster_id, project_id=project_id, max_age=max_age, attempts=attempts
        )
        running = yield from running_backups.among(listed)
        return Reply((len(listed.value), running), listed.server_time)

    end = yield from wait_until(poll, evaluate, wait)
    if end is None:
        return None
    if before_submission:
        yield Pause(jitter(QUEUE_JITTER))
    return {"backups": end[0]}
