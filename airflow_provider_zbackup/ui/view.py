"""What the page shows: pure functions of what Zilliz Cloud answered, and of the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Generic, TypeVar

from airflow_provider_zbackup.zilliz.flows.freshness import FreshnessRule
from airflow_provider_zbackup.zilliz.models import Backup, Cluster
from airflow_provider_zbackup.zilliz.texts import format_age

T = TypeVar("T")

#: Rows on one screen: of clusters, and of the backups of one cluster.
ROWS = 50
#: So many backups of a cluster are looked up for who made them.
MAKERS = 40
GB = 10**9


@dataclass(frozen=True)
class Answers:
    """
    What Zilliz Cloud said of everything that a key may see.

    :param projects: names by id
    :param time: the server's time
    """

    clusters: Sequence[Cluster]
    backups: Sequence[Backup]
    projects: Mapping[str, str]
    time: datetime


@dataclass(frozen=True)
class ClusterRow:
    """
    One cluster.

    :param state: ``stale``, ``fresh``, ``unsupported`` (it cannot have backups) or ``gone`` (it was dropped,
        but its manual backups are still there and billed)
    :param age: of the newest usable backup of the whole cluster
    :param words: what that means
    :param share: how much of the target the age is, 0 to 100
    :param newest: that backup
    :param running: backups in the making
    :param made: how many were made by hand or by a task, and how many by the policy; failed ones are none
    """

    cluster_id: str
    name: str
    plan: str
    status: str
    region_id: str
    project: str
    state: str
    age: timedelta | None
    words: str
    share: int
    newest: Backup | None
    running: Sequence[Backup]
    count: int
    size: int
    made: Mapping[str, int]
    backups: Sequence[Backup] = field(repr=False)

    @property
    def risk(self) -> tuple[bool, bool, float, str]:
        """The order of rows: the most at risk first."""
        age = float("-inf") if self.age is None else -self.age.total_seconds()
        return (self.state in ("unsupported", "gone"), self.state == "unsupported", age, self.name)

    @property
    def has_schedule(self) -> bool:
        """Whether it is worth asking for its policy."""
        return self.state in ("stale", "fresh")

    @property
    def last_automatic(self) -> datetime | None:
        """When its policy last made a backup."""
        times = (backup.create_time for backup in self.backups if backup.creation_method == "AUTO")
        return next(times, None)

    @property
    def newest_ids(self) -> str:
        """Ids of the newest backups that count in ``made``, for finding the tasks that made them."""
        made = (backup.backup_id for backup in self.backups if not backup.is_failed)
        return " ".join(islice(made, MAKERS))


@dataclass(frozen=True)
class Overview:
    """
    All clusters of a connection.

    :param cost: per month, in the currency of the price; ``None`` without a price
    """

    rows: Sequence[ClusterRow]
    projects: Sequence[str]
    fresh: int
    backed_up: int
    running: int
    count: int
    size: int
    cost: float | None

    @property
    def stale(self) -> int:
        return self.backed_up - self.fresh


def overview_of(answers: Answers, target: timedelta, price: float | None, now: datetime) -> Overview:
    """
    Return what the overview shows.

    :param target: how old the newest backup of a cluster may be
    :param price: of a GB of backups per month
    :param now: the server's time
    """
    by_cluster: dict[str, list[Backup]] = {cluster.cluster_id: [] for cluster in answers.clusters}
    for backup in answers.backups:
        if not backup.is_deleted:
            by_cluster.setdefault(backup.cluster_id, []).append(backup)
    clusters = {cluster.cluster_id: cluster for cluster in answers.clusters}
    rows = [
        _row(cluster_id, clusters.get(cluster_id), backups, answers.projects, target, now)
        for cluster_id, backups in by_cluster.items()
    ]
    rows.sort(key=lambda row: row.risk)
    states = Counter(row.state for row in rows)
    size = sum(row.size for row in rows)
    return Overview(
        rows=rows,
        projects=sorted({row.project for row in rows if row.project}),
        fresh=states["fresh"],
        backed_up=states["fresh"] + states["stale"],
        running=sum(len(row.running) for row in rows),
        count=sum(row.count for row in rows),
        size=size,
        cost=monthly_cost(size, price),
    )


def _row(
    cluster_id: str,
    cluster: Cluster | None,
    backups: list[Backup],
    projects: Mapping[str, str],
    target: timedelta,
    now: datetime,
) -> ClusterRow:
    newest_first = sorted(backups, key=_when, reverse=True)
    rule = FreshnessRule(cluster_id, target)
    newest = next((each for each in newest_first if rule.counts(each) and _when(each) <= now), None)
    age = now - newest.create_time if newest and newest.create_time else None
    usable = [backup for backup in newest_first if backup.is_available]
    running = [backup for backup in newest_first if backup.may_block(now)]
    shown = cluster or Cluster(
        cluster_id=cluster_id,
        cluster_name=next((backup.cluster_name for backup in newest_first if backup.cluster_name), ""),
        project_id=next((backup.project_id for backup in newest_first if backup.project_id), ""),
        plan="dropped",
    )
    if cluster is None:
        state, words = "gone", "dropped; its backups are kept and billed"
    elif not cluster.can_have_backups:
        state, words = "unsupported", "cannot have backups"
    elif age is None:
        state = "stale"
        words = "no backup of the whole cluster, only of collections" if usable else "no backup yet"
    elif age > target:
        state, words = "stale", f"old, target {format_target(target)}"
    else:
        state, words = "fresh", f"of {format_target(target)}"
    return ClusterRow(
        cluster_id=cluster_id,
        name=shown.cluster_name or cluster_id,
        plan=shown.plan,
        status="" if shown.status in ("RUNNING", "") else shown.status,
        region_id=shown.region_id,
        project=projects.get(shown.project_id) or shown.project_id,
        state=state,
        age=age,
        words=words,
        share=100 if age is None else min(100, round(100 * age / target)),
        newest=newest,
        running=running,
        count=len(usable),
        size=sum(backup.size or 0 for backup in usable),
        made=Counter(
            "policy" if backup.creation_method == "AUTO" else "manual"
            for backup in newest_first
            if not backup.is_failed
        ),
        backups=newest_first,
    )


def _when(backup: Backup) -> datetime:
    return backup.create_time or _LONG_AGO


_LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class Page(Generic[T]):
    """
    A part of the rows.

    :param found: how many there are in all
    :param number: from 1
    """

    rows: Sequence[T]
    found: int
    number: int
    pages: int


def page_of(rows: Sequence[T], number: int) -> Page[T]:
    """Return at most 50 of the rows; the number of a page that does not exist means the nearest one."""
    pages = max(1, -(-len(rows) // ROWS))
    number = min(max(1, number), pages)
    return Page(rows[(number - 1) * ROWS : number * ROWS], len(rows), number, pages)


def matching(rows: Iterable[ClusterRow], text: str = "", project: str = "") -> list[ClusterRow]:
    """
    Return the rows that match.

    :param text: a part of the name, the id, the plan, the region or the state; case does not matter
    :param project: its name
    """
    words = text.casefold().split()
    return [
        row
        for row in rows
        if project in ("", row.project)
        and all(
            word in f"{row.name} {row.cluster_id} {row.plan} {row.region_id} {row.state}".casefold()
            for word in words
        )
    ]


def monthly_cost(size: int, price: float | None) -> float | None:
    """
    Return what backups cost per month, in the currency of the price; ``None`` without a price.

    :param size: their bytes
    :param price: of a GB per month
    """
    return None if price is None else price * size / GB


def format_target(target: timedelta) -> str:
    """Return a target without what is zero: ``24 h``, ``1 h 30 min``."""
    minutes = round(target.total_seconds() / 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)
    return " ".join(parts) or format_age(target)


def format_cost(cost: float) -> str:
    """Return an amount with as many digits as matter."""
    return f"{cost:,.2f}" if cost >= 0.01 or not cost else "< 0.01"


def collection_names(backup: Backup) -> list[str]:
    """Return what a backup holds, with the database where that is not the default one."""
    return sorted(f"{database}.{name}" if database else name for database, name in backup.contents or ())


def copies_of(backup: Backup, others: Iterable[Backup]) -> list[str]:
    """
    Return the other regions in which a backup is.

    How the API shows copies is not documented. What has the same name, type and way of making and lies
    elsewhere can only be one.

    :param others: described backups of the same cluster, since a list shows no regions
    """
    return sorted(
        {
            other.region_id
            for other in others
            if other.region_id
            and other.region_id != backup.region_id
            and (other.backup_name, other.backup_type, other.creation_method)
            == (backup.backup_name, backup.backup_type, backup.creation_method)
        }
    )
