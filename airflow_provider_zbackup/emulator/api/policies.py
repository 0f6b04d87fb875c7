"""The operations that get and set the policy for automatic backups."""

from __future__ import annotations

import re

from airflow_provider_zbackup.emulator.api.lookups import find_dedicated_cluster, region_problem
from airflow_provider_zbackup.emulator.api.request import ApiRequest, Fields
from airflow_provider_zbackup.emulator.control_plane import ControlPlane
from airflow_provider_zbackup.emulator.errors import bad_request, documented_error
from airflow_provider_zbackup.emulator.formats import Json
from airflow_provider_zbackup.emulator.records import Cluster, Policy, RegionCopy

_FREQUENCY = re.compile(r"[1-7](,[1-7])*", re.ASCII)
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_WINDOW_MINUTES = 120


def get_backup_policy(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/get-backup-policy-v2

    A cluster that never had a policy looks like one with a disabled policy. This is a guess: it is not
    documented.
    """
    cluster = find_dedicated_cluster(control_plane, request.path["cluster_id"])
    policy = control_plane.policies.get(cluster.cluster_id)
    answer = {
        "clusterId": cluster.cluster_id,
        "status": "DISABLED" if policy is None else "ENABLED",
        "startTime": None if policy is None else policy.start_time,
        "frequency": None if policy is None else policy.frequency,
        "retentionDays": 0 if policy is None else policy.retention_days,
        "crossRegionCopies": [
            {
                "regionId": copy.region_id,
                "retentionDays": copy.retention_days,
                "region": copy.region_id.split("-", 1)[1],
            }
            for copy in (policy.copies if policy else ())
        ],
    }
    if policy is not None and policy.from_console:
        for name in ("startTime", "frequency"):
            if control_plane.settings.console_policies == "null":
                answer[name] = None
            elif control_plane.settings.console_policies == "absent":
                del answer[name]
    return answer


def set_backup_policy(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/set-backup-policy-v2

    Enabling starts an automatic backup at once, even when the policy was enabled before.
    """
    cluster = find_dedicated_cluster(control_plane, request.path["cluster_id"])
    now = control_plane.now()
    if cluster.status(now) != "RUNNING":
        raise bad_request("The cluster is not running.")
    if request.body.flag("enabled"):
        policy = Policy(
            start_time=_start_time(request.body),
            frequency=_frequency(request.body),
            retention_days=request.body.whole_number("retentionDays", 1, 30, 96034),
            copies=[
                _copy(control_plane, cluster, entry) for entry in request.body.objects("crossRegionCopies")
            ],
            started_until=now,
        )
        control_plane.policies[cluster.cluster_id] = policy
        control_plane.start_automatic_backup(cluster, policy)
        return {"clusterId": cluster.cluster_id, "status": "ENABLED"}
    control_plane.policies.pop(cluster.cluster_id, None)
    return {"clusterId": cluster.cluster_id, "status": "DISABLED"}


def _frequency(body: Fields) -> str:
    frequency = body.values.get("frequency")
    if not isinstance(frequency, str) or not _FREQUENCY.fullmatch(frequency):
        raise documented_error(96032)
    return frequency


def _start_time(body: Fields) -> str:
    window = body.values.get("startTime")
    match = _WINDOW.fullmatch(window) if isinstance(window, str) else None
    if match is None:
        raise documented_error(96033)
    hour, minute, end_hour, end_minute = (int(number) for number in match.groups())
    if (end_hour * 60 + end_minute - hour * 60 - minute) % (24 * 60) != _WINDOW_MINUTES:
        raise documented_error(96033)
    return match.group()


def _copy(control_plane: ControlPlane, cluster: Cluster, entry: Fields) -> RegionCopy:
    region_id = entry.text("regionId")
    problem = region_problem(control_plane.projects[cluster.project_id], cluster.region_id, region_id)
    if problem is not None:
        raise bad_request(problem)
    return RegionCopy(region_id, entry.whole_number("retentionDays", 1, 30, 96034))
