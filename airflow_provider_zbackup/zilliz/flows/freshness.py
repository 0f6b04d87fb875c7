"""Whether a cluster has a backup that is young enough: a pure function, and the wait for such a backup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from airflow_provider_zbackup.zilliz.errors import (
    ZillizNotFoundError,
    ZillizNotFreshError,
    ZillizTimeoutError,
)
from airflow_provider_zbackup.zilliz.flows.polling import PollResult, Wait, wait_until
from airflow_provider_zbackup.zilliz.flows.steps import (
    ATTEMPTS,
    Flow,
    Reply,
    all_backups,
    look_up_backup,
    now,
    server_now,
)
from airflow_provider_zbackup.zilliz.models import Backup, is_default_database
from airflow_provider_zbackup.zilliz.texts import format_age

#: What the result says of the backup, apart from its age.
FACTS = (
    "backup_id",
    "backup_name",
    "backup_type",
    "creation_method",
    "status",
    "size",
    "region_id",
    "create_time",
    "cluster_id",
)


@dataclass(frozen=True)
class FreshnessRule:
    """
    Which backup is fresh.

    :param cluster_id: cluster that the backup is of
    :param max_age: how old it may be
    :param collections: names of the collections that it must hold; ``None`` means the whole cluster
    :param database: the collections' database; ``None`` means the default one
    :param backup_type: ``None`` means any type that can hold what is asked for: without ``collections``, only
        ``CLUSTER``
    :param creation_method: ``None`` means any
    """

    cluster_id: str
    max_age: timedelta
    collections: tuple[str, ...] | None = None
    database: str | None = None
    backup_type: str | None = None
    creation_method: str | None = None

    def counts(self, backup: Backup) -> bool:
        """Tell whether a backup is of the right kind, and usable."""
        types = ("CLUSTER",) if self.collections is None else ("CLUSTER", "COLLECTION")
        return (
            backup.is_available
            and backup.backup_id != ""
            and backup.cluster_id in ("", self.cluster_id)
            and backup.backup_type in ((self.backup_type,) if self.backup_type else types)
            and self.creation_method in (None, backup.creation_method)
        )

    def missing(self, listed: Backup, described: Backup) -> str:
        """
        Tell, in words, why a backup does not cover the collections; empty if it does.

        A backup of the whole cluster covers them unless it shows that it does not: a collection may be newer
        than the backup, or its name may be wrong.

        :param listed: the backup as List Backups shows it
        :param described: the backup as Describe Backup shows it
        """
        if self.collections is None:
            return ""
        contents = described.contents
        if contents is None:
            return "" if listed.backup_type == "CLUSTER" else "does not show its collections"
        database = None if is_default_database(self.database) else self.database
        missing = [name for name in self.collections if (database, name) not in contents]
        return f"does not hold {', '.join(missing)}" if missing else ""


class Freshness(NamedTuple):
    """
    What the list of backups says.

    :param candidate: the newest backup that may be fresh
    :param age: how old it is
    :param state: that it is fresh, or why none is, in words
    """

    candidate: Backup | None
    age: timedelta
    state: str


def evaluate_freshness(
    backups: Iterable[Backup], rule: FreshnessRule, now: datetime, unfit: Mapping[str, str]
) -> Freshness:
    """
    Find the newest backup that may be fresh.

    =======================================================  ====================================
    the backup                                               is
    =======================================================  ====================================
    is not AVAILABLE, or of another kind                     not counted
    shows no creation time, or one in the future             not fresh, since its age is unknown
    is known not to cover the collections                    not fresh
    is older than the rule allows                            not fresh
    is none of these                                         a candidate
    =======================================================  ====================================

    :param now: the server's time
    :param unfit: why a backup does not cover the collections, by backup id
    """
    counted = [backup for backup in backups if rule.counts(backup)]
    # None is the age of a backup without a time that can be believed.
    ages = [(now - backup.create_time if backup.create_time else None, backup) for backup in counted]
    dated = sorted(
        ((age, backup) for age, backup in ages if age is not None and age >= timedelta()),
        # By age alone: backups have no order.
        key=lambda item: item[0],
    )
    fit = [item for item in dated if item[1].backup_id not in unfit]
    where = f"of cluster {rule.cluster_id}"
    if fit:
        age, newest = fit[0]
        name = f"backup {newest.backup_id} {where} is"
        if age <= rule.max_age:
            return Freshness(newest, age, f"B{name[1:]} fresh: {format_age(age)} old")
        state = f"Newest usable {name} {format_age(age)} old, older than max_age {format_age(rule.max_age)}"
    elif undated := [backup for age, backup in ages if age is None or age < timedelta()]:
        time = "a creation time in the future" if undated[0].create_time else "no creation time"
        state = f"Backup {undated[0].backup_id} {where} shows {time}, so its age is unknown"
    else:
        state = f"Cluster {rule.cluster_id} has no usable {_kind(rule)}"
    for age, backup in dated:
        if backup.backup_id in unfit and age <= rule.max_age:
            state += f"; backup {backup.backup_id}, {format_age(age)} old, {unfit[backup.backup_id]}"
            break
    return Freshness(None, timedelta(), state)


def _kind(rule: FreshnessRule) -> str:
    kind = rule.backup_type or ("CLUSTER" if rule.collections is None else "")
    return " ".join(word.lower() for word in (rule.creation_method or "", kind, "backup") if word)


def wait_for_fresh_backup(
    rule: FreshnessRule, wait: Wait, unfit: dict[str, str]
) -> Flow[dict[str, Any] | None]:
    """
    Wait until a cluster has a fresh backup.

    A list shows no collections, so candidates are described, the newest first. None is described twice if it
    does not cover the collections.

    :param unfit: why a backup does not cover the collections, by backup id; what is learnt is added
    :return: the backup as plain JSON, with its ``age`` in seconds; ``None`` if it was time to hand over
    :raises ZillizNotFreshError: when the deadline has passed; it names the newest usable backup and its age
    """
    # With no time to wait, one poll decides: no request of it may fail in passing.
    attempts = ATTEMPTS if wait.deadline <= (yield from now()) else 1
    state = ""

    def poll(max_age: float) -> Flow[Reply[dict[str, Any] | None]]:
        nonlocal state
        state = ""
        listed = yield from all_backups(cluster_id=rule.cluster_id, max_age=max_age, attempts=attempts)
        time = yield from server_now(listed)
        gone: dict[str, str] = {}
        while True:
            candidate, age, state = evaluate_freshness(listed.value, rule, time, unfit | gone)
            if candidate is None:
                return Reply(None, listed.server_time)
            backup_id = candidate.backup_id
            try:
                shown = (yield from look_up_backup(rule.cluster_id, backup_id, attempts=attempts)).value
            except ZillizNotFoundError:
                gone[backup_id] = "cannot be found any more"
                continue
            if not shown.is_available:
                gone[backup_id] = "was deleted"
            elif reason := rule.missing(candidate, shown):
                unfit[backup_id] = reason
            else:
                facts = {"cluster_id": rule.cluster_id} | _facts(shown) | _facts(candidate)
                result = dict.fromkeys(FACTS) | facts | {"age": age.total_seconds()}
                return Reply(result, listed.server_time)

    def evaluate(found: dict[str, Any] | None, server_time: datetime | None) -> PollResult:
        return PollResult(state, done=found is not None)

    try:
        return (yield from wait_until(poll, evaluate, wait))
    except ZillizTimeoutError as error:
        if not state:
            # The last poll failed, and the error says how.
            raise
        raise ZillizNotFreshError(f"{state}.") from error


def _facts(backup: Backup) -> dict[str, Any]:
    facts = backup.model_dump(mode="json", include=set(FACTS))
    return {name: value for name, value in facts.items() if value not in (None, "")}
