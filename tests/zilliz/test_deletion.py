"""Deleting a backup, and all that no rule keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBadRequestError,
    ZillizConflictError,
    ZillizConnectionError,
    ZillizError,
    ZillizNotFoundError,
    ZillizPermissionError,
    ZillizProtocolError,
    ZillizRefusedError,
    ZillizServerError,
)
from airflow_provider_zbackup.zilliz.flows.deletion import delete_one, prune
from airflow_provider_zbackup.zilliz.flows.retention import RetentionRules
from airflow_provider_zbackup.zilliz.flows.steps import Pause, Reply
from airflow_provider_zbackup.zilliz.models import Backup, BackupDeletion, BackupPage
from airflow_provider_zbackup.zilliz.operations import Operation
from tests.zilliz.driver import CLUSTER, Driver, WorkerDiedError, at, backup

OTHER = "in01-other"


@dataclass
class Stock:
    """
    Backups that can be listed, described and deleted.

    :param unknown: the error for a backup that is gone
    :param faults: errors by operation: each strikes once, after the work if it is in ``after``
    """

    backups: list[Backup]
    unknown: ZillizError = field(default_factory=lambda: ZillizRefusedError("No such backup.", code=99))
    faults: dict[str, list[ZillizError]] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    ignores_filter: bool = False
    deleted: list[str] = field(default_factory=list)
    before: Callable[[Operation[Any]], None] = lambda operation: None

    def __post_init__(self) -> None:
        self.worker = Driver(self.answer)

    def answer(self, operation: Operation[Any]) -> Any:
        self.before(operation)
        faults = self.faults.get(operation.name, [])
        if faults and operation.name not in self.after:
            return faults.pop(0)
        value = self._work(operation)
        return faults.pop(0) if faults else value

    def _work(self, operation: Operation[Any]) -> Any:
        *_, cluster_id, _, backup_id = operation.path.split("/") if "clusters" in operation.path else [""] * 3
        query = dict(operation.query)
        if operation.name == "list backups":
            shown = [
                b
                for b in self.backups
                if self.ignores_filter or query.get("clusterId") in (None, b.cluster_id)
            ]
            start = (int(query["currentPage"]) - 1) * 100
            hidden = {"db_collections": (), "region_id": None}
            bare = [b.model_copy(update=hidden) for b in shown if not b.is_deleted]
            return BackupPage(page_size=100, backups=tuple(bare[start : start + 100]))
        for number, held in enumerate(self.backups):
            if (held.cluster_id, held.backup_id) == (cluster_id, backup_id):
                if operation.name == "delete backup":
                    self.deleted.append(backup_id)
                    del self.backups[number]
                    return BackupDeletion(backup_id=backup_id)
                return held
        return self.unknown

    def delete(self, backup_id: str = "backup-1", cluster_id: str = CLUSTER) -> dict[str, Any]:
        return self.worker.run(delete_one(cluster_id, backup_id))

    def prune(self, rules: RetentionRules | None = None, **arguments: Any) -> dict[str, Any]:
        where = {} if "project_id" in arguments else {"cluster_id": CLUSTER}
        return self.worker.run(prune(rules or RetentionRules(keep_last=2), **where | arguments))


def aged(backup_id: str, days: float, **facts: Any) -> Backup:
    return backup(backup_id, create_time=at(-days * 86400), size=2_000_000_000, **facts)


def five() -> Stock:
    return Stock([aged(f"b{days}", days) for days in range(5)])


def test_the_backup_that_was_named_is_deleted() -> None:
    stock = Stock([backup(backup_name="mine"), backup("other")])
    assert stock.delete() == {
        "cluster_id": CLUSTER,
        "backup_id": "backup-1",
        "backup_name": "mine",
        "deleted": True,
    }
    assert stock.deleted == ["backup-1"]
    assert stock.worker.notes == [
        f"Deleting manual cluster backup backup-1 (AVAILABLE) of cluster {CLUSTER}. This cannot be undone."
    ]


@pytest.mark.parametrize(
    "unknown",
    [ZillizRefusedError("No such backup.", code=99), ZillizNotFoundError("No such backup.", code=404)],
    ids=["undocumented code", "404"],
)
def test_a_backup_that_is_gone_is_no_error(unknown: ZillizError) -> None:
    stock = Stock([backup("other")], unknown)
    assert stock.delete()["deleted"] is False
    assert stock.deleted == []
    assert stock.worker.notes == [f"Backup backup-1 of cluster {CLUSTER} is already gone."]


def test_a_backup_that_shows_as_deleted_is_gone() -> None:
    stock = Stock([backup(status="DELETED")])
    assert stock.delete()["deleted"] is False
    assert "delete backup" not in stock.worker.calls


def test_a_wrong_cluster_id_does_not_look_like_a_backup_that_is_gone() -> None:
    stock = Stock([backup(cluster_id=OTHER)])
    with pytest.raises(
        ZillizBadRequestError, match=rf"backup-1 is of cluster {OTHER}, not {CLUSTER}\. Nothing"
    ):
        stock.delete()
    assert stock.deleted == []


def test_a_key_for_this_cluster_alone_finds_a_backup_gone() -> None:
    stock = Stock([], ZillizNotFoundError("No such backup.", code=404))
    stock.faults["list backups"] = [ZillizPermissionError("Not all of them.")]
    assert stock.delete()["deleted"] is False
    assert "backup-1 of cluster in01-cluster is already gone" in stock.worker.notes[-1]


def test_a_backup_that_is_listed_and_not_found_is_not_taken_for_gone() -> None:
    """Perhaps its cluster was dropped, or it is too new."""
    stock = Stock([backup()])
    stock.faults["describe backup"] = [ZillizNotFoundError("No such cluster.", code=96018)]
    with pytest.raises(ZillizRefusedError, match="backup-1 is in the list of backups, but is not found"):
        stock.delete()
    assert stock.deleted == []


def test_a_server_that_knows_no_list_either_is_not_the_api() -> None:
    stock = Stock([], ZillizNotFoundError("Not Found", code=404))
    stock.faults["list backups"] = [ZillizNotFoundError("Not Found", code=404)]
    with pytest.raises(ZillizNotFoundError):
        stock.delete()


def test_trouble_that_passes_does_not_make_a_backup_look_gone() -> None:
    stock = Stock([], ZillizNotFoundError("No such backup.", code=404))
    stock.faults["list backups"] = [ZillizServerError("Down.")] * 6
    with pytest.raises(ZillizServerError):
        stock.delete()


def test_a_backup_that_describes_itself_as_of_another_cluster_stays() -> None:
    stock = Stock([])
    stock.worker.answer = lambda operation: backup(cluster_id=OTHER)
    with pytest.raises(ZillizBadRequestError, match=f"is of cluster {OTHER}"):
        stock.delete()
    assert stock.worker.calls == ["describe backup"]


@pytest.mark.parametrize("status", ["CREATING", "", "SOMETHING_NEW"])
def test_a_backup_that_is_being_made_stays(status: str) -> None:
    stock = Stock([backup(status=status)])
    with pytest.raises(ZillizConflictError, match=r"may still be made\. Nothing was deleted"):
        stock.delete()
    assert "delete backup" not in stock.worker.calls


@pytest.mark.parametrize(
    "error", [ZillizConnectionError("Lost."), ZillizServerError("Down.")], ids=["lost", "5xx"]
)
@pytest.mark.parametrize("after", [(), ("delete backup",)], ids=["before", "after"])
def test_a_lost_answer_is_no_error(error: ZillizError, after: tuple[str, ...]) -> None:
    stock = Stock([backup()], faults={"delete backup": [error]}, after=after)
    assert stock.delete()["deleted"] is True
    assert stock.deleted == ["backup-1"]


def test_not_found_after_a_lost_answer_is_no_error() -> None:
    stock = Stock(
        [backup()],
        ZillizNotFoundError("Gone.", code=404),
        faults={"delete backup": [ZillizConnectionError("Lost.")]},
        after=("delete backup",),
    )
    assert stock.delete()["deleted"] is True


def test_a_refusal_is_told() -> None:
    stock = Stock([backup()], faults={"delete backup": [ZillizRefusedError("Being exported.", code=99)]})
    with pytest.raises(ZillizRefusedError, match="Being exported"):
        stock.delete()
    assert stock.deleted == []


def test_pruning_deletes_the_oldest_first_and_shows_the_plan_before() -> None:
    stock = five()
    result = stock.prune(price_per_gb_month=0.025)
    assert stock.deleted == ["b4", "b3", "b2"]
    assert (result["deleted"], result["freed_bytes"], result["dry_run"]) == (3, 6_000_000_000, False)
    assert [(held["backup_id"], held["action"]) for held in result["backups"]] == [
        ("b0", "kept"),
        ("b1", "kept"),
        ("b2", "deleted"),
        ("b3", "deleted"),
        ("b4", "deleted"),
    ]
    first_delete = stock.worker.calls.index("delete backup")
    assert stock.worker.calls[:first_delete].count("list backups") == 1
    notes = stock.worker.notes
    assert notes[:3] == [
        "Reading the regions and collections of 5 backups.",
        "PLAN                 AGE      SIZE    NAME  COLLECTIONS  REGION  BACKUP  CLUSTER",
        "keep: keep_last=2    0 s      2.0 GB  -     all          -       b0      in01-cluster",
    ]
    assert "DELETE: keep_last=2  2 d 0 h  2.0 GB  -     all          -       b2      in01-cluster" in notes
    assert notes[7] == "Keeping 2 backups, deleting 3: 6.0 GB, about 0.15 less a month."
    assert notes[-1] == "Deleted 3 of 5 backups: 6.0 GB."


def test_a_dry_run_deletes_nothing() -> None:
    stock = five()
    result = stock.prune(dry_run=True)
    assert stock.worker.calls == ["list backups"] + ["describe backup"] * 5
    assert [held["action"] for held in result["backups"]] == ["kept", "kept"] + ["would be deleted"] * 3
    assert (result["deleted"], result["freed_bytes"], result["dry_run"]) == (0, 0, True)
    assert "Nothing was deleted: dry_run is set." in stock.worker.notes


def test_by_age_nothing_goes_unless_the_service_tells_the_time() -> None:
    """The clock of this machine may be wrong by years."""
    stock = five()
    stock.worker = Driver(
        lambda operation: Reply(stock.answer(operation), None), now=stock.worker.now + 1000 * 86400
    )
    with pytest.raises(ZillizProtocolError, match="does not tell the time"):
        stock.prune(RetentionRules(older_than=timedelta(days=30)))
    assert stock.deleted == []
    stock.prune(RetentionRules(keep_last=4))
    assert stock.deleted == ["b4"], "other rules need no clock"


def test_a_plan_without_backups_says_so() -> None:
    """As with a wrong id, for which the list is empty."""
    stock = Stock([aged("other", 1, cluster_id="in01-other"), aged("auto", 1, creation_method="AUTO")])
    assert stock.prune()["backups"] == []
    (note,) = [note for note in stock.worker.notes if "nothing to prune" in note]
    assert note == (
        "Cluster in01-cluster has no MANUAL backups, so there is nothing to prune. If it should have some, "
        "check the id and the API key."
    )


def test_only_what_was_named_is_looked_at() -> None:
    stock = Stock(
        [
            *(aged(f"auto{days}", days, creation_method="AUTO") for days in range(3)),
            *(aged(f"odd{days}", days, creation_method="") for days in range(3)),
            *(aged(f"other{days}", days, cluster_id=OTHER) for days in range(3)),
            *(aged(f"part{days}", days, backup_type="COLLECTION") for days in range(3)),
            aged("", 9),
        ]
    )
    # A service that ignores the filter must not widen what is deleted.
    stock.ignores_filter = True
    result = stock.prune(RetentionRules(keep_last=1), backup_type="CLUSTER")
    assert (stock.deleted, result["backups"]) == ([], [])
    stock.prune(RetentionRules(keep_last=1), backup_type="CLUSTER", creation_method="AUTO")
    assert stock.deleted == ["auto2", "auto1"]


def test_a_project_is_pruned_cluster_by_cluster() -> None:
    stock = Stock(
        [aged("a", 1), aged("b", 2), aged("c", 1, cluster_id=OTHER), aged("d", 2, cluster_id=OTHER)]
    )
    stock.prune(RetentionRules(keep_last=1), project_id="proj-1")
    assert stock.deleted == ["b", "d"]
    assert dict(stock.worker.sent[0].query)["projectId"] == "proj-1"


def test_a_backup_that_shows_another_project_stays() -> None:
    # As a service would answer that ignores the filter.
    stock = Stock([aged(f"b{days}", days, project_id=f"proj-{days % 2}") for days in range(6)])
    result = stock.prune(RetentionRules(keep_last=1), project_id="proj-1")
    assert stock.deleted == ["b5", "b3"]
    assert [held["backup_id"] for held in result["backups"]] == ["b1", "b3", "b5"]


def test_a_backup_that_shows_no_cluster_stays_and_stops_nothing() -> None:
    stock = five()
    stock.backups += [aged(f"lost{days}", days, cluster_id="", backup_type="COLLECTION") for days in range(3)]
    result = stock.prune(project_id="proj-1")
    assert stock.deleted == ["b4", "b3", "b2"]
    reasons = {held["reason"] for held in result["backups"] if held["backup_id"].startswith("lost")}
    assert reasons == {"does not show its cluster"}


def test_backups_of_other_collections_do_not_count() -> None:
    def of(backup_id: str, days: float, *names: str) -> Backup:
        held = [{"dbName": "", "collections": [{"collectionName": name} for name in names]}]
        facts = Backup.model_validate({"dbCollections": held})
        return aged(backup_id, days, backup_type="COLLECTION", db_collections=facts.db_collections)

    stock = Stock([of("a1", 1, "a"), of("a2", 2, "a"), of("ab", 3, "a", "b"), of("abcd", 4, *"abcd")])
    stock.prune(RetentionRules(keep_last=1))
    assert stock.deleted == ["a2"]
    assert "Reading the regions and collections of 4 backups." in stock.worker.notes
    table = "\n".join(stock.worker.notes)
    assert "a, b " in table
    assert "a, b, c and 1 more" in table


def test_a_copy_in_another_region_does_not_push_out_the_backup_at_home() -> None:
    """A copy is made after its backup, so it is always the newer one."""
    home = [aged(f"home{days}", days + 0.1, region_id="aws-us-west-2") for days in range(3)]
    copies = [aged(f"copy{days}", days, region_id="aws-us-east-1") for days in range(3)]
    stock = Stock([*home, *copies])
    stock.prune(RetentionRules(keep_last=1))
    assert {held.backup_id for held in stock.backups} == {"home0", "copy0"}
    kept = [note.split() for note in stock.worker.notes if note.startswith("keep: keep_last=1")]
    assert [line[-3:-1] for line in kept] == [["aws-us-west-2", "home0"], ["aws-us-east-1", "copy0"]]


@pytest.mark.parametrize("number", range(3))
def test_a_backup_whose_region_cannot_be_read_stays(number: int) -> None:
    stock = Stock([aged(f"b{days}", days, region_id="aws-us-west-2") for days in range(3)])
    refusals = [ZillizRefusedError("No.", code=99)]

    def act(operation: Operation[Any]) -> None:
        if operation.name == "describe backup" and operation.path.endswith(f"b{number}") and refusals:
            stock.faults["describe backup"] = [refusals.pop()]

    stock.before = act
    stock.prune(RetentionRules(keep_last=1))
    assert {f"b{number}"} <= {held.backup_id for held in stock.backups}
    stock.prune(RetentionRules(keep_last=1))
    assert {held.backup_id for held in stock.backups} == {"b0"}


def test_a_backup_whose_collections_cannot_be_read_stays() -> None:
    stock = Stock([aged(f"b{days}", days, backup_type="COLLECTION") for days in range(3)])
    stock.faults["describe backup"] = [ZillizRefusedError("No.", code=99)]
    stock.prune(RetentionRules(keep_last=1))
    assert stock.deleted == []
    assert "not read" in "\n".join(stock.worker.notes)


def test_backups_that_cannot_be_described_are_not_told_to_go() -> None:
    stock = Stock([aged(f"b{days}", days, region_id="aws-us-west-2") for days in range(4)])
    stock.faults["describe backup"] = [ZillizRefusedError("No.", code=99) for _ in range(3)]
    result = stock.prune(RetentionRules(keep_last=1), dry_run=True)
    assert [(it["backup_id"], it["action"], it["reason"]) for it in result["backups"]] == [
        ("b3", "kept", "keep_last=1"),
        *[(backup_id, "kept", "cannot be described") for backup_id in ("b0", "b1", "b2")],
    ]
    assert "3 backups cannot be described, so they stay: b0, b1, b2. No" in "\n".join(stock.worker.notes)


def test_if_no_backup_can_be_described_pruning_fails() -> None:
    stock = five()
    stock.faults["describe backup"] = [ZillizRefusedError("No.", code=99) for _ in range(5)]
    with pytest.raises(ZillizRefusedError, match="No"):
        stock.prune()
    assert stock.deleted == []


def test_a_long_reading_says_how_far_it_is() -> None:
    stock = Stock([aged(f"b{days}", days, backup_type="COLLECTION") for days in range(9)])

    def take_time(operation: Operation[Any]) -> None:
        stock.worker.now += 10

    stock.before = take_time
    stock.prune(RetentionRules(keep_last=1))
    assert "Read the regions and collections of 3 of 9 backups." in stock.worker.notes


def change(stock: Stock, number: int, **facts: Any) -> None:
    """Change a backup right after the plan."""

    def act(operation: Operation[Any]) -> None:
        if any(note.startswith("Keeping ") for note in stock.worker.notes):
            stock.backups[number] = stock.backups[number].model_copy(update=facts)
            stock.before = lambda operation: None

    stock.before = act


def test_what_is_to_be_kept_may_be_named_too_and_what_is_not_found_is_told() -> None:
    # Who gives a name by mistake must not lose the backup.
    stock = five()
    stock.backups[4] = stock.backups[4].model_copy(update={"backup_name": "before the launch"})
    stock.prune(RetentionRules(keep_last=1, keep=["b3", "before the launch", "b33"]))
    assert stock.deleted == ["b2", "b1"]
    (warning,) = [step for step in stock.worker.steps if isinstance(step, Pause) and step.is_trouble]
    assert warning.note == "keep: there is no backup b33."
    assert stock.worker.steps.index(warning) < stock.worker.calls.index("delete backup")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"backup_name": "keep-this"}, "it is now called keep-this"),
        ({"backup_name": "mine"}, "it is now called mine"),
        ({"status": "DELETING"}, "it is already gone"),
        ({"create_time": at(0)}, "it has changed since the plan"),
        ({"creation_method": "AUTO"}, "it has changed since the plan"),
        ({"status": "FAILED"}, "it has changed since the plan"),
    ],
    ids=["renamed", "renamed as one to keep", "deleting", "newer", "automatic", "failed"],
)
def test_a_backup_that_changed_since_the_plan_is_skipped(facts: dict[str, Any], reason: str) -> None:
    stock = five()
    change(stock, 4, **facts)
    result = stock.prune(RetentionRules(keep_last=2, keep=["mine"], keep_names="keep-*"))
    assert stock.deleted == ["b3", "b2"]
    (skipped,) = [held for held in result["backups"] if held["action"] == "skipped"]
    assert (skipped["backup_id"], skipped["reason"]) == ("b4", reason)


def test_what_describe_does_not_show_has_not_changed() -> None:
    stock = five()
    for number in range(5):
        stock.backups[number] = stock.backups[number].model_copy(update={"backup_name": f"n{number}"})
    change(stock, 4, create_time=None, creation_method="", backup_type="")
    stock.prune()
    assert stock.deleted == ["b4", "b3", "b2"]


def test_nothing_goes_when_the_newest_is_gone_since_the_plan() -> None:
    stock = five()
    change(stock, 0, status="DELETED")
    result = stock.prune(RetentionRules(keep_last=1))
    assert stock.deleted == []
    assert {held["reason"] for held in result["backups"][1:]} == {"the newer backup b0 is gone"}


def test_the_newest_is_looked_at_again_after_a_minute() -> None:
    stock = Stock([aged(f"b{days:02}", days) for days in range(12)])

    def act(operation: Operation[Any]) -> None:
        stock.worker.now += 10
        if len(stock.deleted) == 3:
            stock.backups[0] = stock.backups[0].model_copy(update={"status": "DELETED"})

    stock.before = act
    stock.prune(RetentionRules(keep_last=1))
    assert 3 <= len(stock.deleted) <= 6


def test_one_refusal_does_not_stop_the_others() -> None:
    stock = five()
    stock.faults["delete backup"] = [ZillizRefusedError("Being exported.", code=99)]
    with pytest.raises(
        ZillizError, match=r"1 of 3 backups could not be deleted: b4. The first one: Being exported"
    ):
        stock.prune()
    assert stock.deleted == ["b3", "b2"]


def test_an_error_that_would_strike_all_stops_at_once() -> None:
    stock = five()
    stock.faults["delete backup"] = [ZillizPermissionError("No.")] * 3
    with pytest.raises(ZillizPermissionError):
        stock.prune()
    assert stock.worker.calls.count("delete backup") == 1


@pytest.mark.parametrize("step", range(24))
def test_an_interruption_anywhere_keeps_what_the_plan_kept(step: int) -> None:
    stock = five()
    with pytest.raises(WorkerDiedError):
        stock.worker.run(
            prune(RetentionRules(keep_last=2), cluster_id=CLUSTER), dies_at=step, dies_after=True
        )
    assert not {"b0", "b1"} & set(stock.deleted)
    stock.prune()
    assert sorted(stock.deleted) == ["b2", "b3", "b4"]


def test_a_price_of_nothing_is_a_price() -> None:
    stock = five()
    stock.prune(price_per_gb_month=0.0, rules=RetentionRules(older_than=timedelta(days=90)))
    assert "Keeping 5 backups, deleting 0: 0 B, about 0.00 less a month." in stock.worker.notes
