"""
Creating a backup once, whatever fails.

The create call has no idempotency key, and manual backups are kept and billed for ever. So what is
about to be sent is remembered before, and what came of it after; and whenever the outcome is not known,
the list of backups is asked instead of the create being sent again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_zbackup.zilliz.errors import (
    ZillizConflictError,
    ZillizError,
    ZillizNotFoundError,
    ZillizProtocolError,
    ZillizRefusedError,
    ZillizTransientError,
    ZillizUncertainError,
)
from airflow_provider_zbackup.zilliz.flows.steps import (
    Flow,
    Pause,
    Reply,
    Save,
    all_backups,
    find_backup,
    now,
    retrying,
    send,
)
from airflow_provider_zbackup.zilliz.flows.waiting import LOOK_UP_LAG
from airflow_provider_zbackup.zilliz.models import Backup, CreateBackupRequest
from airflow_provider_zbackup.zilliz.operations import create_backup, describe_backup, describe_job
from airflow_provider_zbackup.zilliz.pacing import backoff

#: A new backup may be missing from the list for so long, in seconds.
LIST_LAG = 15.0
#: However late the server may still do what was sent, it is not looked for any longer, in seconds.
LONGEST_LOOK = 300.0
#: After a refusal that the cluster's own list does not explain, the create is not sent again sooner.
UNEXPLAINED_PAUSE = 10.0
#: How often a create is sent when it certainly or apparently did not arrive.
CREATE_ATTEMPTS = 4
#: The clocks of the service's own machines may differ by so much, in seconds.
CLOCK_TOLERANCE = 2.0
#: Backups older than this are not remembered: their time of creation alone shows that they are not ours.
REMEMBERED_AGE = timedelta(hours=1)


class CreateRecord(BaseModel):
    """
    What is remembered of a create, in the server's time.

    :param cluster_id: the cluster to back up
    :param request: the body that is sent
    :param first_sent: when it was sent first
    :param answer_by: when, at the latest, the server can have done what was sent last
    :param known: ids of the backups that were there before
    :param backup_id: the backup that came of it; empty while that is not known
    :param job_id: the job that makes it; empty too when the backup was found in the list
    :param adopted: whether the backup was found in the list, its create having got no answer
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    cluster_id: str
    request: dict[str, Any]
    first_sent: datetime
    answer_by: datetime
    known: tuple[str, ...] = ()
    backup_id: str = ""
    backup_name: str = ""
    job_id: str = ""
    adopted: bool = False

    def save(self) -> Save:
        return Save(self.model_dump(mode="json"))

    def answered_by(self, server_time: datetime, seconds: float) -> CreateRecord:
        """Return the record with a new end of the time in which the server can have done the work."""
        return self.model_copy(update={"answer_by": server_time + timedelta(seconds=seconds)})

    def asked_for_same(self, cluster_id: str, request: CreateBackupRequest) -> bool:
        """Tell whether this was the same create, in whatever order its collections were named."""
        return cluster_id == self.cluster_id and _unordered(self.request) == _unordered(request.body())

    def may_have_made(self, backup: Backup) -> bool:
        """Tell whether a listed backup can have come of this create, by all that the list shows of it."""
        earliest = self.first_sent - timedelta(seconds=CLOCK_TOLERANCE)
        latest = self.answer_by + timedelta(seconds=LIST_LAG)
        return (
            backup.creation_method in ("MANUAL", "")
            and backup.backup_type in (self.request["backupType"], "")
            and backup.backup_id not in ("", *self.known)
            and (backup.create_time is None or earliest <= backup.create_time <= latest)
        )


def create_backup_once(
    cluster_id: str,
    request: CreateBackupRequest,
    *,
    record: Mapping[str, Any] | None = None,
    answer_time: float = 30.0,
    conflict_codes: Collection[int] = (),
) -> Flow[CreateRecord]:
    """
    Create a backup, or find the one that an earlier try of the same work has created.

    :param record: what an earlier try remembered
    :param answer_time: how long the server may take to answer, in seconds
    :param conflict_codes: codes by which the server says that another backup is in the way
    :return: the record of the backup, which has its id
    :raises ZillizConflictError: when another backup is in the way
    :raises ZillizUncertainError: when it cannot be known whether a backup was created
    """
    if record is not None:
        try:
            earlier = CreateRecord.model_validate(record)
        except ValidationError as error:
            raise ZillizUncertainError(
                f"What an earlier try of this task remembered cannot be read: {dict(record)}. Find out in "
                "the Zilliz Cloud console whether it has made a backup, and remove the task's stored state."
            ) from error
        if earlier.asked_for_same(cluster_id, request):
            found = yield from (_reattach(earlier) if earlier.backup_id else _reconcile(earlier, request))
            if found is not None:
                yield Pause(0, f"Backup {found.backup_id} is of an earlier try, begun {found.first_sent}.")
                return found
        else:
            yield Pause(0, f"An earlier try asked for something else, {earlier.request}; it is left alone.")
    return (yield from _create(cluster_id, request, answer_time, conflict_codes))


