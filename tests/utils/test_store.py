"""What a create task remembers through retries, clearing and the delivery of its result."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.utils import store
from airflow_provider_zbackup.utils.store import SubmissionStore
from airflow_provider_zbackup.zilliz.errors import ZillizJobFailedError
from airflow_provider_zbackup.zilliz.flows.creation import CreateBackupSubmission
from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest
from tests.support import CLUSTER_ID, TaskInstance, World

KEY = "zilliz_create_backup_0123456789abcdef"
RECORD = {"cluster_id": "in01-1", "backup_id": "backup1", "job_id": "job-1"}


@pytest.fixture
def task() -> TaskInstance:
    return TaskInstance(lambda: None, max_tries=2)


@pytest.fixture(params=[True, False], ids=["store that stays", "store that is cleaned up here"])
def store_outlives_task(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(store, "HAS_TASK_STATE_STORE", request.param)
    return bool(request.param)


def test_a_record_is_kept_under_the_key_of_its_submission(task: TaskInstance) -> None:
    SubmissionStore(task.context, KEY).save(RECORD)
    run = {"max_tries": 2, "retries": 0, "clear_number": 0}
    by = {"number": 1, "id": "None"}
    assert task.store == {KEY: {"record": RECORD, "run": run, "try": by}}
    assert SubmissionStore(task.context, "another").load() is None


def test_the_key_is_one_that_users_see_and_that_does_not_change() -> None:
    submission = CreateBackupSubmission("in01-1", CreateBackupRequest.of())
    assert submission.key == "zilliz_create_backup_f2fafe75474fd4f2"


def test_only_a_clearing_is_taken_for_one(task: TaskInstance) -> None:
    assert not SubmissionStore(task.context, KEY).was_cleared()
    SubmissionStore(task.context, KEY).save(RECORD)
    task.retries += 1
    assert not SubmissionStore(task.context, KEY).was_cleared(), "somebody edited the DAG between two tries"
    task.clear_number += 1
    assert SubmissionStore(task.context, KEY).was_cleared(), "and cleared the task: max_tries may be the same"
    task.retries -= 1
    assert not SubmissionStore(task.context, KEY).was_cleared(), "somebody cleared another task"
    task.max_tries += 1
    assert SubmissionStore(task.context, KEY).was_cleared()


def test_a_new_task_remembers_nothing(task: TaskInstance) -> None:
    assert SubmissionStore(task.context, KEY).load() is None


@pytest.mark.parametrize("kept", [{}, {"record": None}, {"record": None, "delivered": True}])
def test_nothing_kept_is_nothing_remembered(task: TaskInstance, kept: dict[str, Any]) -> None:
    task.store.set(KEY, kept)
    assert SubmissionStore(task.context, KEY).load() is None


@pytest.mark.usefixtures("store_outlives_task")
def test_a_task_that_did_not_deliver_finds_its_record_when_it_is_retried_or_cleared(
    task: TaskInstance,
) -> None:
    SubmissionStore(task.context, KEY).save(RECORD)
    assert SubmissionStore(task.context, KEY).load() == RECORD, "retried"
    task.max_tries += 1
    assert SubmissionStore(task.context, KEY).load() == RECORD, "cleared"


def test_the_later_record_counts(task: TaskInstance) -> None:
    later = RECORD | {"backup_id": "backup2"}
    SubmissionStore(task.context, KEY).save(RECORD)
    SubmissionStore(task.context, KEY).save(later)
    assert SubmissionStore(task.context, KEY).load() == later


def test_a_record_is_forgotten_when_nothing_came_of_the_create(task: TaskInstance) -> None:
    SubmissionStore(task.context, KEY).save(RECORD)
    SubmissionStore(task.context, KEY).save(None)
    assert task.store == {}
    assert SubmissionStore(task.context, KEY).load() is None


def test_a_delivered_record_counts_for_the_same_run_of_the_task_only(
    task: TaskInstance, store_outlives_task: bool
) -> None:
    SubmissionStore(task.context, KEY).save(RECORD)
    SubmissionStore(task.context, KEY).mark_delivered()
    again = SubmissionStore(task.context, KEY)
    assert again.load() == (RECORD if store_outlives_task else None), "tried again: its worker died too early"
    assert not again.was_delivered()
    task.max_tries += 1
    assert SubmissionStore(task.context, KEY).was_delivered() is store_outlives_task, "cleared by a user"


def test_a_user_who_edits_the_retries_before_clearing_gets_a_new_backup_too(
    task: TaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow adds the retries to the tries made, which may come to the same ``max_tries`` again."""
    monkeypatch.setattr(store, "HAS_TASK_STATE_STORE", True)
    task.retries = 2
    SubmissionStore(task.context, KEY).save(RECORD)
    SubmissionStore(task.context, KEY).mark_delivered()
    task.retries = 1
    task.clear_number += 1
    assert SubmissionStore(task.context, KEY).was_delivered()


