"""
Waiting for the copies of a backup in other regions, as well as the API allows.

Zilliz Cloud returns no ids of copies, and no document says how it shows them. So the list of the cluster's
backups is searched for what can only be such a copy. A backup counts without its copies, so nothing here
fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_zbackup.zilliz.errors import ZillizError, ZillizNotFoundError
from airflow_provider_zbackup.zilliz.flows.polling import PollResult, Wait, wait_until
from airflow_provider_zbackup.zilliz.flows.recovery import CLOCK_TOLERANCE
from airflow_provider_zbackup.zilliz.flows.steps import (
    Flow,
    Pause,
    Reply,
    all_backups,
    look_up_backup,
    now,
    send,
)
from airflow_provider_zbackup.zilliz.models import Backup
from airflow_provider_zbackup.zilliz.operations import describe_job


def may_be_copy(home: Backup, backup: Backup, ended: datetime | None) -> bool:
    """
    Tell whether a backup may be a copy of another one.

    It has the same type, creation method and content, as far as both show them. Its creation time is that of
    the original, or is not before the end of the original's job: only then the copying begins.

    :param home: the original
    :param ended: when its job ended; ``None`` counts from its creation
    """
    begun, since = backup.create_time, ended or home.create_time
    methods = {backup.creation_method, home.creation_method}
    return (
        backup.backup_id != ""
        # A copy may have the id of the original, if its region shows which one it is.
        and (backup.backup_id != home.backup_id or backup.region_id not in (None, home.region_id))
        and not (backup.is_deleted or backup.is_failed)
        and backup.cluster_id in ("", home.cluster_id)
        and backup.backup_type == home.backup_type
        and ("" in methods or len(methods) == 1)
        and begun is not None
        and since is not None
        and (begun == home.create_time or begun >= since - timedelta(seconds=CLOCK_TOLERANCE))
        and (None in (backup.contents, home.contents) or backup.contents == home.contents)
    )


def evaluate_copies(regions: Sequence[str], copies: Iterable[Backup]) -> list[dict[str, Any]]:
    """
    Return what is known of the copy in each region: ``region_id``, ``backup_id`` and ``status``, or nulls.

    :param copies: what may be such copies. The first that began in a region is ours: copying begins at once
    """
    found: dict[str, Backup] = {}
    for copy in sorted(copies, key=lambda copy: copy.create_time or datetime.max.replace(tzinfo=UTC)):
        found.setdefault(copy.region_id or "", copy)
    return [
        {
            "region_id": region,
            "backup_id": found[region].backup_id if region in found else None,
            "status": found[region].status or None if region in found else None,
        }
        for region in regions
    ]


def wait_for_copies(
    home: Backup, regions: Sequence[str], wait: Wait, *, longest: float, job_id: str | None
) -> Flow[list[dict[str, Any]] | None]:
    """
    Wait until a backup has an AVAILABLE copy in each region, or until its time is over.

    :param home: the original, which is AVAILABLE
    :param wait: its deadline is the latest one, whenever the job ended
    :param longest: how long to wait after the job's end, in seconds
    :param job_id: the job that made the original
    :return: see :func:`evaluate_copies`; ``None`` if it was time to hand over
    """
    ended, ended_ago = yield from _end_of_job(job_id)
    since = (yield from now()) - ended_ago
    wait = wait._replace(deadline=min(wait.deadline, since + longest), since=since, not_before=None)
    described: dict[str, Backup] = {}
    copies = evaluate_copies(regions, ())

    def poll(max_age: float) -> Flow[Reply[list[Backup]]]:
        listed = yield from all_backups(cluster_id=home.cluster_id, max_age=max_age, attempts=1)
        found = []
        for backup in listed.value:
            if not may_be_copy(home, backup, ended):
                continue
            # A list shows no regions.
            if backup.region_id is None and backup.backup_id not in described:
                try:
                    shown = yield from look_up_backup(home.cluster_id, backup.backup_id, attempts=1)
                except ZillizNotFoundError:
                    # It is gone, or too new.
                    continue
                described[backup.backup_id] = shown.value
            known = described.get(backup.backup_id, backup)
            facts = {"region_id": known.region_id, "db_collections": known.db_collections}
            copy = backup.model_copy(update=facts)
            if may_be_copy(home, copy, ended):
                found.append(copy)
        return Reply(found, listed.server_time)

    def evaluate(found: list[Backup], server_time: datetime | None) -> PollResult:
        nonlocal copies
        copies = evaluate_copies(regions, found)
        states = (f"{copy['status'] or 'not seen yet'} in {copy['region_id']}" for copy in copies)
        return PollResult(
            f"The copy of backup {home.backup_id} is {', '.join(states)}",
            done=all(copy["status"] == "AVAILABLE" for copy in copies),
        )

    try:
        if (yield from wait_until(poll, evaluate, wait)) is None:
            return None
    except ZillizError as error:
        yield Pause(
            0, f"{error} No longer waiting for the copies of backup {home.backup_id}.", is_trouble=True
        )
    return copies


def _end_of_job(job_id: str | None) -> Flow[tuple[datetime | None, float]]:
    """Return when a job ended, if it is known, and how long ago, in seconds."""
    if job_id is None:
        return None, 0.0
    try:
        reply = yield from send(describe_job(job_id))
    except ZillizError as error:
        yield Pause(0, f"{error} Going on without the time of the job's end.", is_trouble=True)
        return None, 0.0
    ended, server_time = reply.value.end_time, reply.server_time
    if ended is None or server_time is None:
        return ended, 0.0
    return ended, max(0.0, (server_time - ended).total_seconds())
