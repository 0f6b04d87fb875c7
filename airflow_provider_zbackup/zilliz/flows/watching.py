"""Which backups have become AVAILABLE: one look at the list, and a pure function that compares two looks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from airflow_provider_zbackup.zilliz.flows.steps import Flow, all_backups, server_now
from airflow_provider_zbackup.zilliz.models import Backup

#: How long a watcher remembers a backup, in seconds: none takes longer to be made.
MEMORY = 24 * 60 * 60.0


class Snapshot(NamedTuple):
    """
    All backups of a project, or all that the key may see.

    :param time: the server's time, in seconds since the epoch
    """

    backups: tuple[Backup, ...]
    time: float


def take_snapshot(project_id: str | None) -> Flow[Snapshot]:
    """Read the list of backups."""
    reply = yield from all_backups(project_id=project_id)
    time = yield from server_now(reply)
    return Snapshot(tuple(reply.value), time.timestamp())


class WatchRule(NamedTuple):
    """
    Which backups a watcher reports; ``None`` means any.

    :param backup_type: ``CLUSTER`` or ``COLLECTION``
    :param creation_method: ``MANUAL`` or ``AUTO``
    """

    cluster_id: str | None = None
    project_id: str | None = None
    backup_type: str | None = None
    creation_method: str | None = None

    def counts(self, backup: Backup) -> bool:
        """Tell whether a backup is of the right kind."""
        return backup.backup_id != "" and all(
            wanted in (None, getattr(backup, name)) for name, wanted in self._asdict().items()
        )


class Cursor(NamedTuple):
    """
    Which backups a watcher has reported. Times are seconds since the epoch.

    It holds ids, because an older backup may become AVAILABLE after a newer one. It forgets old ones, so that
    it stays small: every backup that was created before ``since`` counts as reported.

    :param since: :data:`MEMORY` ago, or when the oldest backup was created that is still being made
    :param reported: when each backup was created, by its id
    """

    since: float
    reported: Mapping[str, float]


def compare(
    cursor: Cursor | None, snapshot: Snapshot, rule: WatchRule, at_most: int | None = None
) -> tuple[list[Backup], Cursor]:
    """
    Return the backups that have become AVAILABLE, the oldest first, and the cursor that includes them.

    ==================================================  =======
    the backup                                          is new
    ==================================================  =======
    is not AVAILABLE (yet), or is of another kind       no
    is in the cursor: it was reported                   no
    was created before the cursor's ``since``           no
    is any other                                        yes
    ==================================================  =======

    :param cursor: ``None`` at the first look, at which nothing is new
    :param at_most: how many to return; the others are new at the next look
    """
    now = datetime.fromtimestamp(snapshot.time, UTC)
    # A list may show a backup twice: while its pages are read it changes, and a copy may have the same id.
    shown = sorted(filter(rule.counts, snapshot.backups), key=lambda backup: backup.is_available)
    counted = {backup.backup_id: backup for backup in shown}.values()
    begun = [item.create_time.timestamp() for item in counted if item.create_time and item.may_block(now)]
    since = min([snapshot.time - MEMORY, *begun])
    # A backup that shows no time counts as created when it is first seen.
    available = {
        backup: backup.create_time.timestamp() if backup.create_time else snapshot.time
        for backup in counted
        if backup.is_available
    }
    new: list[Backup] = []
    reported = {backup.backup_id: created for backup, created in available.items()}
    if cursor is not None:
        new = [
            backup
            for backup, created in sorted(available.items(), key=lambda item: (item[1], item[0].backup_id))
            if backup.backup_id not in cursor.reported and created >= cursor.since
        ]
        new, left = new[:at_most], new[at_most:] if at_most is not None else []
        since = max(cursor.since, min([since, *(reported.pop(backup.backup_id) for backup in left)]))
        # What is no longer listed stays in it: a list may fail to show a backup once.
        reported |= cursor.reported
    undated = {backup.backup_id for backup in available if backup.create_time is None}
    kept = {backup_id: time for backup_id, time in reported.items() if time >= since or backup_id in undated}
    return new, Cursor(since, kept)