@pytest.mark.parametrize("change", ["retries", "clear_number"])
def test_a_worker_that_dies_after_the_delivery_delivers_the_same_whatever_else_changes(
    task: TaskInstance, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Somebody edits the DAG, or clears another task of the run, before Airflow retries the task."""
    monkeypatch.setattr(store, "HAS_TASK_STATE_STORE", True)
    SubmissionStore(task.context, KEY).save(RECORD)
    SubmissionStore(task.context, KEY).mark_delivered()
    setattr(task, change, 1)
    again = SubmissionStore(task.context, KEY)
    assert (again.load(), again.was_delivered()) == (RECORD, False)


@pytest.mark.usefixtures("store_outlives_task")
def test_after_a_delivery_a_new_record_counts_and_can_be_delivered_in_turn(task: TaskInstance) -> None:
    SubmissionStore(task.context, KEY).save(RECORD)
    SubmissionStore(task.context, KEY).mark_delivered()
    task.max_tries += 1
    later = RECORD | {"backup_id": "backup2"}
    SubmissionStore(task.context, KEY).save(later)
    assert SubmissionStore(task.context, KEY).load() == later
    assert not SubmissionStore(task.context, KEY).was_delivered()
    SubmissionStore(task.context, KEY).mark_delivered()
    task.max_tries += 1
    again = SubmissionStore(task.context, KEY)
    assert again.was_delivered() or again.load() is None


def test_a_record_can_be_marked_as_delivered_more_than_once(
    task: TaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "HAS_TASK_STATE_STORE", True)
    SubmissionStore(task.context, KEY).save(RECORD)
    SubmissionStore(task.context, KEY).mark_delivered()
    assert SubmissionStore(task.context, KEY).load() == RECORD, "retried"
    SubmissionStore(task.context, KEY).mark_delivered()
    assert SubmissionStore(task.context, KEY).load() == RECORD
    task.max_tries += 1
    assert SubmissionStore(task.context, KEY).was_delivered(), "cleared by a user"


@pytest.mark.parametrize(
    ("later", "is_found"),
    [
        ({"id": "ti-1", "try_number": 2}, True),
        ({"id": "ti-2", "try_number": 3}, True),
        ({"id": "ti-2", "try_number": 2}, False),
        ({"id": "ti-2", "try_number": 1}, False),
    ],
    ids=["resumed", "next try", "another run, same try", "another run"],
)
def test_a_run_that_is_made_again_with_the_same_id_finds_no_record(
    task: TaskInstance, later: dict[str, Any], is_found: bool
) -> None:
    """Before Airflow 3.3, what is kept outlives a run that a user deletes."""
    task.id, task.try_number = "ti-1", 2
    SubmissionStore(task.context, KEY).save(RECORD)
    SubmissionStore(task.context, KEY).save_result({"status": "SUCCESSFUL"})
    for name, value in later.items():
        setattr(task, name, value)
    task.max_tries += 1
    again = SubmissionStore(task.context, KEY)
    assert (again.load() is not None, again.load_result() is not None) == (is_found, is_found)
    assert again.was_cleared() is is_found


def test_a_store_that_nobody_cleans_up_is_empty_after_the_delivery(
    task: TaskInstance, store_outlives_task: bool
) -> None:
    SubmissionStore(task.context, KEY).save(RECORD)
    SubmissionStore(task.context, KEY).mark_delivered()
    assert bool(task.store) is store_outlives_task


def test_without_a_store_of_airflow_s_a_variable_remembers(
    variables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "HAS_TASK_STATE_STORE", False)
    remembers = SubmissionStore({"ti": TaskInstance(lambda: None)}, KEY)  # type: ignore[typeddict-item]
    remembers.save(RECORD)
    run = {"max_tries": 0, "retries": None, "clear_number": None}
    by = {"number": 1, "id": "None"}
    assert list(variables.values()) == [{"record": RECORD, "run": run, "try": by}]
    assert remembers.load() == RECORD
    remembers.mark_delivered()
    assert variables == {}


def creating(**arguments: Any) -> TaskInstance:
    return TaskInstance(
        lambda: ZillizCreateBackupOperator(task_id="task", cluster_id=CLUSTER_ID, **arguments), max_tries=1
    )


def test_a_task_remembers_its_backup_before_it_waits(world: World) -> None:
    world.fault("create_backup", job=JobPlan(status="FAILED"))
    task = creating()
    with pytest.raises(ZillizJobFailedError):
        task.run()
    (backup,) = world.backups()
    (kept,) = task.store.values()
    record = kept["record"]
    assert (record["cluster_id"], record["backup_id"]) == (CLUSTER_ID, backup.backup_id)
    assert record["job_id"] == backup.job.job_id
    assert "delivered" not in kept


@pytest.mark.usefixtures("store_outlives_task")
@pytest.mark.parametrize("wait_for_completion", [True, False])
def test_a_cleared_task_makes_a_new_backup_after_it_has_delivered(
    world: World, wait_for_completion: bool
) -> None:
    task = creating(wait_for_completion=wait_for_completion)
    first = task.run()
    world.clock.sleep(60)
    task.max_tries += 1
    assert task.run()["backup_id"] != first["backup_id"]
    assert len(world.backups()) == 2


@pytest.mark.parametrize("can_be_described", [True, False])
def test_a_cleared_task_goes_on_with_a_backup_that_is_still_running_though_it_has_delivered(
    world: World, monkeypatch: pytest.MonkeyPatch, can_be_described: bool
) -> None:
    monkeypatch.setattr(store, "HAS_TASK_STATE_STORE", True)
    world.control_plane.configure(job_seconds=600)
    task = creating(wait_for_completion=False)
    first = task.run()
    world.clock.sleep(60)
    task.max_tries += 1
    if not can_be_described:
        world.fault("describe_backup", times=1, code=1, message="No.")
    second = task.run()
    assert (second["backup_id"] == first["backup_id"]) is can_be_described
    assert len(world.backups()) == (1 if can_be_described else 2)


@pytest.mark.parametrize("wait_for_completion", [True, False])
def test_a_task_whose_worker_died_after_the_delivery_delivers_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch, wait_for_completion: bool
) -> None:
    monkeypatch.setattr(store, "HAS_TASK_STATE_STORE", True)
    task = creating(wait_for_completion=wait_for_completion)
    first = task.run()
    assert task.run()["backup_id"] == first["backup_id"]
    assert len(world.requests("create_backup")) == 1


def test_an_operator_that_is_called_in_a_loop_has_a_record_for_each_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a @task that backs up one collection after the other, and is retried."""
    monkeypatch.setattr(store, "HAS_TASK_STATE_STORE", True)

    class Loop:
        def execute(self, context: Any) -> list[str]:
            return [
                ZillizCreateBackupOperator(
                    task_id="backup", cluster_id=CLUSTER_ID, collections=[name]
                ).execute(context)["backup_id"]
                for name in ("medium_articles", "quick_setup")
            ]

    task = TaskInstance(Loop, max_tries=1)
    world.fault("create_backup", skip=1, times=1, code=96018, message="No such collection.")
    with pytest.raises(AirflowFailException, match="No such collection"):
        task.run()
    world.control_plane.faults.clear()
    assert task.run() == [backup.backup_id for backup in world.backups()]
    assert len(world.backups()) == 2
