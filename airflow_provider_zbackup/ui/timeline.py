"""The last 30 days of a cluster, and the growth of its backups, as numbers to draw. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache

from markupsafe import Markup

from airflow_provider_zbackup.zilliz.models import Backup
from airflow_provider_zbackup.zilliz.texts import format_size

DAYS = 30
#: The height of the timeline, of the first backup of a kind in a day, and of each further one.
HEIGHT, FIRST, FURTHER = 24, 10, 3
CHART_WIDTH, CHART_HEIGHT = 640, 120


@lru_cache(maxsize=10 * DAYS)
def _in_words(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


@dataclass
class Day:
    """
    A day of the user's calendar.

    :param ago: how many days ago it was; 0 is today
    """

    date: date
    ago: int
    manual: int = 0
    automatic: int = 0
    running: int = 0
    failed: int = 0

    @property
    def words(self) -> str:
        kinds = ("manual", "automatic", "running", "failed")
        counts = ", ".join(f"{getattr(self, kind)} {kind}" for kind in kinds if getattr(self, kind))
        return f"{_in_words(self.date)}: {counts or 'no backup'}"

    @property
    def x(self) -> int:
        """Where the day begins on the timeline."""
        return (DAYS - 1 - self.ago) * 7

    @property
    def bars(self) -> list[tuple[str, int, int]]:
        """The bars of the day: kind, top and height; the first one stands on the ground."""
        bars, top = [], HEIGHT
        for kind in ("failed", "running", "automatic", "manual"):
            if number := getattr(self, kind):
                height = min(top, FIRST + FURTHER * min(number - 1, 4))
                top -= height
                bars.append((kind, top, height))
        return bars


def days_of(backups: Iterable[Backup], now: datetime, zone: tzinfo) -> list[Day]:
    """
    Return the last 30 days, the oldest first. A backup with a time in the future counts for today.

    :param zone: that of the user; a day begins at its midnight
    """
    today = now.astimezone(zone).date()
    days = [Day(today - timedelta(days=ago), ago) for ago in range(DAYS)]
    for backup in backups:
        if backup.create_time is None or backup.is_deleted:
            continue
        ago = max(0, (today - backup.create_time.astimezone(zone).date()).days)
        if ago >= DAYS:
            continue
        if backup.is_failed:
            days[ago].failed += 1
        elif backup.is_running:
            days[ago].running += 1
        elif backup.is_manual:
            days[ago].manual += 1
        else:
            days[ago].automatic += 1
    return days[::-1]


def describe_days(days: Sequence[Day]) -> str:
    """Return what the timeline shows, in words, for people who hear it."""
    with_backup = sum(1 for day in days if day.manual or day.automatic)
    failed = sum(day.failed for day in days)
    text = f"Backups on {with_backup} of the last {len(days)} days"
    return f"{text}, {failed} failed" if failed else text


def draw(days: Sequence[Day]) -> Markup:
    """
    Return the timeline as SVG. It holds only numbers, dates and words of ours.

    This is most of an answer with 50 clusters, and a template would take three times as long.
    """
    parts = [
        f'<svg class="timeline" role="img" aria-label="{describe_days(days)}" '
        f'viewBox="0 0 {7 * DAYS} {HEIGHT}" preserveAspectRatio="none">'
    ]
    for day in days:
        parts.append(
            f'<g class="day" data-date="{day.date}"><title>{day.words}</title>'
            f'<rect class="ground" x="{day.x}" y="0" width="6" height="{HEIGHT}"/>'
        )
        parts += [
            f'<rect class="{kind}" x="{day.x}" y="{top}" width="6" height="{height}"/>'
            for kind, top, height in day.bars
        ]
        parts.append("</g>")
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704


@dataclass(frozen=True)
class Growth:
    """
    A line of the sizes of backups over time.

    :param line: the points of a polyline
    :param area: the same, closed along the ground
    """

    line: str
    area: str
    first: datetime
    last: datetime
    change: str
    words: str


def growth_of(backups: Iterable[Backup]) -> Growth | None:
    """Return how the backups of the whole cluster have grown; ``None`` with less than two of them."""
    sizes = sorted(
        (backup.create_time, backup.size)
        for backup in backups
        if backup.is_available and backup.backup_type == "CLUSTER" and backup.create_time and backup.size
    )
    if len(sizes) < 2 or sizes[0][0] == sizes[-1][0]:
        return None
    (first, oldest), (last, newest) = sizes[0], sizes[-1]
    largest = max(size for _, size in sizes)
    points = [
        (
            CHART_WIDTH * (time - first) / (last - first),
            CHART_HEIGHT * (1 - 0.92 * size / largest),
        )
        for time, size in sizes
    ]
    change = f"{format_size(oldest)} → {format_size(newest)}"
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Growth(
        line=line,
        area=f"0,{CHART_HEIGHT} {line} {CHART_WIDTH},{CHART_HEIGHT}",
        first=first,
        last=last,
        change=change,
        words=f"Size of {len(sizes)} backups, from the oldest to the newest: {change}",
    )