def _create(
    cluster_id: str, request: CreateBackupRequest, answer_time: float, conflict_codes: Collection[int]
) -> Flow[CreateRecord]:
    before = yield from all_backups(cluster_id=cluster_id)
    _refuse_if_busy(before)
    looked_at = yield from now()
    server_time = before.server_time or _as_datetime(looked_at)
    attempt = CreateRecord(
        cluster_id=cluster_id,
        request=request.body(),
        first_sent=server_time,
        answer_by=server_time,
        known=tuple(
            backup.backup_id
            for backup in before.value
            if backup.create_time is None or backup.create_time >= server_time - REMEMBERED_AGE
        ),
    )
    unanswered: CreateRecord | None = None
    attempts_left = CREATE_ATTEMPTS
    pauses = backoff(first=1.0)
    while True:
        time = yield from now()
        attempt = attempt.answered_by(server_time, time - looked_at + answer_time)
        yield attempt.save()
        try:
            reply = yield from send(create_backup(cluster_id, request))
            if not reply.value.backup_id:
                raise ZillizProtocolError("Zilliz Cloud answered a create without the id of the backup.")
        except ZillizError as error:
            time = yield from now()
            failed = attempt.answered_by(server_time, time - looked_at)
            if error.unprocessed:
                # Else whoever is in the way would look like what came of this create.
                yield unanswered.save() if unanswered else Save(None)
            else:
                unanswered = failed
                yield unanswered.save()
                yield Pause(0, f"{error.sentence} Looking whether a backup came of it.")
                found = yield from _reconcile(unanswered, request)
                if found is not None:
                    return found
            yield from _raise_if_in_the_way(cluster_id, error, conflict_codes)
            if isinstance(error, ZillizRefusedError):
                # A catch-all: it says "failed", which may have been too early. The next try looks first.
                yield failed.save()
            attempts_left -= 1
            if not attempts_left or not isinstance(error, ZillizTransientError):
                raise
            pause = max(next(pauses), error.retry_after or 0)
            yield Pause(pause, f"{error.sentence} No backup came of it. Creating it again in {pause:.0f} s.")
        else:
            made = attempt.model_copy(update=reply.value.model_dump())
            yield made.save()
            return made


def _reattach(record: CreateRecord) -> Flow[CreateRecord | None]:
    """Return the record if its backup is being made or is there, ``None`` if nothing came of it."""
    begin = yield from now()
    pauses = backoff(first=1.0, longest=5.0)
    while True:
        try:
            if record.job_id:
                job = (yield from retrying(describe_job(record.job_id))).value
                if job.is_failed or job.is_canceled:
                    return None
                if not job.is_successful:
                    return record
        except ZillizNotFoundError:
            # How long a finished job can be looked up is documented nowhere; the backup tells as much.
            record = record.model_copy(update={"job_id": ""})
        try:
            backup = (yield from find_backup(record.cluster_id, record.backup_id)).value
            return None if backup.is_deleted else record
        except ZillizNotFoundError:
            # Right after the creation neither need be known to look-ups.
            time = yield from now()
            if time - begin >= LOOK_UP_LAG:
                return None
            yield Pause(
                next(pauses), f"Backup {record.backup_id} of an earlier try is not found. Looking again."
            )


def _reconcile(record: CreateRecord, request: CreateBackupRequest) -> Flow[CreateRecord | None]:
    """
    Find the backup that came of a create whose answer is not known.

    :return: ``None`` if none came of it
    :raises ZillizConflictError: when a running backup is in the way, be it ours or not
    :raises ZillizUncertainError: when it is not certain which backup is ours
    """
    look_until: float | None = None
    pauses = backoff(first=1.0, longest=5.0)
    while True:
        reply = yield from all_backups(cluster_id=record.cluster_id)
        candidates = {}
        for backup in reply.value:
            if not record.may_have_made(backup):
                continue
            if (yield from _covers_same(record.cluster_id, request, backup)):
                candidates[backup.backup_id] = backup
        if len(candidates) > 1:
            raise _uncertain(record, list(candidates.values()))
        for ours in candidates.values():
            found = record.model_copy(
                update={"backup_id": ours.backup_id, "backup_name": ours.backup_name, "adopted": True}
            )
            yield Pause(0, f"Found {ours.describe(reply.server_time)}, which came of this task's create.")
            yield found.save()
            return found
        time = yield from now()
        if look_until is None:
            server_time = reply.server_time or _as_datetime(time)
            left = (record.answer_by - server_time).total_seconds() + LIST_LAG + CLOCK_TOLERANCE
            look_until = time + min(left, LONGEST_LOOK)
        if time >= look_until:
            _refuse_if_busy(reply)
            return None
        yield Pause(min(next(pauses), look_until - time))


