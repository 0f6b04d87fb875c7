"""Which backup is in the way of a create."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from airflow_provider_zbackup.zilliz.errors import ZillizConflictError, ZillizError
from airflow_provider_zbackup.zilliz.flows.recovery import CLOCK_TOLERANCE
from airflow_provider_zbackup.zilliz.flows.running import RunningBackups
from airflow_provider_zbackup.zilliz.flows.steps import Flow, Reply, all_backups, server_now
from airflow_provider_zbackup.zilliz.flows.submission import unexplained_conflict
from airflow_provider_zbackup.zilliz.models import Backup


class ConflictSearch:
    """
    Searches for the backup that explains why a create was refused.

    :param cluster_id: the cluster of the create
    :param is_certain: whether the refusal's code says that something is in the way
    :param known: ids of the backups that began after ``since`` and were there before the call
    """

    def __init__(
        self,
        cluster_id: str,
        refusal: ZillizError,
        *,
        is_certain: bool,
        known: Collection[str],
        since: datetime,
    ) -> None:
        self._cluster_id = cluster_id
        self._refusal = refusal
        self._is_certain = is_certain
        self._known = known
        self._since = since
        self._running = RunningBackups()
        #: What began later did not cause the refusal.
        self._begun_by: datetime | None = None

    def poll(self) -> Flow[ZillizConflictError | None]:
        """Look once; return the conflict if there is one."""
        here = yield from all_backups(cluster_id=self._cluster_id)
        time = yield from server_now(here)
        if self._begun_by is None and here.server_time is not None:
            self._begun_by = here.server_time + timedelta(seconds=CLOCK_TOLERANCE)
        running = {backup.backup_id for backup in (yield from self._running.among(here))}
        blocking = [
            backup
            for backup in here.value
            if self._was_in_the_way(backup, time) and (backup.backup_id in running or not backup.is_running)
        ]
        if blocking:
            return conflict_with(blocking, here.server_time, self._refusal)
        return (yield from self._look_elsewhere(here, time))

    def _look_elsewhere(self, here: Reply[list[Backup]], time: datetime) -> Flow[ZillizConflictError | None]:
        """No document says whether "one manual backup at a time" is per cluster or for all."""
        try:
            everywhere = yield from all_backups()
        except ZillizError:
            # The key may be for this cluster alone. The reason of the refusal matters more.
            everywhere = here
        # What is left of this cluster is copies; no document says whether they are in the way.
        blocking = [
            backup
            for backup in everywhere.value
            if self._was_in_the_way(backup, time)
            and (backup.is_manual or backup.cluster_id == self._cluster_id)
        ]
        unexplained = unexplained_conflict(self._refusal)
        if not blocking:
            return unexplained if self._is_certain else None
        conflict = conflict_with(blocking, everywhere.server_time, self._refusal)
        conflict.retry_after = unexplained.retry_after
        are_elsewhere = all(backup.cluster_id != self._cluster_id for backup in blocking)
        conflict.is_guess = are_elsewhere and not self._is_certain
        return conflict

    def _was_in_the_way(self, backup: Backup, time: datetime) -> bool:
        begun = backup.create_time
        # A backup that began after the refusal may be ours, made despite the refusal.
        if begun and self._begun_by and begun > self._begun_by:
            return False
        # A short backup may have ended before the list shows it.
        is_new = begun is None or begun >= self._since
        return backup.may_block(time) or (is_new and backup.backup_id not in self._known)


def conflict_with(
    blocking: Sequence[Backup], server_time: datetime | None, refusal: ZillizError | None = None
) -> ZillizConflictError:
    """Return the conflict with these backups."""
    names = "; ".join(f"{backup.describe(server_time)} of cluster {backup.cluster_id}" for backup in blocking)
    return ZillizConflictError(
        f"Another backup is in the way: {names}." + (f" {refusal}" if refusal else ""), unprocessed=True
    )
