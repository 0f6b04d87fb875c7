"""Which backups may be deleted: a pure function of the backups, the rules and the time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from airflow_provider_zbackup.zilliz.models import Backup, Contents
from airflow_provider_zbackup.zilliz.texts import format_age

#: Backups that can stand in for each other: they hold the same of the same cluster, made in the same way, and
#: lie in the same region.
Group: TypeAlias = tuple[str, str, str, str | None, Contents | None]


@dataclass(frozen=True)
class RetentionRules:
    """
    The rules. A backup is kept if any of them keeps it; where none is given, it keeps nothing.

    Counts are per group: backups of one cluster with the same type, creation method, region and collections.

    :param keep_last: keep this many of the newest
    :param older_than: keep those that are not older
    :param keep_daily: keep the newest of each day, for this many of the last days that have one
    :param keep_weekly: the same for weeks, which begin on Monday
    :param keep_monthly: the same for months
    :param timezone: where those days, weeks and months begin
    :param min_keep: keep this many of the newest, whatever the other rules say
    :param keep: keep the backups with these ids or names
    :param keep_names: keep the backups whose name matches this shell pattern
    """

    keep_last: int | None = None
    older_than: timedelta | None = None
    keep_daily: int | None = None
    keep_weekly: int | None = None
    keep_monthly: int | None = None
    timezone: str = "UTC"
    min_keep: int = 1
    keep: Collection[str] = ()
    keep_names: str | None = None

    def protect(self, backup: Backup) -> str:
        """Return the rule that keeps a backup by its id or name, whatever else there is, or an empty text."""
        if {backup.backup_id, backup.backup_name} & set(self.keep):
            return "keep"
        if self.keep_names is not None and fnmatchcase(backup.backup_name, self.keep_names):
            return f"keep_names={self.keep_names}"
        return ""


class Verdict(NamedTuple):
    """
    Whether a backup stays, and why.

    :param reason: the first rule that keeps it, or the rules by which it goes
    :param guards: the newest of its group, without which it must not go
    """

    backup: Backup
    is_kept: bool
    reason: str
    guards: tuple[Backup, ...] = ()


def plan_retention(
    backups: Iterable[Backup], rules: RetentionRules, now: datetime, unread: Collection[str] = ()
) -> list[Verdict]:
    """
    Decide which backups go. Each rule must let a backup go; one that is not clear is kept.

    ==================================================  ==========================
    the backup                                          is
    ==================================================  ==========================
    is not AVAILABLE, such as CREATING                  kept, and not counted
    shows no creation time, or one in the future        kept, and not counted
    does not show its cluster, or its collections       kept, and not counted
    has details that cannot be read                     kept, and not counted
    is kept by its id, its name, its age or its rank    kept
    is none of these                                    deleted
    ==================================================  ==========================

    :param backups: with the details of those that :func:`needs_details` returns
    :param now: the server's time
    :param unread: ids of those whose details cannot be read
    :return: a verdict for each backup, the newest of each group first
    """
    unclear: list[Verdict] = []
    groups: dict[Group, list[Backup]] = {}
    for backup in backups:
        is_whole = backup.backup_type == "CLUSTER"
        held = None if is_whole else backup.contents
        doubt = _doubt(backup, now)
        if not doubt and backup.backup_id in unread:
            doubt = "cannot be described"
        if not (doubt or is_whole or held):
            doubt = "does not show its collections"
        if doubt:
            unclear.append(Verdict(backup, True, doubt))
        else:
            key = (backup.cluster_id, backup.backup_type, backup.creation_method, backup.region_id, held)
            groups.setdefault(key, []).append(backup)
    verdicts = [verdict for group in groups.values() for verdict in _evaluate_group(group, rules, now)]
    return verdicts + unclear


def needs_details(backups: Iterable[Backup], rules: RetentionRules, now: datetime) -> list[Backup]:
    """
    Return the backups whose region and collections must be known before any of them can go.

    If all backups of a cluster that hold collections were one group, the rules would keep the fewest. So if
    none of them would go even then, their details do not matter. The same is true of those that hold all.
    """
    by_cluster: dict[tuple[str, str, bool], list[Backup]] = {}
    for backup in backups:
        if not _doubt(backup, now):
            key = (backup.cluster_id, backup.creation_method, backup.backup_type == "CLUSTER")
            by_cluster.setdefault(key, []).append(backup)
    return [
        backup
        for whole in by_cluster.values()
        if not all(verdict.is_kept for verdict in _evaluate_group(whole, rules, now))
        for backup in whole
    ]


def _doubt(backup: Backup, now: datetime) -> str:
    """Return why a backup is neither deleted nor counted, or an empty text."""
    if not backup.is_available:
        return f"is {backup.status or 'without a status'}"
    if not backup.cluster_id:
        return "does not show its cluster"
    if backup.create_time is None:
        return "has no creation time"
    if backup.create_time > now:
        return "was created in the future"
    return ""


def _evaluate_group(group: Sequence[Backup], rules: RetentionRules, now: datetime) -> Iterator[Verdict]:
    newest_first = sorted(group, key=lambda backup: (backup.create_time, backup.backup_id), reverse=True)
    ids_by_rule = dict(_kept_by_rank(newest_first, rules))
    given = ", ".join(_given(rules))
    guards = tuple(newest_first[: rules.min_keep])
    for backup in newest_first:
        keeping = [rule for rule, ids in ids_by_rule.items() if backup.backup_id in ids]
        keeping += _kept_by_itself(backup, rules, now)
        if keeping:
            yield Verdict(backup, True, keeping[0])
        else:
            yield Verdict(backup, False, given, guards)


def _kept_by_itself(backup: Backup, rules: RetentionRules, now: datetime) -> Iterator[str]:
    if rule := rules.protect(backup):
        yield rule
    if rules.older_than is not None and backup.create_time and now - backup.create_time <= rules.older_than:
        yield _shown("older_than", rules.older_than)


def _kept_by_rank(newest_first: Sequence[Backup], rules: RetentionRules) -> Iterator[tuple[str, set[str]]]:
    """Yield each rule that counts backups, with the ids that it keeps."""
    for name in ("keep_last", "min_keep"):
        count = getattr(rules, name)
        if count is not None:
            yield f"{name}={count}", {backup.backup_id for backup in newest_first[:count]}
    zone = ZoneInfo(rules.timezone)
    for name, period in _PERIODS.items():
        count = getattr(rules, name)
        if count is not None:

            def begin(backup: Backup, period: Callable[[datetime], Any] = period) -> Any:
                return backup.create_time and period(backup.create_time.astimezone(zone))

            newest = [next(members) for _, members in groupby(newest_first, key=begin)]
            yield f"{name}={count}", {backup.backup_id for backup in newest[:count]}


_PERIODS: dict[str, Callable[[datetime], Any]] = {
    "keep_daily": lambda time: time.date(),
    "keep_weekly": lambda time: time.isocalendar()[:2],
    "keep_monthly": lambda time: (time.year, time.month),
}


def _given(rules: RetentionRules) -> Iterator[str]:
    for name in ("older_than", "keep_last", *_PERIODS):
        if (value := getattr(rules, name)) is not None:
            yield _shown(name, value)


def _shown(name: str, value: int | timedelta) -> str:
    """Return a rule for the log, its age in the same form as the backups'."""
    return f"{name}={format_age(value) if isinstance(value, timedelta) else value}"
