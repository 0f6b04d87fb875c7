"""The parts of the state: projects, clusters, backups, policies."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from airflow_provider_zbackup.emulator.data_plane.collection_data import NO_ROWS, CollectionData
from airflow_provider_zbackup.emulator.formats import DAY
from airflow_provider_zbackup.emulator.jobs import Job

if TYPE_CHECKING:
    from airflow_provider_zbackup.emulator.data_plane.engine import Engine

DEFAULT_DATABASE = ""
CreationMethod = Literal["MANUAL", "AUTO"]


@dataclass(frozen=True)
class Collection:
    """
    A collection. Backups show all of it but the data.

    :param loading_until: when the collection is loaded, after somebody has begun to load it.
    :param files: where the data are, if this is a collection of a backup that an engine made.
    """

    name: str
    description: str = ""
    status: str = "LOADED"
    size: int = 4096
    data: CollectionData = field(default=NO_ROWS, repr=False)
    loading_until: float = 0.0
    files: Path | None = field(default=None, repr=False)


Databases = Mapping[str, Sequence[Collection]]


@dataclass(frozen=True)
class RestoredCollection:
    """A collection that a job restores. It appears when the job ends well."""

    database: str
    collection: Collection
    job: Job


@dataclass
class Project:
    """A project: https://docs.zilliz.com/reference/restful/list-projects-v2"""

    project_id: str
    project_name: str
    created: float
    plan: str = "Enterprise"
    region_ids: Sequence[str] = ("aws-us-west-2", "aws-us-east-1")
    description: str = ""


@dataclass
class Cluster:
    """
    A cluster: https://docs.zilliz.com/reference/restful/describe-cluster-v2

    :param settled_status: the status when no restore runs.
    :param databases: the collections by database, without the restored ones. The default database has the
        name "".
    :param restored: the collections that were restored into this cluster, or will be.
    :param restore: the job that restores this cluster. Until it ends, it decides the status.
    :param resumed: when the cluster runs again after somebody resumed it.
    :param token_hash: of what opens the cluster beside the API key: a user and a password.
    :param engine: where the collections live, if they are not in memory. ``databases`` is then what it had
        at the start.
    """

    cluster_id: str
    cluster_name: str
    project_id: str
    created: float
    region_id: str = "aws-us-west-2"
    plan: str = "Enterprise"
    deployment_option: str = "Dedicated"
    cu_type: str = "Performance-optimized"
    cu_size: int = 1
    settled_status: str = "RUNNING"
    description: str = ""
    databases: Databases = field(default_factory=dict)
    restored: Sequence[RestoredCollection] = ()
    restore: Job | None = None
    resumed: float = 0.0
    token_hash: str = ""
    engine: Engine | None = field(default=None, repr=False)

    def status(self, now: float) -> str:
        """Return the status. ABNORMAL after a failed restore is a guess: it is not documented."""
        if self.restore is None:
            opens = now < self.resumed or (self.engine is not None and not self.engine.is_open)
            return "RESUMING" if self.settled_status == "RUNNING" and opens else self.settled_status
        if not self.restore.is_final(now):
            return "CREATING" if self.restore.status(now) == "PENDING" else "RESTORE_BACKUP"
        return self.settled_status if self.restore.will_succeed else "ABNORMAL"

    def databases_at(self, now: float) -> dict[str, list[Collection]]:
        """Return the collections by database, with the restored ones."""
        if self.engine is not None:
            return {database: list(group) for database, group in self.engine.databases().items()}
        databases = {database: list(group) for database, group in self.databases.items()}
        for each in self.restored:
            if each.job.will_succeed and each.job.is_final(now):
                databases.setdefault(each.database, []).append(each.collection)
        return databases

    def put_collection(self, database: str, collection: Collection, now: float) -> None:
        """Add a collection, or replace the one with the same name."""
        if self.engine is not None:
            self.engine.put(database, collection)
        else:
            self._change_collections(database, collection.name, [collection], now)

    def remove_collection(self, database: str, name: str, now: float) -> None:
        """Remove a collection."""
        if self.engine is not None:
            self.engine.remove(database, name)
        else:
            self._change_collections(database, name, [], now)

    def _change_collections(
        self, database: str, name: str, instead: Sequence[Collection], now: float
    ) -> None:
        groups = self.databases_at(now)
        others = [each for each in groups.get(database, []) if each.name != name]
        self.databases = {**groups, database: [*others, *instead]}
        # What was restored before is among them now.
        self.restored = [each for each in self.restored if not each.job.is_final(now)]

    def opens_with(self, token: str) -> bool:
        """Return whether a user and a password, with a colon between, open the cluster."""
        return self.token_hash == hash_token(token)

    def taken_names(self, now: float) -> set[tuple[str, str]]:
        """Return the databases and names of all collections, also of those that a running job restores."""
        restoring = {
            (each.database, each.collection.name) for each in self.restored if not each.job.is_final(now)
        }
        return restoring | {
            (database, collection.name)
            for database, group in self.databases_at(now).items()
            for collection in group
        }


