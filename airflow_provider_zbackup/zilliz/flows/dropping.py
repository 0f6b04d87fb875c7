"""Dropping a cluster, only if it is the one that is meant and looks like a scratch cluster."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBadRequestError,
    ZillizNotFoundError,
    ZillizProtocolError,
    ZillizRefusedError,
)
from airflow_provider_zbackup.zilliz.flows.changing import change
from airflow_provider_zbackup.zilliz.flows.steps import (
    Flow,
    Pause,
    Reply,
    all_backups,
    all_clusters,
    retrying,
    still_listed,
)
from airflow_provider_zbackup.zilliz.models import Cluster
from airflow_provider_zbackup.zilliz.operations import describe_cluster, drop_cluster, get_backup_policy
from airflow_provider_zbackup.zilliz.texts import format_age


def drop_scratch_cluster(
    cluster_id: str, cluster_name: str, *, max_age: timedelta | None, even_with_policy: bool = False
) -> Flow[dict[str, Any]]:
    """
    Drop a cluster, unless it is already gone.

    :param cluster_name: the name that the cluster must have
    :param max_age: the oldest that the cluster may be, by the server's time; ``None`` means any age
    :param even_with_policy: whether it may have automatic backups, which go with it
    :return: the ids, and whether it was dropped now, as plain JSON
    :raises ZillizBadRequestError: when it is not such a cluster
    """

    def poll() -> Flow[Reply[Cluster] | None]:
        try:
            reply = yield from retrying(describe_cluster(cluster_id))
        except ZillizNotFoundError:
            return None
        return None if reply.value.is_dropped else reply

    def check(reply: Reply[Cluster]) -> Flow[None]:
        _check_name(reply.value, cluster_id, cluster_name)
        if max_age is not None:
            _check_age(reply, cluster_id, max_age)
        if not even_with_policy:
            yield from _check_automatic_backups(reply.value, cluster_id)
        yield Pause(0, f"Dropping cluster {cluster_id}: {_facts(reply)}.")

    is_dropped = yield from change(drop_cluster(cluster_id), poll=poll, check=check)
    if is_dropped:
        yield Pause(
            0,
            f"Cluster {cluster_id} ({cluster_name}) is dropped. The web console can restore it from the "
            "recycle bin for 30 days, unless it is a Free one.",
        )
    else:
        yield from _check_unlisted(cluster_id)
        yield Pause(0, f"Cluster {cluster_id} ({cluster_name}) is already gone; nothing was dropped.")
    return {"cluster_id": cluster_id, "cluster_name": cluster_name, "dropped": is_dropped}


def _check_unlisted(cluster_id: str) -> Flow[None]:
    """Check that no list has the cluster: what is not found by its id must not look as if it were gone."""
    listed = yield from still_listed(
        all_clusters(), lambda other: other.cluster_id == cluster_id and not other.is_dropped
    )
    if listed is not None:
        raise ZillizRefusedError(
            f"Cluster {cluster_id} is in the list of clusters, but is not found by its id. Nothing was "
            "dropped.",
            unprocessed=True,
        )


def _check_name(cluster: Cluster, cluster_id: str, cluster_name: str) -> None:
    if not cluster.cluster_name:
        raise ZillizProtocolError(
            f"Zilliz Cloud does not show the name of cluster {cluster_id}, so it was not dropped."
        )
    if cluster.cluster_name != cluster_name:
        raise ZillizBadRequestError(
            f"Cluster {cluster_id} is named {cluster.cluster_name!r}, not {cluster_name!r}, so it was not "
            "dropped. Give the id and the name of the same cluster.",
            unprocessed=True,
        )


def _check_age(reply: Reply[Cluster], cluster_id: str, max_age: timedelta) -> None:
    created, now = reply.value.create_time, reply.server_time
    # A time far in the future hides the age.
    if created and now and abs(now - created) <= max_age:
        return
    age = f"older than {format_age(max_age)}" if created and now and created < now else "of unknown age"
    raise ZillizBadRequestError(
        f"Cluster {cluster_id} is {age} (created: {created}), so it was not dropped. Give a longer max_age, "
        "or None for any age.",
        unprocessed=True,
    )


def _check_automatic_backups(cluster: Cluster, cluster_id: str) -> Flow[None]:
    if not cluster.can_have_backups:
        return
    policy = (yield from retrying(get_backup_policy(cluster_id))).value
    if not policy.is_disabled:
        why = f"has a backup policy ({policy.status or 'no status'})"
    else:
        backups = (yield from all_backups(cluster_id=cluster_id)).value
        automatic = [backup for backup in backups if not (backup.is_manual or backup.is_deleted)]
        if not automatic:
            return
        why = f"has automatic backups, which would go with it: {automatic[0].describe()}"
    raise ZillizBadRequestError(
        f"Cluster {cluster_id} {why}, so it was not dropped. Set even_with_policy=True to drop it.",
        unprocessed=True,
    )


def _facts(reply: Reply[Cluster]) -> str:
    """Return in words what is dropped."""
    cluster, now = reply.value, reply.server_time
    age = format_age(now - cluster.create_time if now and cluster.create_time else None)
    return (
        f"{cluster.cluster_name}, age {age}, project {cluster.project_id}, plan {cluster.plan}, "
        f"{cluster.cu_size} CU, {cluster.status}"
    )
