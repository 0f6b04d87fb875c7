"""The parts of the state: projects, clusters, backups, policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from airflow_provider_zbackup.emulator.formats import DAY
from airflow_provider_zbackup.emulator.jobs import Job

DEFAULT_DATABASE = ""
CreationMethod = Literal["MANUAL", "AUTO"]


@dataclass(frozen=True)
class Collection:
    """A collection, with the fields that backups show."""

    name: str
    description: str = ""
    status: str = "LOADED"
    size: int = 4096


Databases = Mapping[str, Sequence[Collection]]


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
    :param databases: the collections by database. The default database has the name "".
    :param restore: the job that restores this cluster. Until it ends, it decides the status.
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
    restore: Job | None = None

    def status(self, now: float) -> str:
        """Return the status. ABNORMAL after a failed restore is a guess: it is not documented."""
        if self.restore is None:
            return self.settled_status
        if not self.restore.is_final(now):
            return "CREATING" if self.restore.status(now) == "PENDING" else "RESTORE_BACKUP"
        return self.settled_status if self.restore.will_succeed else "ABNORMAL"


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

    @property
    def created(self) -> float:
        """When the backup started, in seconds since the epoch."""
        return self.job.started

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
        if not self.job.is_final(now):
            return "CREATING"
        if not self.job.will_succeed:
            return None
        gone = self.deleted or (self.expires is not None and now >= self.expires)
        return "DELETED" if gone else "AVAILABLE"

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
    """

    start_time: str
    frequency: str
    retention_days: int
    copies: Sequence[RegionCopy]
    started_until: float

    def due(self, until: float) -> Iterator[float]:
        """
        Yield the times at which a backup is due, from ``started_until`` on.

        Zilliz Cloud starts a backup at any time in the window. The emulator starts it at the beginning, so
        that tests know when.
        """
        hours, minutes = self.start_time[:5].split(":")
        opening = int(hours) * 3600 + int(minutes) * 60
        weekdays = {int(weekday) for weekday in self.frequency.split(",")}
        for day in range(int(self.started_until // DAY), int(until // DAY) + 1):
            # Day 0 of the epoch was a Thursday.
            if (day + 3) % 7 + 1 in weekdays and self.started_until < day * DAY + opening <= until:
                yield day * DAY + opening
