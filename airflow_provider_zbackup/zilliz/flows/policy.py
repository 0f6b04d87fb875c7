"""Setting the policy for automatic backups of a cluster, only if it differs."""

from __future__ import annotations

import re

from airflow_provider_zbackup.zilliz.checks import WEEKDAYS
from airflow_provider_zbackup.zilliz.errors import ZillizBadRequestError
from airflow_provider_zbackup.zilliz.flows.changing import change
from airflow_provider_zbackup.zilliz.flows.steps import Flow, Pause, retrying
from airflow_provider_zbackup.zilliz.models import BackupPolicy
from airflow_provider_zbackup.zilliz.operations import get_backup_policy, set_backup_policy
from airflow_provider_zbackup.zilliz.requests import RegionRetention, SetBackupPolicyRequest

#: Fields with such names speak of a schedule that only the web console can make.
_FOREIGN_FIELD = re.compile("cron|month|zone", re.IGNORECASE)
_WINDOW = re.compile(r"(\d\d?):([0-5]\d) ?- ?(\d\d?):([0-5]\d)", re.ASCII)


def set_policy(cluster_id: str, wanted: SetBackupPolicyRequest, *, overwrite: bool = False) -> Flow[bool]:
    """
    Set a policy, unless the cluster has it already.

    :param overwrite: whether to replace a schedule that this API cannot express
    :return: whether the policy was changed
    :raises ZillizBadRequestError: when the cluster has such a schedule
    """

    def poll() -> Flow[BackupPolicy | None]:
        policy = (yield from retrying(get_backup_policy(cluster_id))).value
        return None if as_request(policy) == wanted else policy

    def check(policy: BackupPolicy) -> Flow[None]:
        found = as_request(policy)
        if found is None:
            strange = (
                f"a backup policy that this API cannot express, perhaps made in the web console: {policy}"
            )
            if not overwrite:
                raise ZillizBadRequestError(
                    f"Cluster {cluster_id} has {strange}. Set overwrite=True to replace it.", unprocessed=True
                )
            yield Pause(0, f"Replacing {strange}.")
        yield Pause(0, f"Changing the backup policy of cluster {cluster_id}:")
        old, new = describe(found) if found else {}, describe(wanted)
        for name, value in new.items():
            if old.get(name) != value:
                yield Pause(0, f"  {name}: {old.get(name, 'unknown')} -> {value}")
        if wanted.enabled:
            yield Pause(0, "This starts an automatic backup at once. No manual one can start during it.")

    is_changed = yield from change(set_backup_policy(cluster_id, wanted), poll=poll, check=check)
    state = "is set" if is_changed else "is already so; nothing was changed"
    yield Pause(0, f"The backup policy of cluster {cluster_id} {state}.")
    return is_changed


def as_request(policy: BackupPolicy) -> SetBackupPolicyRequest | None:
    """Return the request that makes a policy; ``None`` if there is none, or the policy cannot be read."""
    if policy.is_disabled:
        return SetBackupPolicyRequest(enabled=False)
    for name, value in (policy.model_extra or {}).items():
        if _FOREIGN_FIELD.search(name) and value not in (None, "", "UTC"):
            return None
    days = {day.strip() for day in str(policy.frequency).split(",")}
    window = _WINDOW.fullmatch(str(policy.start_time).strip())
    copies = sorted((copy.region_id, copy.retention_days) for copy in policy.cross_region_copies)
    kept = [policy.retention_days, *(days for _, days in copies)]
    if policy.status != "ENABLED" or not days <= set("1234567") or window is None or min(kept) < 1:
        return None
    hour, minute, end_hour, end_minute = map(int, window.groups())
    if ((end_hour - hour) * 60 + end_minute - minute) % (24 * 60) != 120:
        return None
    return SetBackupPolicyRequest(
        enabled=True,
        frequency=",".join(sorted(days)),
        start_time=f"{hour % 24:02}:{minute:02}-{end_hour % 24:02}:{end_minute:02}",
        retention_days=policy.retention_days,
        cross_region_copies=tuple(
            RegionRetention(region_id=region, retention_days=days) for region, days in copies
        ),
    )


def describe(request: SetBackupPolicyRequest) -> dict[str, str]:
    """Return a policy in words, line by line."""
    days = [WEEKDAYS[int(day) - 1] for day in (request.frequency or "").split(",") if day]
    copies = [f"{copy.region_id} for {copy.retention_days} days" for copy in request.cross_region_copies]
    return {
        "policy": "enabled" if request.enabled else "disabled",
        "weekdays": ", ".join(days) or "none",
        "window": f"{request.start_time} UTC" if request.start_time else "none",
        "backups are kept": f"{request.retention_days} days" if request.retention_days else "none",
        "copies": ", ".join(copies) or "none",
    }