def _covers_same(cluster_id: str, request: CreateBackupRequest, listed: Backup) -> Flow[bool]:
    """Tell whether a listed backup has the content that is asked for; lists do not show collections."""
    covers = request.covers_same(listed)
    if covers is not None:
        return covers
    try:
        backup = (yield from retrying(describe_backup(cluster_id, listed.backup_id))).value
    except ZillizNotFoundError:
        backup = listed
    covers = request.covers_same(backup)
    if covers is not None:
        return covers
    if backup.is_running:
        raise ZillizConflictError(
            f"{listed.describe()} is running and does not tell yet which collections it holds, so it may or "
            "may not have come of this task's create."
        )
    raise ZillizUncertainError(
        f"{listed.describe()} does not tell which collections it holds. Find out in the Zilliz Cloud console "
        "whether it came of this task, and clear the task when it is deleted or older than an hour."
    )


def _uncertain(record: CreateRecord, candidates: list[Backup]) -> ZillizUncertainError:
    return ZillizUncertainError(
        f"The create of a {record.request['backupType']} backup of cluster {record.cluster_id} got no "
        f"answer, and {len(candidates)} backups that it may have made were begun between "
        f"{record.first_sent} and {record.answer_by}: "
        f"{'; '.join(backup.describe() for backup in candidates)}. Nothing was sent again. Find out in the "
        "Zilliz Cloud console which of them nobody needs, delete it, and clear the task."
    )


def _raise_if_in_the_way(cluster_id: str, error: ZillizError, conflict_codes: Collection[int]) -> Flow[None]:
    """Raise a conflict if a create was refused because another backup is running."""
    named = isinstance(error, ZillizConflictError) or error.code in conflict_codes
    if not named and not isinstance(error, ZillizRefusedError):
        return
    begun_by: datetime | None = None

    def was_in_the_way(backup: Backup) -> bool:
        # What began later may be what the server has done all the same.
        return backup.is_running and (
            begun_by is None or backup.create_time is None or backup.create_time <= begun_by
        )

    time = yield Pause(0, f"{error.sentence} Looking whether another backup is in the way.")
    look_until = time + LIST_LAG
    pauses = backoff(first=1.0, longest=5.0)
    while True:
        reply = yield from all_backups(cluster_id=cluster_id)
        if begun_by is None and reply.server_time is not None:
            begun_by = reply.server_time + timedelta(seconds=CLOCK_TOLERANCE)
        running = [backup for backup in reply.value if was_in_the_way(backup)]
        if running:
            raise _conflict(running, reply.server_time, f" {error}") from error
        try:
            # Whether one manual backup at a time means per cluster or in all is documented nowhere.
            reply = yield from all_backups()
        except ZillizError:
            # The key may be for this cluster alone; what counts is why the create was refused.
            elsewhere = []
        else:
            elsewhere = [backup for backup in reply.value if backup.is_manual and was_in_the_way(backup)]
        if named or elsewhere:
            conflict = _conflict(elsewhere, reply.server_time, f" {error}")
            conflict.retry_after = UNEXPLAINED_PAUSE
            raise conflict from error
        if time >= look_until:
            return
        time = yield Pause(min(next(pauses), look_until - time))


def _refuse_if_busy(reply: Reply[list[Backup]]) -> None:
    running = [backup for backup in reply.value if backup.is_running]
    if running:
        raise _conflict(running, reply.server_time)


def _conflict(running: list[Backup], server_time: datetime | None, why: str = "") -> ZillizConflictError:
    blockers = "; ".join(
        f"{backup.describe(server_time)} of cluster {backup.cluster_id}" for backup in running
    )
    return ZillizConflictError(
        f"Another backup is in the way: {blockers or 'none is listed'}.{why}", unprocessed=True
    )


def _unordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unordered(item) for name, item in value.items()}
    return sorted(map(_unordered, value), key=repr) if isinstance(value, list | tuple) else value


def _as_datetime(time: float) -> datetime:
    return datetime.fromtimestamp(time, tz=UTC)
