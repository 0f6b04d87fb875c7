"""Which backups a plan keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_zbackup.zilliz.flows.retention import RetentionRules, needs_details, plan_retention
from airflow_provider_zbackup.zilliz.models import Backup, Contents
from tests.zilliz.driver import backup

#: A Monday.
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
ARTICLES: Contents = frozenset({(None, "articles")})
USERS: Contents = frozenset({("sales", "users")})


def aged(backup_id: str, days: float, **facts: Any) -> Backup:
    return backup(backup_id, create_time=NOW - timedelta(days=days), **facts)


def daily(count: int, **facts: Any) -> list[Backup]:
    """Return one backup for each of the last days: ``b0`` of now, ``b1`` of yesterday."""
    return [aged(f"b{days}", days, **facts) for days in range(count)]


def holding(backup: Backup, contents: Contents | None) -> Backup:
    """Return a backup that shows what it holds."""
    held = [
        {"dbName": database or "", "collections": [{"collectionName": name}]}
        for database, name in contents or ()
    ]
    shown = Backup.model_validate({"dbCollections": held})
    return backup.model_copy(update={"db_collections": shown.db_collections})


def kept(backups: list[Backup], **rules: Any) -> set[str]:
    plan = plan_retention(backups, RetentionRules(**rules), NOW)
    assert sorted(verdict.backup.backup_id for verdict in plan) == sorted(b.backup_id for b in backups)
    return {verdict.backup.backup_id for verdict in plan if verdict.is_kept}


def test_the_newest_are_kept() -> None:
    assert kept(daily(5), keep_last=2) == {"b0", "b1"}


def test_only_older_ones_go() -> None:
    assert kept(daily(5), older_than=timedelta(days=2)) == {"b0", "b1", "b2"}, "just as old is not older"


def test_every_rule_must_let_a_backup_go() -> None:
    assert kept(daily(5), older_than=timedelta(days=3), keep_last=1) == {"b0", "b1", "b2", "b3"}
    assert kept(daily(5), older_than=timedelta(hours=1), keep_last=2) == {"b0", "b1"}


def test_the_newest_stays_even_if_it_is_too_old() -> None:
    old = [aged("a", 90), aged("b", 80)]
    assert kept(old, older_than=timedelta(days=7)) == {"b"}
    assert kept(old, older_than=timedelta(days=7), min_keep=2) == {"a", "b"}


def test_each_day_week_and_month_keeps_its_newest() -> None:
    hourly = [aged(f"h{hours}", hours / 24) for hours in range(0, 24 * 3, 6)]
    # 10:00, 04:00 today; 22:00 is yesterday's last, the day before's is 22:00 too.
    assert kept(hourly, keep_daily=3) == {"h0", "h12", "h36"}
    assert kept(daily(20), keep_weekly=3) == {"b0", "b1", "b8"}, "weeks end on Sundays"
    assert kept(daily(70), keep_monthly=3) == {"b0", "b2", "b30"}, "28 February and 31 January"


def test_days_without_a_backup_do_not_count() -> None:
    assert kept([aged("a", 0), aged("b", 10), aged("c", 20)], keep_daily=2) == {"a", "b"}


def test_days_begin_in_the_time_zone() -> None:
    late = [aged("today", 0), aged("evening", 10.5 / 24), aged("noon", 22 / 24)]
    assert kept(late, keep_daily=2) == {"today", "evening"}, "23:30 of yesterday"
    assert kept(late, keep_daily=2, timezone="Europe/Paris") == {"today", "noon"}, "00:30 of today"


def test_the_week_of_a_new_year_is_one_week() -> None:
    days = [datetime(2026, 1, 1, tzinfo=UTC), datetime(2025, 12, 30, tzinfo=UTC)]
    new_year = [backup(f"b{day.day}", create_time=day) for day in days]
    assert kept(new_year, keep_weekly=5) == {"b1"}


@pytest.mark.parametrize(
    "facts",
    [
        {"status": "CREATING"},
        {"status": ""},
        {"status": "FAILED"},
        {"create_time": None},
        {"create_time": NOW + timedelta(seconds=1)},
        {"backup_type": "COLLECTION"},
        {"backup_type": ""},
    ],
    ids=lambda facts: "-".join(map(str, facts.items())),
)
def test_what_is_not_clear_is_neither_deleted_nor_counted(facts: dict[str, Any]) -> None:
    odd = backup("odd", **{"create_time": NOW} | facts)
    assert kept([odd, *daily(3)], keep_last=1) == {"odd", "b0"}


def test_groups_are_counted_by_themselves() -> None:
    backups = [
        aged("c1", 1),
        aged("c2", 2),
        aged("other", 9, cluster_id="in01-other"),
        aged("auto", 9, creation_method="AUTO"),
        aged("copy", 9, region_id="aws-us-east-1"),
        holding(aged("a1", 3, backup_type="COLLECTION"), ARTICLES),
        holding(aged("a2", 4, backup_type="COLLECTION"), ARTICLES),
        holding(aged("u", 9, backup_type="COLLECTION"), USERS),
    ]
    assert kept(backups, keep_last=1) == {"c1", "other", "auto", "copy", "a1", "u"}


def test_what_a_cluster_held_when_it_was_backed_up_makes_no_group() -> None:
    assert kept([holding(aged("a", 1), ARTICLES), holding(aged("b", 2), USERS)], keep_last=1) == {"a"}


def test_some_are_kept_by_id_or_name() -> None:
    backups = [
        *daily(3),
        aged("named", 5, backup_name="keep-before-v2"),
        aged("other", 6, backup_name="KEEP-"),
    ]
    assert kept(backups, keep_last=1, keep=["b2"], keep_names="keep-*") == {"b0", "b2", "named"}


def test_a_verdict_says_which_rule_it_follows() -> None:
    rules = RetentionRules(keep_last=1, older_than=timedelta(days=1), keep_weekly=2, keep=["b9"])
    plan = plan_retention(daily(10), rules, NOW)
    reasons = {verdict.backup.backup_id: verdict.reason for verdict in plan}
    assert reasons["b0"] == "keep_last=1"
    assert reasons["b1"] == "keep_weekly=2"
    assert reasons["b9"] == "keep"
    assert reasons["b2"] == "older_than=1 d 0 h, keep_last=1, keep_weekly=2"
    assert [b.backup_id for verdict in plan for b in verdict.guards if verdict.backup.backup_id == "b2"] == [
        "b0"
    ]


def test_of_the_same_second_the_higher_id_is_the_newest() -> None:
    assert kept([aged("a", 1), aged("b", 1)], keep_last=1) == {"b"}


def test_details_are_asked_for_only_where_they_decide() -> None:
    backups = [
        aged("young", 1, backup_type="COLLECTION"),
        aged("old", 9, backup_type="COLLECTION"),
        aged("elsewhere", 9, backup_type="COLLECTION", cluster_id="in01-other"),
        aged("whole", 9),
        aged("creating", 9, backup_type="COLLECTION", status="CREATING"),
        aged("young whole", 1, cluster_id="in01-whole"),
        aged("old whole", 9, cluster_id="in01-whole"),
    ]
    rules = RetentionRules(older_than=timedelta(days=7))
    needed = [b.backup_id for b in needs_details(backups, rules, NOW)]
    assert needed == ["young", "old", "young whole", "old whole"]
    assert needs_details(backups, replace(rules, min_keep=2), NOW) == []


COUNTS = st.none() | st.integers(1, 4)
RULES = st.builds(
    RetentionRules,
    keep_last=COUNTS,
    older_than=st.none() | st.integers(1, 60).map(lambda days: timedelta(days=days)),
    keep_daily=COUNTS,
    keep_weekly=COUNTS,
    keep_monthly=COUNTS,
    timezone=st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]),
    min_keep=st.integers(1, 3),
    keep=st.lists(st.integers(0, 15).map(str), max_size=2),
    keep_names=st.none() | st.just("keep-*"),
)
CONTENTS = st.sampled_from([None, ARTICLES, USERS])


@st.composite
def stocks(draw: st.DrawFn) -> list[Backup]:
    return [
        holding(
            Backup(
                backup_id=str(number),
                backup_name=draw(st.sampled_from(["keep-me", "backup"])),
                cluster_id=draw(st.sampled_from(["in01-a", "in01-b"])),
                backup_type=draw(st.sampled_from(["CLUSTER", "COLLECTION"])),
                creation_method=draw(st.sampled_from(["MANUAL", "AUTO"])),
                region_id=draw(st.sampled_from([None, "aws-us-west-2", "aws-us-east-1"])),
                status=draw(st.sampled_from(["AVAILABLE", "AVAILABLE", "AVAILABLE", "CREATING"])),
                create_time=draw(
                    st.none() | st.integers(-20, 24 * 80).map(lambda h: NOW - timedelta(hours=h))
                ),
            ),
            draw(CONTENTS),
        )
        for number in range(draw(st.integers(0, 15)))
    ]


STOCKS = stocks()


@given(STOCKS, RULES)
def test_of_each_group_the_newest_usable_ones_stay(backups: list[Backup], rules: RetentionRules) -> None:
    staying = kept_by(backups, rules)
    groups: dict[Any, list[Backup]] = {}
    for b in backups:
        if b.is_available and b.create_time and b.create_time <= NOW:
            held = b.contents if b.backup_type == "COLLECTION" else None
            key = (b.cluster_id, b.backup_type, b.creation_method, b.region_id, held)
            groups.setdefault(key, []).append(b)
    for group in groups.values():
        newest_first = sorted(group, key=lambda b: (b.create_time, b.backup_id), reverse=True)
        for b in newest_first[: rules.min_keep]:
            assert b.backup_id in staying


@given(STOCKS, RULES, st.data())
def test_a_further_rule_never_deletes_more(
    backups: list[Backup], rules: RetentionRules, data: st.DataObject
) -> None:
    given_rules = [n for n in ("keep_last", "older_than", "keep_daily", "keep_weekly") if getattr(rules, n)]
    dropped: dict[str, Any] = {name: None for name in given_rules if data.draw(st.booleans())}
    fewer = replace(rules, **dropped)
    assert kept_by(backups, fewer) <= kept_by(backups, rules)


@given(STOCKS, RULES, st.data())
def test_after_an_interruption_the_same_ones_stay(
    backups: list[Backup], rules: RetentionRules, data: st.DataObject
) -> None:
    staying = kept_by(backups, rules)
    left = [b for b in backups if b.backup_id in staying or data.draw(st.booleans())]
    assert kept_by(left, rules) == staying


@given(STOCKS, RULES)
def test_without_the_details_nothing_changes_for_those_that_do_not_need_them(
    backups: list[Backup], rules: RetentionRules
) -> None:
    needed = {b.backup_id for b in needs_details(backups, rules, NOW)}
    hidden = {"region_id": None, "db_collections": ()}
    read = [b if b.backup_id in needed else b.model_copy(update=hidden) for b in backups]
    assert kept_by(read, rules) == kept_by(backups, rules)


def kept_by(backups: list[Backup], rules: RetentionRules) -> set[str]:
    plan = plan_retention(backups, rules, NOW)
    return {verdict.backup.backup_id for verdict in plan if verdict.is_kept}
