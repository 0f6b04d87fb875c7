"""
Which backups are being made of a cluster now.

While the copy of a backup is made in another region, a list may show it as one more running backup of the
cluster: no document says how it is shown. But a copy is made of a finished backup, not of the cluster.
"""

from __future__ import annotations

from airflow_provider_zbackup.zilliz.errors import ZillizError
from airflow_provider_zbackup.zilliz.flows.steps import ATTEMPTS, Flow, Reply, retrying, server_now
from airflow_provider_zbackup.zilliz.models import Backup
from airflow_provider_zbackup.zilliz.operations import describe_backup, describe_cluster

#: Neither backups nor clusters move, so waits share what was seen of them in this time, in seconds.
CACHED = 60.0


class RunningBackups:
    """
    Tells backups that are being made from copies that are being made.

    ================================================  ==========================
    a backup that is listed as running                is
    ================================================  ==========================
    has the id of one that is AVAILABLE               its copy
    lies in another region than its cluster           a copy
    shows no region, or its cluster shows none        being made, to be safe
    is none of these                                  being made
    ================================================  ==========================

    :param attempts: how often each request is sent after transient errors
    """

    def __init__(self, attempts: int = ATTEMPTS) -> None:
        self._attempts = attempts
        # A backup stays where it is, so each is looked at once.
        self._is_copy: dict[str, bool] = {}

    def among(self, listed: Reply[list[Backup]]) -> Flow[list[Backup]]:
        """Return those of the listed backups that are being made."""
        time = yield from server_now(listed)
        finished = {backup.backup_id for backup in listed.value if backup.is_available} - {""}
        found = []
        for backup in listed.value:
            is_running = backup.may_block(time) and backup.backup_id not in finished
            if is_running and not (yield from self._lies_elsewhere(backup)):
                found.append(backup)
        return found

    def _lies_elsewhere(self, backup: Backup) -> Flow[bool]:
        key = backup.backup_id
        if key not in self._is_copy:
            try:
                operation = describe_backup(backup.cluster_id, key).accept_cached(CACHED)
                described = yield from retrying(operation, self._attempts)
                home = yield from region_of(backup.cluster_id, self._attempts)
            except ZillizError:
                # Nothing shows that it is a copy; the next look may.
                return False
            self._is_copy[key] = bool(home) and described.value.region_id not in (None, "", home)
        return self._is_copy[key]


def region_of(cluster_id: str, attempts: int = ATTEMPTS) -> Flow[str]:
    """Return the region of a cluster; empty if it shows none."""
    operation = describe_cluster(cluster_id).accept_cached(CACHED)
    return (yield from retrying(operation, attempts)).value.region_id
