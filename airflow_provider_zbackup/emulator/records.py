"""What the control plane keeps: projects, clusters, backups, policies."""

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
    """One collection, as a backup shows it."""

    name: str
    description: str = ""
    status: str = "LOADED"
    size: int = 4096


Databases = Mapping[str, Sequence[Collection]]


@dataclass
class Project:
    """One project: https://docs.zilliz.com/reference/restful/list-projects-v2"""

    project_id: str
    project_name: str
    created: float
    plan: str = "Enterprise"
    region_ids: Sequence[str] = ("aws-us-west-2", "aws-us-east-1")
    description: str = ""


@dataclass
class Cluster:
    """
    One cluster: https://docs.zilliz.com/reference/restful/describe-cluster-v2

    :param databases: its collections by database; the default database has the name "".
    :param restore: the job that fills a restored cluster; it decides the status until it has ended.
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
        """
        Return the status at that moment.

        What becomes of a cluster whose restore fails is not documented; it is ABNORMAL here.
        """
        if self.restore is None:
            return self.settled_status
        if not self.restore.is_final(now):
            return "CREATING" if self.restore.status(now) == "PENDING" else "RESTORE_BACKUP"
        return self.settled_status if self.restore.will_succeed else "ABNORMAL"


@dataclass
class Backup:
    """
    One backup, in one region: https://docs.zilliz.com/reference/restful/describe-backup-v2

    :param job: the job that makes it; it decides the status until it has ended.
    :param expires: when it goes by itself; None for manual ones, which stay for ever.
    :param copy_of: for a cross-region copy, the id of the backup it was made from.
    :param deleted: whether somebody deleted it, or its cluster if it is an automatic one.
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
        """When the backup was begun."""
        return self.job.started

    @property
    def collections(self) -> list[Collection]:
        """All its collections, whatever their database."""
        return [collection for collections in self.databases.values() for collection in collections]

    def status(self, now: float) -> str | None:
        """
        Return the status at that moment; None for a backup that does not exist.

        There is no status for failure: a backup whose job failed or was cancelled is just not there. The
        documented DELETED is taken to be what Describe Backup shows of a deleted or expired one.
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
        """Return the size in bytes, 0 while it is being made."""
        if self.status(now) == "CREATING":
            return 0
        return sum(collection.size for collection in self.collections)


@dataclass(frozen=True)
class RegionCopy:
    """One wanted copy in another region; copies of manual backups know no retention."""

    region_id: str
    retention_days: int | None = None


@dataclass
class Policy:
    """
    One enabled backup policy: https://docs.zilliz.com/reference/restful/set-backup-policy-v2

    :param start_time: the two-hour window in UTC, ``HH:mm-HH:mm``.
    :param frequency: weekdays, 1 is Monday: ``1,2,5``.
    :param served: until when automatic backups have been started already.
    """

    start_time: str
    frequency: str
    retention_days: int
    copies: Sequence[RegionCopy]
    served: float

    def due(self, until: float) -> Iterator[float]:
        """
        Yield the moments after ``served`` at which a backup has to start.

        Zilliz Cloud starts somewhere in the window; here it is the first second of it.

        :param until: the last moment to look at.
        """
        hours, minutes = self.start_time[:5].split(":")
        opening = int(hours) * 3600 + int(minutes) * 60
        weekdays = {int(weekday) for weekday in self.frequency.split(",")}
        for day in range(int(self.served // DAY), int(until // DAY) + 1):
            # Day 0 of the epoch was a Thursday.
            if (day + 3) % 7 + 1 in weekdays and self.served < day * DAY + opening <= until:
                yield day * DAY + opening