def hash_token(token: str) -> str:
    """Return what is kept of a user and a password."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass
class Backup:
    """
    A backup in one region: https://docs.zilliz.com/reference/restful/describe-backup-v2

    :param job: the job that makes the backup. Until it ends, it decides the status.
    :param expires: None for manual backups, which never expire.
    :param copy_of: the id of the original, if this is a copy in another region.
    :param deleted: whether somebody deleted the backup, or the cluster of an automatic backup.
    """

    backup_id: str
    backup_name: str
    backup_type: str
    creation_method: str
    cluster_id: str
    cluster_name: str
    project_id: str
    region_id: str
    databases: Databases
    job: Job
    expires: float | None = None
    copy_of: str | None = None
    deleted: bool = False

    @cached_property
    def created(self) -> float:
        """When the backup started, in seconds since the epoch."""
        return self.job.started

    @property
    def ends(self) -> float:
        """When the backup expires or its job fails, in seconds since the epoch; infinite for never."""
        if not self.job.has_end:
            return math.inf
        if not self.job.will_succeed:
            return self.job.arrives
        return math.inf if self.expires is None else max(self.expires, self.job.arrives)

    @property
    def collections(self) -> list[Collection]:
        """The collections of all databases."""
        return [collection for collections in self.databases.values() for collection in collections]

    def status(self, now: float) -> str | None:
        """
        Return the status; None for a backup that does not exist.

        The API has no status for failure. So after a failed or canceled job there is no backup. The status
        DELETED is documented; that Describe Backup shows it for deleted and expired backups is a guess.
        """
        if now < self.created:
            return None
        if now >= self.ends:
            return "DELETED" if self.job.will_succeed else None
        if self.deleted:
            return "DELETED"
        return "AVAILABLE" if self.job.is_final(now) else "CREATING"

    def size(self, now: float) -> int:
        """Return the size in bytes; 0 for a running backup."""
        if self.status(now) == "CREATING":
            return 0
        return sum(collection.size for collection in self.collections)


@dataclass(frozen=True)
class RegionCopy:
    """A copy to make in another region. Copies of manual backups have no retention."""

    region_id: str
    retention_days: int | None = None


@dataclass
class Policy:
    """
    An enabled backup policy: https://docs.zilliz.com/reference/restful/set-backup-policy-v2

    :param start_time: a window of two hours in UTC, such as ``02:00-04:00``.
    :param frequency: the weekdays, such as ``1,2,5``. Monday is 1.
    :param started_until: the automatic backups that were due until then have started.
    :param from_console: the policy has a schedule that only the web console can set, such as a cron text.
        ``start_time`` and ``frequency`` may be any text. The emulator starts no backups for it.
    """

    start_time: str
    frequency: str
    retention_days: int
    copies: Sequence[RegionCopy]
    started_until: float
    from_console: bool = False

    def due(self, until: float) -> Iterator[float]:
        """
        Yield the times at which a backup is due, from ``started_until`` on.

        Zilliz Cloud starts a backup at any time in the window. The emulator starts it at the beginning, so
        that tests know when.
        """
        if self.from_console:
            return
        hours, minutes = self.start_time[:5].split(":")
        opening = int(hours) * 3600 + int(minutes) * 60
        weekdays = {int(weekday) for weekday in self.frequency.split(",")}
        for day in range(int(self.started_until // DAY), int(until // DAY) + 1):
            # Day 0 of the epoch was a Thursday.
            if (day + 3) % 7 + 1 in weekdays and self.started_until < day * DAY + opening <= until:
                yield day * DAY + opening


@dataclass
class StorageIntegration:
    """Where exports go: https://docs.zilliz.com/reference/restful/export-backup-files-v2"""

    integration_id: str
    name: str
    project_id: str
    status: str = "ACTIVE"
    message: str = ""
    region_id: str = "aws-us-west-2"
    bucket_name: str = "example-backup-exports"


@dataclass(frozen=True)
class Export:
    """The export of a backup. The emulator writes no files."""

    backup: Backup
    integration_id: str
    directory: str
    job: Job
