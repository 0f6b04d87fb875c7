"""A policy for automatic backups in a few words, with its next run. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_provider_zbackup.zilliz.checks import WEEKDAYS
from airflow_provider_zbackup.zilliz.flows.policy import as_request
from airflow_provider_zbackup.zilliz.models import BackupPolicy


@dataclass(frozen=True)
class Schedule:
    """
    :param words: such as ``daily 02:00-04:00 UTC, kept 7 days``
    :param next_run: when the next window opens; ``None`` if nobody can tell, or there is none
    :param details: what else there is to know, such as copies in other regions
    """

    words: str
    next_run: datetime | None = None
    details: str = ""


def schedule_of(policy: BackupPolicy, now: datetime) -> Schedule:
    """
    Return what a policy says.

    :param now: the server's time
    """
    if policy.is_disabled:
        return Schedule("no policy")
    request = as_request(policy)
    if request is None or not (request.frequency and request.start_time):
        return Schedule("set in the console", details="The API does not show this schedule in full.")
    days = sorted(int(day) for day in request.frequency.split(","))
    copies = ", ".join(
        f"{copy.region_id} for {copy.retention_days} days" for copy in request.cross_region_copies
    )
    names = "daily" if len(days) == 7 else ", ".join(WEEKDAYS[day - 1][:3].capitalize() for day in days)
    return Schedule(
        words=f"{names} {request.start_time} UTC, kept {request.retention_days} days",
        next_run=_next_run(days, request.start_time, now),
        details=f"Copies in {copies}" if copies else "",
    )


def _next_run(days: list[int], window: str, now: datetime) -> datetime:
    hour, minute = int(window[:2]), int(window[3:5])
    opening = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    while opening <= now or opening.isoweekday() not in days:
        opening += timedelta(days=1)
    return opening
