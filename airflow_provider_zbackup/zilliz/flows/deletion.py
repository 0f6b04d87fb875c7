"""Deleting backups: one that was named, or those that no retention rule keeps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBadRequestError,
    ZillizConflictError,
    ZillizError,
    ZillizNotFoundError,
    ZillizProtocolError,
    ZillizRefusedError,
)
from airflow_provider_zbackup.zilliz.flows.retention import (
    RetentionRules,
    Verdict,
    needs_details,
    plan_retention,
)
from airflow_provider_zbackup.zilliz.flows.steps import (
    Flow,
    Pause,
    all_backups,
    look_up_backup,
    now,
    retrying,
    server_now,
    still_listed,
)
from airflow_provider_zbackup.zilliz.models import Backup
from airflow_provider_zbackup.zilliz.operations import delete_backup, describe_backup
from airflow_provider_zbackup.zilliz.texts import format_age, format_size, format_table

#: A backup that must stay is looked at again after this long, in seconds.
TRUST = 60.0
#: During a long reading, the log tells its progress this often, in seconds.
PROGRESS_PAUSE = 30.0
BYTES_PER_GB = 1e9


class Outcome(NamedTuple):
    """
    What was done with a backup.

    :param action: ``kept``, ``deleted``, ``would be deleted``, ``skipped`` or ``failed``
    :param reason: the rule, or what was in the way
    """

    action: str
    reason: str


def delete_one(cluster_id: str, backup_id: str) -> Flow[dict[str, Any]]:
    """
    Delete a backup, unless it is already gone.

    :return: ``cluster_id``, ``backup_id``, ``backup_name``, and ``deleted``: false if it was gone
    :raises ZillizConflictError: when it is still being made
    :raises ZillizBadRequestError: when it is a backup of another cluster
    """
    result = {"cluster_id": cluster_id, "backup_id": backup_id, "backup_name": None, "deleted": False}
    backup = yield from _find(cluster_id, backup_id)
    if backup is None:
        yield from _check_unlisted(cluster_id, backup_id)
        yield Pause(0, f"Backup {backup_id} of cluster {cluster_id} is already gone.")
        return result
    yield Pause(0, f"Deleting {backup.describe()} of cluster {cluster_id}. This cannot be undone.")
    yield from _delete(cluster_id, backup_id)
    return result | {"backup_name": backup.backup_name or None, "deleted": True}


def _check_unlisted(cluster_id: str, backup_id: str) -> Flow[None]:
    """Check that no list has the backup: a wrong id must not look as if it were gone."""
    listed = yield from still_listed(
        all_backups(), lambda other: other.backup_id == backup_id and not other.is_deleted
    )
    if listed is not None:
        _check_cluster(listed, cluster_id)
        raise ZillizRefusedError(
            f"Backup {backup_id} is in the list of backups, but is not found by its id. Nothing was deleted.",
            unprocessed=True,
        )


def _check_cluster(backup: Backup, cluster_id: str) -> None:
    if backup.cluster_id not in ("", cluster_id):
        raise ZillizBadRequestError(
            f"Backup {backup.backup_id} is of cluster {backup.cluster_id}, not {cluster_id}. "
            "Nothing was deleted.",
            unprocessed=True,
        )


def _find(cluster_id: str, backup_id: str) -> Flow[Backup | None]:
    """
    Return a backup that may be deleted; ``None`` if it is gone.

    :raises ZillizConflictError: when it is still being made
    """
    try:
        reply = yield from look_up_backup(cluster_id, backup_id)
    except ZillizNotFoundError:
        return None
    backup = reply.value.model_copy(update={"backup_id": backup_id})
    _check_cluster(backup, cluster_id)
    if backup.may_block((yield from server_now(reply))):
        raise ZillizConflictError(
            f"Backup {backup_id} is {backup.status or 'in no known state'}: it may still be made. "
            "Nothing was deleted. Delete it when it is AVAILABLE.",
            unprocessed=True,
        )
    return None if backup.is_deleted else backup


def _delete(cluster_id: str, backup_id: str) -> Flow[None]:
    """Delete a backup. A second call does no harm: no other backup ever gets its id."""
    try:
        yield from retrying(delete_backup(cluster_id, backup_id))
    except ZillizNotFoundError:
        # An earlier attempt got no answer but was carried out.
        pass
    except ZillizRefusedError:
        # No code is documented for a backup that is gone.
        if (yield from _find(cluster_id, backup_id)) is not None:
            raise


def prune(
    rules: RetentionRules,
    *,
    cluster_id: str | None = None,
    project_id: str | None = None,
    backup_type: str | None = None,
    creation_method: str = "MANUAL",
    price_per_gb_month: float | None = None,
    dry_run: bool = False,
) -> Flow[dict[str, Any]]:
    """
    Delete the backups that no rule keeps, the oldest first. The plan is logged before.

    A backup is skipped if it has changed since the plan, or if the newest of its group is gone.

    :param price_per_gb_month: to log what the deleted ones cost
    :return: the plan and what was done
    :raises ZillizError: when some could not be deleted, after all others were
    """
    listed = yield from all_backups(cluster_id=cluster_id, project_id=project_id)
    if rules.older_than is not None and listed.server_time is None:
        raise ZillizProtocolError(
            "Zilliz Cloud's answer does not tell the time, which older_than needs. Nothing was deleted."
        )
    time = yield from server_now(listed)
    there = {name for backup in listed.value for name in (backup.backup_id, backup.backup_name)}
    for name in sorted(set(rules.keep) - there):
        yield Pause(0, f"keep: there is no backup {name}.", is_trouble=True)
    # By id: a backup that changes between two pages is listed twice.
    backups = {
        backup.backup_id: backup.model_copy(update={"cluster_id": backup.cluster_id or cluster_id or ""})
        for backup in listed.value
        if backup.backup_id
        and backup.cluster_id in ("", cluster_id or backup.cluster_id)
        and backup.project_id in ("", project_id or backup.project_id)
        and backup.creation_method == creation_method
        and backup_type in (None, backup.backup_type)
    }
    if not backups:
        where = f"Cluster {cluster_id}" if cluster_id else f"Project {project_id}"
        kind = f"{creation_method} {backup_type or ''}".rstrip()
        yield Pause(
            0,
            f"{where} has no {kind} backups, so there is nothing to prune. If it should have some, "
            "check the id and the API key.",
            is_trouble=True,
        )
    needed = needs_details(backups.values(), rules, time)
    detailed = yield from _read_details(needed)
    unread = {backup.backup_id for backup in needed} - detailed.keys()
    plan = plan_retention((backups | detailed).values(), rules, time, unread)
    yield from _show(plan, time, price_per_gb_month)
    outcomes = {verdict.backup.backup_id: Outcome("kept", verdict.reason) for verdict in plan}
    going = sorted((verdict for verdict in plan if not verdict.is_kept), key=_oldest_first)
    if dry_run:
        for verdict in going:
            outcomes[verdict.backup.backup_id] = Outcome("would be deleted", verdict.reason)
        yield Pause(0, "Nothing was deleted: dry_run is set.")
    else:
        outcomes |= yield from _delete_all(going, rules)
    failed = [backup_id for backup_id, outcome in outcomes.items() if outcome.action == "failed"]
    if failed:
        raise ZillizError(
            f"{len(failed)} of {len(going)} backups could not be deleted: {', '.join(failed[:10])}. "
            f"The first one: {outcomes[failed[0]].reason}"
        )
    deleted = [verdict.backup for verdict in plan if outcomes[verdict.backup.backup_id].action == "deleted"]
    yield Pause(0, f"Deleted {len(deleted)} of {len(plan)} backups: {format_size(_total_size(deleted))}.")
    return {
        "cluster_id": cluster_id,
        "project_id": project_id,
        "dry_run": dry_run,
        "deleted": len(deleted),
        "freed_bytes": _total_size(deleted),
        "backups": [
            verdict.backup.model_dump(mode="json", include=_SHOWN_FIELDS)
            | outcomes[verdict.backup.backup_id]._asdict()
            for verdict in plan
        ],
    }


_SHOWN_FIELDS = {"cluster_id", "backup_id", "backup_name", "create_time", "size"}


def _oldest_first(verdict: Verdict) -> tuple[Any, str]:
    return verdict.backup.create_time, verdict.backup.backup_id


def _total_size(backups: Iterable[Backup]) -> int:
    return sum(backup.size or 0 for backup in backups)


def _read_details(backups: Sequence[Backup]) -> Flow[dict[str, Backup]]:
    """
    Describe backups, since lists show neither regions nor collections.

    :return: those that could be described, by id
    :raises ZillizRefusedError: when each was refused
    """
    detailed: dict[str, Backup] = {}
    refusals: dict[str, ZillizRefusedError] = {}
    logged_at = yield from now()
    if backups:
        yield Pause(0, f"Reading the regions and collections of {len(backups)} backups.")
    for backup in backups:
        try:
            reply = yield from retrying(describe_backup(backup.cluster_id, backup.backup_id))
        except ZillizNotFoundError:
            continue
        except ZillizRefusedError as error:
            refusals[backup.backup_id] = error
            continue
        details = {name: getattr(reply.value, name) for name in ("region_id", "db_collections")}
        detailed[backup.backup_id] = backup.model_copy(update=details)
        time = yield from now()
        if time - logged_at >= PROGRESS_PAUSE:
            text = f"Read the regions and collections of {len(detailed)} of {len(backups)} backups."
            logged_at = yield Pause(0, text)
    if refusals:
        ids, (first, *_) = list(refusals), refusals.values()
        if not detailed:
            raise first
        text = f"{len(ids)} backups cannot be described, so they stay: {', '.join(ids[:10])}. {first}"
        yield Pause(0, text, is_trouble=True)
    return detailed


def _show(plan: Sequence[Verdict], time: datetime, price_per_gb_month: float | None) -> Flow[None]:
    """Log the plan as a table, and its totals."""
    # The plan comes first: Airflow's page of a log cuts long lines.
    rows = [
        (
            f"{'keep' if verdict.is_kept else 'DELETE'}: {verdict.reason}",
            format_age(time - verdict.backup.create_time if verdict.backup.create_time else None),
            format_size(verdict.backup.size),
            verdict.backup.backup_name or "-",
            _describe_contents(verdict.backup),
            verdict.backup.region_id or "-",
            verdict.backup.backup_id,
            verdict.backup.cluster_id,
        )
        for verdict in plan
    ]
    head = ("PLAN", "AGE", "SIZE", "NAME", "COLLECTIONS", "REGION", "BACKUP", "CLUSTER")
    for line in format_table(head, rows):
        yield Pause(0, line)
    going = [verdict.backup for verdict in plan if not verdict.is_kept]
    freed = _total_size(going)
    price = ""
    if price_per_gb_month is not None:
        price = f", about {freed / BYTES_PER_GB * price_per_gb_month:.2f} less a month"
    yield Pause(
        0, f"Keeping {len(plan) - len(going)} backups, deleting {len(going)}: {format_size(freed)}{price}."
    )


def _describe_contents(backup: Backup) -> str:
    if backup.backup_type == "CLUSTER":
        return "all"
    held = backup.contents
    if not held:
        return "not read"
    names = sorted(name if database is None else f"{database}.{name}" for database, name in held)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _delete_all(going: Sequence[Verdict], rules: RetentionRules) -> Flow[dict[str, Outcome]]:
    """Delete the backups that the plan does not keep, unless they have changed."""
    outcomes: dict[str, Outcome] = {}
    seen_at: dict[str, float] = {}
    for verdict in going:
        backup = verdict.backup
        try:
            obstacle = yield from _obstacle(verdict, rules, seen_at)
            if obstacle is None:
                yield from _delete(backup.cluster_id, backup.backup_id)
        except (ZillizRefusedError, ZillizConflictError) as error:
            outcomes[backup.backup_id] = Outcome("failed", str(error))
            yield Pause(0, f"Not deleted: {backup.backup_id}. {error}")
        else:
            outcome = Outcome("skipped", obstacle) if obstacle else Outcome("deleted", verdict.reason)
            outcomes[backup.backup_id] = outcome
            yield Pause(0, f"Backup {backup.backup_id} is {outcome.action}: {outcome.reason}.")
    return outcomes


def _obstacle(verdict: Verdict, rules: RetentionRules, seen_at: dict[str, float]) -> Flow[str | None]:
    """
    Return what has changed since the plan, so that a backup must not be deleted now.

    :param seen_at: when each backup that must stay was last seen
    """
    planned = verdict.backup
    for guard in verdict.guards:
        time = yield from now()
        if time - seen_at.get(guard.backup_id, -math.inf) >= TRUST:
            found = yield from _find(guard.cluster_id, guard.backup_id)
            if found is None or not found.is_available:
                return f"the newer backup {guard.backup_id} is gone"
            seen_at[guard.backup_id] = yield from now()
    found = yield from _find(planned.cluster_id, planned.backup_id)
    if found is None:
        return "it is already gone"
    if rules.protect(found):
        return f"it is now called {found.backup_name}"
    for name in ("status", "backup_type", "creation_method", "create_time", "region_id"):
        # What Describe Backup does not show has not changed.
        if getattr(found, name) not in (getattr(planned, name), "", None):
            return "it has changed since the plan"
    return None
