"""
Creating a backup exactly once: what differs from other submissions.

If a call gets no answer, the list of backups is searched for its result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from typing import Any

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBadRequestError,
    ZillizError,
    ZillizNotFoundError,
    ZillizPermanentError,
    ZillizProtocolError,
    ZillizRefusedError,
)
from airflow_provider_zbackup.zilliz.flows.conflicts import ConflictSearch, conflict_with
from airflow_provider_zbackup.zilliz.flows.recovery import (
    CLOCK_TOLERANCE,
    LIST_LAG,
    Candidate,
    Findings,
    Stage,
)
from airflow_provider_zbackup.zilliz.flows.running import RunningBackups, region_of
from airflow_provider_zbackup.zilliz.flows.steps import (
    Flow,
    Pause,
    all_backups,
    look_up_backup,
    now,
    poll_through_lag,
    retrying,
    server_now,
)
from airflow_provider_zbackup.zilliz.flows.submission import Record, Submission
from airflow_provider_zbackup.zilliz.models import Backup, BackupCreation
from airflow_provider_zbackup.zilliz.operations import Operation, create_backup, describe_backup
from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest

#: What a refusal says of something that does not exist or cannot be used. Its texts are not documented.
_WRONG = re.compile(
    r"not found|not exist|n't exist|no such|unknown|invalid|unsupported|not supported|not bound",
    re.IGNORECASE,
)
#: Older backups need no record: their creation time alone shows that the call did not make them.
REMEMBERED_AGE = timedelta(hours=1)


class CreateRecord(Record):
    """
    What is saved of a create.

    :param backup_type: ``CLUSTER`` or ``COLLECTION``
    :param known: ids of the backups that were there before
    :param backup_id: the backup that the call made
    :param backup_name: its name
    """

    backup_type: str
    known: tuple[str, ...] = ()
    backup_id: str = ""
    backup_name: str = ""

    @property
    def made_id(self) -> str:
        return self.backup_id


class Evidence(Enum):
    """Whether a call that got no answer made a backup. The value is the doubt that remains, if any."""

    OURS = ""
    NOT_OURS = "is not its result"
    UNTOLD = "does not show its collections"
    ALIASED = "shows other collections, perhaps under their real names instead of aliases"
    EARLY = "seems to have begun just before the call"
    ODD = "has an undocumented creation method"


def evaluate_candidate(
    record: CreateRecord, request: CreateBackupRequest, backup: Backup, home: str = ""
) -> Evidence:
    """
    Tell whether a create made a backup.

    =========================================================  ========
    the backup                                                 evidence
    =========================================================  ========
    was there before, or has no id                             NOT_OURS
    is of another cluster                                      NOT_OURS
    has failed or is deleted, so it is of no use               NOT_OURS
    is automatic                                               NOT_OURS
    lies in another region, so it is a copy                    NOT_OURS
    began long before the call, or too long after it           NOT_OURS
    holds something else                                       NOT_OURS
    does not say what it holds                                 UNTOLD
    shows other names, which may be those behind aliases       ALIASED
    seems to have begun a moment before the call               EARLY
    has a creation method that no document knows               ODD
    is none of these                                           OURS
    =========================================================  ========

    :param home: the cluster's region, if known
    """
    begun = backup.create_time
    copies = {copy.region_id for copy in request.cross_region_copies or ()}
    covers_same = request.covers_same(backup)
    if (
        backup.backup_id in ("", *record.known)
        or backup.cluster_id not in ("", record.cluster_id)
        or backup.is_failed
        or backup.is_deleted
        or backup.creation_method == "AUTO"
        or backup.region_id in copies
        or (home and backup.region_id not in (None, "", home))
        or not record.may_have_begun(begun)
        or (covers_same is False and not request.may_name_aliases_of(backup))
    ):
        return Evidence.NOT_OURS
    if covers_same is None:
        return Evidence.UNTOLD
    if not covers_same:
        return Evidence.ALIASED
    if begun and begun < record.first_sent - timedelta(seconds=CLOCK_TOLERANCE):
        return Evidence.EARLY
    return Evidence.OURS if backup.creation_method in ("MANUAL", "") else Evidence.ODD


class CreateBackupSubmission(Submission[CreateRecord]):
    """
    Creates a backup, or finds the result of an earlier call.

    :param cluster_id: the cluster to back up
    :param request: what to back up
    """

    noun = "backup"
    kind = "create_backup"
    record_type = CreateRecord

    def __init__(self, cluster_id: str, request: CreateBackupRequest) -> None:
        self.cluster_id = cluster_id
        self.request = request

    def describe(self, record: CreateRecord) -> str:
        return f"Backup {record.backup_id} of cluster {self.cluster_id}"

    def identity(self) -> dict[str, Any]:
        return {"cluster_id": self.cluster_id, "request": self.request.body()}

    def prepare(self) -> Flow[CreateRecord]:
        before = yield from all_backups(cluster_id=self.cluster_id)
        came_at = yield from now()
        running = yield from RunningBackups().among(before)
        if running:
            raise conflict_with(running, before.server_time)
        # To see that none is running may have taken minutes.
        server_time = yield from server_now(before, came_at)
        return CreateRecord(
            cluster_id=self.cluster_id,
            backup_type=self.request.backup_type,
            first_sent=server_time,
            answer_deadline=server_time,
            known=tuple(
                backup.backup_id
                for backup in before.value
                if backup.create_time is None or backup.create_time >= server_time - REMEMBERED_AGE
            ),
        )

    def operation(self, record: CreateRecord) -> Operation[BackupCreation]:
        return create_backup(self.cluster_id, self.request)

    def started(self, record: CreateRecord, answer: BackupCreation) -> Flow[CreateRecord]:
        yield from ()
        if not answer.backup_id:
            raise ZillizProtocolError("Zilliz Cloud accepted the create but sent no backup id.")
        return record.model_copy(update=answer.model_dump())

    def search(self, record: CreateRecord) -> Flow[Findings[CreateRecord]]:
        listed = yield from all_backups(cluster_id=self.cluster_id)
        found = yield from self._candidates(record, listed.value)
        candidates = [
            Candidate(
                record.model_copy(
                    update={"backup_id": backup.backup_id, "backup_name": backup.backup_name, "adopted": True}
                ),
                backup.describe(listed.server_time),
                is_unfinished=backup.is_running,
                doubt=evidence.value,
            )
            for backup, evidence in found
        ]
        running = [] if candidates else (yield from RunningBackups().among(listed))
        conflict = conflict_with(running, listed.server_time) if running else None
        return Findings(candidates, listed.server_time, conflict)

    def _candidates(
        self, record: CreateRecord, listed: Sequence[Backup]
    ) -> Flow[list[tuple[Backup, Evidence]]]:
        """Return the backups that the create may have made. Lists show neither collections nor regions."""
        home: str | None = None
        candidates: list[tuple[Backup, Evidence]] = []
        # By id: a backup that changes between two pages is listed twice.
        for backup in {backup.backup_id: backup for backup in listed}.values():
            if evaluate_candidate(record, self.request, backup) is Evidence.NOT_OURS:
                continue
            if home is None:
                home = yield from self._home()
            described = yield from self._described(backup)
            evidence = evaluate_candidate(record, self.request, described, home)
            if evidence is not Evidence.NOT_OURS:
                candidates.append((described, evidence))
        if any(self.request.covers_same(backup) for backup, _ in candidates):
            # A backup that shows the names asked for proves that they are no aliases.
            return [found for found in candidates if self.request.covers_same(found[0]) is not False]
        return candidates

    def _described(self, listed: Backup) -> Flow[Backup]:
        """Return a backup with all that is known of it, or as it is listed if it is too new for more."""
        try:
            reply = yield from retrying(describe_backup(self.cluster_id, listed.backup_id))
        except ZillizNotFoundError:
            return listed
        except ZillizRefusedError:
            # No code is documented for a backup that is not found.
            if self.request.covers_same(listed) is None:
                raise
            return listed
        return reply.value.model_copy(update={"backup_id": listed.backup_id})

    def _home(self) -> Flow[str]:
        """Return the cluster's region, empty if it is not known."""
        try:
            return (yield from region_of(self.cluster_id))
        except (ZillizPermanentError, ZillizRefusedError):
            # The search goes on: the backups themselves can be listed.
            return ""

    def _is_request_wrong(self, message: str) -> bool:
        """Tell whether a message says that a collection, database or region of the request is wrong."""
        names = {name for content in self.request.contents for name in content}
        names |= {copy.region_id for copy in self.request.cross_region_copies or ()}
        words = set(re.findall(r"[\w.-]*\w", message))
        return bool(_WRONG.search(message) and names & words)

    def look_up(self, record: CreateRecord) -> Flow[Stage]:
        backup = (yield from look_up_backup(self.cluster_id, record.backup_id)).value
        if backup.is_deleted or backup.is_failed:
            return Stage.GONE
        return Stage.FINISHED if backup.is_available else Stage.CREATING

    def explain(self, record: CreateRecord, refusal: ZillizError, *, is_conflict: bool) -> Flow[None]:
        if not is_conflict and self._is_request_wrong(refusal.message):
            raise refusal.as_kind(ZillizBadRequestError) from refusal
        search = ConflictSearch(
            self.cluster_id,
            refusal,
            is_certain=is_conflict,
            known=record.known,
            since=record.first_sent - REMEMBERED_AGE,
        )
        yield Pause(0, f"{refusal} Checking whether another backup is in the way.")
        conflict = yield from poll_through_lag(
            search.poll, lambda found: found is not None, lambda *_: LIST_LAG
        )
        if conflict is not None:
            raise conflict from refusal
