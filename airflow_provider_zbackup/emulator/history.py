"""A Zilliz Cloud that people have used for 30 days, so that there is something to see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from airflow_provider_zbackup.emulator import seed
from airflow_provider_zbackup.emulator.control_plane import ControlPlane
from airflow_provider_zbackup.emulator.formats import DAY
from airflow_provider_zbackup.emulator.jobs import JobPlan
from airflow_provider_zbackup.emulator.records import Cluster, Collection, Policy, Project, RegionCopy

HOUR = 3600
GB = 10**9
SEARCH_PROJECT_ID = "proj-5d2e8f7a9c1b46038e7f12"
BUSY_CLUSTER_ID = "in01-c3f08a61e9b74d2"
DROPPED_CLUSTER_ID = "in01-7b19f3c05d28e64"
LARGE_CLUSTER_ID = "in01-4e7d10b8c6a2f95"
NEW_CLUSTER_ID = "in01-f62a9d4e0c85b17"


class _Use(NamedTuple):
    """
    How a cluster was used.

    :param size: of its backups 30 days ago, in bytes
    :param growth: how much larger they are now
    :param manual: how many hours ago somebody made backups
    :param policy: window, weekdays and days of retention
    """

    cluster: Cluster
    size: float
    growth: float
    manual: Iterable[float] = ()
    policy: tuple[str, str, int] | None = None


class _Backup(NamedTuple):
    moment: float
    method: str
    retention_days: int | None = None
    copies: Sequence[RegionCopy] = ()


def add_history(control_plane: ControlPlane) -> None:
    """
    Add 30 days of backups, some clusters in a second project, a stale cluster, and a running job.

    The first cluster of the seed stays free: a backup of it starts at once.
    """
    with control_plane.lock:
        now = control_plane.now()
        control_plane.put_project(Project(SEARCH_PROJECT_ID, "Search", now - 300 * DAY))
        for use in _uses(control_plane, now):
            _play(control_plane, use, now)
        # It will be dropped. Its manual backups stay, and are billed.
        control_plane.set_cluster_status(DROPPED_CLUSTER_ID, "DELETED")
        control_plane.start_backup(
            control_plane.clusters[BUSY_CLUSTER_ID],
            operation="create_backup",
            started=now - 7 * 60,
            plan=JobPlan(seconds=20 * 60),
        )


def _uses(control_plane: ControlPlane, now: float) -> list[_Use]:
    def cluster(cluster_id: str, name: str, plan: str, region_id: str = "aws-us-west-2") -> Cluster:
        return Cluster(
            cluster_id,
            name,
            SEARCH_PROJECT_ID,
            now - 200 * DAY,
            plan=plan,
            region_id=region_id,
            databases={"": [Collection("documents"), Collection("embeddings")]},
        )

    daily = "1,2,3,4,5,6,7"
    first, second = (
        control_plane.clusters[cluster_id]
        for cluster_id in (seed.DEDICATED_CLUSTER_ID, seed.SECOND_DEDICATED_CLUSTER_ID)
    )
    recommendations = cluster(BUSY_CLUSTER_ID, "recommendations", "Enterprise")
    images = cluster(LARGE_CLUSTER_ID, "image-search", "BusinessCritical")
    answers = cluster("in01-08d5b2f7a13c9e6", "support-answers", "Standard", "aws-us-east-1")
    return [
        _Use(first, 41 * GB, 0.2, (5 * 24 + 3, 12 * 24, 19 * 24), ("02:00-04:00", daily, 7)),
        _Use(second, 9 * GB, 0.1, (75, 8 * 24, 15 * 24, 22 * 24)),
        _Use(recommendations, 118 * GB, 0.6, [24 * day + 11 for day in range(30)]),
        _Use(images, 260 * GB, 0.35, (9 * 24, 16 * 24), ("22:00-00:00", daily, 30)),
        _Use(answers, 3 * GB, 2.0, (4, 4 + 24, 4 + 48, 4 + 72)),
        _Use(cluster(DROPPED_CLUSTER_ID, "prototype", "Standard"), 14 * GB, 0.0, (26 * 24,)),
        _Use(cluster(NEW_CLUSTER_ID, "new-catalogue", "Standard"), 2 * GB, 0),
    ]


def _play(control_plane: ControlPlane, use: _Use, now: float) -> None:
    cluster = use.cluster
    control_plane.put_cluster(cluster)
    backups = [_Backup(now - hours * HOUR, "MANUAL") for hours in use.manual]
    if use.policy is not None:
        backups += _automatic_backups(control_plane, use, *use.policy, now)
    # The oldest first, since their names count.
    for backup in sorted(backups, key=lambda backup: backup.moment):
        _fill(cluster, use.size * (1 + use.growth * (1 - (now - backup.moment) / (30 * DAY))))
        _back_up(control_plane, cluster, backup, now)
    _fill(cluster, use.size * (1 + use.growth))


def _automatic_backups(
    control_plane: ControlPlane, use: _Use, window: str, weekdays: str, retention: int, now: float
) -> list[_Backup]:
    """Set a policy, and return when it has made backups that are still there."""
    policy = Policy(
        window,
        weekdays,
        retention,
        [RegionCopy("aws-us-east-1", 7)] if use.cluster.plan == "BusinessCritical" else [],
        started_until=now - 30 * DAY,
    )
    due = list(policy.due(now))
    policy.started_until = now
    control_plane.policies[use.cluster.cluster_id] = policy
    # One night failed. What has expired is gone.
    return [
        _Backup(moment, "AUTO", retention, policy.copies)
        for moment in due
        if now - moment < retention * DAY and int(now - moment) // DAY != 4
    ]


def _fill(cluster: Cluster, size: float) -> None:
    """Spread a size over the collections of a cluster."""
    collections = [collection for group in cluster.databases.values() for collection in group]
    cluster.databases = {
        database: [replace(collection, size=int(size / len(collections))) for collection in group]
        for database, group in cluster.databases.items()
    }


def _back_up(control_plane: ControlPlane, cluster: Cluster, backup: _Backup, now: float) -> None:
    control_plane.start_backup(
        cluster,
        operation="create_backup",
        creation_method=backup.method,
        copies=backup.copies,
        retention_days=backup.retention_days,
        started=backup.moment,
        plan=JobPlan(seconds=max(0.0, min(600.0, now - backup.moment - 1))),
    )
