"""A policy for automatic backups in a few words, with its next run. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_provider_zbackup.zilliz.checks import WEEKDAYS
from airflow_provider_zbackup.zilliz.flows.policy import as_request
from airflow_provider_zbackup.zilliz.models import BackupPolicy

#: A backup begins at any time in this long a window.
WINDOW = timedelta(hours=2)


@dataclass(frozen=True)
class Schedule:
    """
    :param words: such as ``daily 02:00-04:00 UTC, kept 7 days``
    :param next_run: when the window of the next run opens, or has opened; ``None`` if nobody can tell, or
        there is none
    :param closes: when that window closes, if it is open now
    :param details: what else there is to know, such as copies in other regions
    """

    words: str
    next_run: datetime | None = None
    closes: datetime | None = None
    details: str = ""


def schedule_of(policy: BackupPolicy, now: datetime, last: datetime | None) -> Schedule:
    """
    Return what a policy says.

    :param now: the server's time
    :param last: when the policy last made a backup
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
    opening = _next_opening(days, request.start_time, now, last)
    return Schedule(
        words=f"{names} {request.start_time} UTC, kept {request.retention_days} days",
        next_run=opening,
        closes=opening + WINDOW if opening <= now else None,
        details=f"Copies in {copies}" if copies else "",
    )


def _next_opening(days: list[int], window: str, now: datetime, last: datetime | None) -> datetime:
    """Return when the first window opens that is not over and has not been used."""
    hour, minute = int(window[:2]), int(window[3:5])
    # That of yesterday may be open past midnight.
    opening = now.replace(hour=hour, minute=minute, second=0, microsecond=0) - timedelta(days=1)
    while opening + WINDOW <= now or opening.isoweekday() not in days or (last and opening <= last):
        opening += timedelta(days=1)
    return opening
