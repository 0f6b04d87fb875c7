"""The list of all backups. It stays fast with 10,000 of them."""

from __future__ import annotations

import math
from bisect import insort
from collections import defaultdict
from collections.abc import Sequence

from airflow_provider_zbackup.emulator.records import Backup


class BackupList(list[Backup]):
    """
    All backups, also those that are gone, in the order in which they were made.

    Only :meth:`append` adds a backup, and only :meth:`delete` deletes one: the list remembers what is present
    until the next change.
    """

    def __init__(self) -> None:
        super().__init__()
        self._by_id: defaultdict[tuple[str, str], list[Backup]] = defaultdict(list)
        self._newest_first: list[Backup] = []
        self._present: list[Backup] = []
        self._present_of: defaultdict[str, list[Backup]] = defaultdict(list)
        self._present_from = self._present_until = 0.0

    def append(self, backup: Backup) -> None:
        """Add a backup."""
        super().append(backup)
        self._by_id[backup.cluster_id, backup.backup_id].append(backup)
        insort(self._newest_first, backup, key=lambda each: -each.created)
        self._present_until = self._present_from

    def delete(self, backup: Backup) -> None:
        """Delete a backup. It stays in the list."""
        backup.deleted = True
        self._present_until = self._present_from

    def forget_times(self) -> None:
        """Look again at when each backup ends: a job has ended before its time."""
        self._present_until = self._present_from

    def with_id(self, cluster_id: str, backup_id: str) -> Sequence[Backup]:
        """Return the backup with these ids, and after it the copies that have the same id."""
        return self._by_id.get((cluster_id, backup_id), ())

    def present(self, now: float, cluster_id: str | None = None) -> Sequence[Backup]:
        """Return the running and available backups of one cluster or of all clusters, newest first."""
        if not self._present_from <= now < self._present_until:
            self._look(now)
        return self._present if cluster_id is None else self._present_of.get(cluster_id, ())

    def _look(self, now: float) -> None:
        left = [backup for backup in self._newest_first if now < backup.ends and not backup.deleted]
        self._present = [backup for backup in left if backup.created <= now]
        self._present_of.clear()
        for backup in self._present:
            self._present_of[backup.cluster_id].append(backup)
        changes = [backup.created if now < backup.created else backup.ends for backup in left]
        self._present_from, self._present_until = now, min(changes, default=math.inf)
