"""Creates that are refused, and creates whose job is forgotten: what the operator does then."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.emulator.seed import SECOND_DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.operators.base import LONGEST_GUESS
from airflow_provider_zbackup.zilliz.errors import ZillizError, ZillizRefusedError, ZillizTimeoutError
from airflow_provider_zbackup.zilliz.flows.submission import UNEXPLAINED_PAUSE
from tests.support import CLUSTER_ID, TaskInstance, World

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
CODE = 96777


def create(**arguments: Any) -> TaskInstance:
    arguments = {"cluster_id": CLUSTER_ID} | arguments
    return TaskInstance(lambda: ZillizCreateBackupOperator(task_id="task", **arguments))


@MODES
def test_a_refusal_that_no_list_ever_explains_is_met_ever_more_rarely(world: World, deferrable: bool) -> None:
    world.connect(extra={"conflict_codes": CODE})
    world.fault("create_backup", code=CODE, message="later, please")
    begin = world.clock.now
    with pytest.raises(ZillizTimeoutError, match=r"Waited 72\d\d s for other backups to finish\."):
        create(deferrable=deferrable, conflict_timeout=7200).run()
    assert world.clock.now - begin == pytest.approx(7200, abs=20)
    sent = [request.time for request in world.requests("create_backup")]
    pauses = [later - earlier for earlier, later in pairwise(sent)]
    assert 10 < len(sent) < 60
    assert min(pauses[:-1]) >= UNEXPLAINED_PAUSE, "but for the last, which the deadline cuts"
    assert sum(pauses[:5]) < sum(pauses[-6:-1])


@MODES
def test_execution_timeout_ends_the_wait_for_a_turn(world: World, deferrable: bool) -> None:
    world.someone_backs_up(seconds=10_000)
    begin = world.clock.now
    with pytest.raises(ZillizTimeoutError):
        create(deferrable=deferrable, execution_timeout=timedelta(seconds=120)).run()
    assert world.clock.now - begin == pytest.approx(120, abs=10)


@pytest.mark.parametrize("cluster_id", ["", " in01-1", None])
def test_what_templates_gave_is_looked_at_again_after_the_wait_for_a_turn(
    world: World, cluster_id: Any
) -> None:
    operator = ZillizCreateBackupOperator(task_id="task", cluster_id="{{ params.cluster_id }}")
    operator.cluster_id = cluster_id
    event = {"status": "success", "deadline": world.clock.now + 60}
    with pytest.raises(AirflowFailException, match="cluster_id"):
        operator.execute_after_conflict(create().context, event)
    assert world.requests() == []


@MODES
def test_a_retry_succeeds_by_the_backup_when_its_job_is_forgotten(world: World, deferrable: bool) -> None:
    world.control_plane.configure(job_seconds=600)
    task = create(deferrable=deferrable, timeout=100)
    with pytest.raises(ZillizTimeoutError):
        task.run()
    world.clock.sleep(86_400)
    world.control_plane.jobs.clear()
    (backup,) = world.backups()
    result = task.run()
    assert (result["backup_id"], result["status"]) == (backup.backup_id, "AVAILABLE")
    assert len(world.requests("create_backup")) == 1


@MODES
def test_a_job_that_is_forgotten_in_mid_wait_leaves_the_backup_to_wait_for(
    world: World, deferrable: bool
) -> None:
    world.control_plane.configure(job_seconds=300)
    world.clock.at(100, world.control_plane.jobs.clear)
    result = create(deferrable=deferrable).run()
    assert result["status"] == "AVAILABLE"
    assert len(world.backups()) == 1


@MODES
def test_after_an_unexplained_refusal_the_retry_looks_before_it_creates(
    world: World, deferrable: bool
) -> None:
    """A catch-all may come from a server that does the work all the same, a moment later."""
    world.fault("create_backup", times=1, code=96038, message="Failed.")
    world.control_plane.configure(list_lag=5)
    world.clock.at(4, lambda: world.someone_backs_up(seconds=1))
    task = create(deferrable=deferrable)
    with pytest.raises(ZillizError, match="96038"):
        task.run()
    world.clock.sleep(60)
    result = task.run()
    assert result["adopted"]
    assert len(world.requests("create_backup")) == 1


STATUSES = pytest.mark.parametrize("status", [400, 403, 422, 500, 503])


@STATUSES
def test_a_conflict_is_waited_for_whatever_the_status_of_its_unknown_code(world: World, status: int) -> None:
    world.someone_backs_up(seconds=30, cluster_id=SECOND_DEDICATED_CLUSTER_ID)
    world.fault("create_backup", times=1, status=status, body={"code": CODE, "message": "Busy."})
    assert create().run()["status"] == "AVAILABLE"
    assert len(world.backups()) == 2


@STATUSES
def test_a_deleted_backup_is_made_again_whatever_the_status_of_its_unknown_code(
    world: World, status: int
) -> None:
    world.control_plane.configure(job_seconds=600)
    task = create(timeout=100)
    with pytest.raises(ZillizTimeoutError):
        task.run()
    world.clock.sleep(1000)
    world.control_plane.jobs.clear()
    (backup,) = world.backups()
    world.hook.delete_backup(CLUSTER_ID, backup.backup_id)
    world.control_plane.configure(job_seconds=10)
    unknown = {"status": status, "body": {"code": CODE, "message": "What?"}}
    world.fault("describe_backup", times=20, **unknown)
    world.clock.at(100, world.control_plane.faults.clear)
    assert task.run()["backup_id"] != backup.backup_id


@MODES
def test_a_hopeless_create_is_not_sent_for_hours_while_another_cluster_is_backed_up(
    world: World, deferrable: bool
) -> None:
    world.someone_backs_up(seconds=100_000, cluster_id=SECOND_DEDICATED_CLUSTER_ID)
    world.fault("create_backup", code=96038, message="Failed to create backup. No such collection.")
    begin = world.clock.now
    advice = "No such collection.*add code 96038 to conflict_codes of the connection"
    with pytest.raises(ZillizRefusedError, match=advice):
        create(deferrable=deferrable).run()
    assert world.clock.now - begin < 2 * LONGEST_GUESS
    assert len(world.requests("create_backup")) < 8


@MODES
@pytest.mark.parametrize("cluster_id", [CLUSTER_ID, SECOND_DEDICATED_CLUSTER_ID])
def test_an_old_backup_in_a_state_that_nobody_has_documented_explains_no_refusal(
    world: World, deferrable: bool, cluster_id: str
) -> None:
    """No document says what a backup that has failed looks like, and how long it is listed."""
    failed = {
        "backupId": "backup0_failed",
        "clusterId": cluster_id,
        "creationMethod": "MANUAL",
        "status": "CREATE_FAILED",
        "createTime": "2026-02-20T10:00:00Z",
    }
    world.fault("list_backups", status=200, body={"code": 0, "data": {"backups": [failed]}})
    world.fault("create_backup", code=96038, message="Failed to create backup. The quota is used up.")
    with pytest.raises(ZillizRefusedError, match="The quota is used up"):
        create(deferrable=deferrable).run()
    assert len(world.requests("create_backup")) == 1


@MODES
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"collections": ["medium_articles", "lost"]},
            r"Collection lost does not exist .*in database default",
        ),
        (
            {"collections": ["lost"], "database": "sales"},
            r"Collection lost does not exist .*in database sales",
        ),
        ({"copy_to_regions": ["aws-eu-central-1"]}, r"aws-eu-central-1 is not bound"),
    ],
)
def test_what_the_server_says_is_wrong_is_told_at_once_and_needs_no_retry(
    world: World, deferrable: bool, arguments: dict[str, Any], message: str
) -> None:
    world.someone_backs_up(seconds=100_000, cluster_id=SECOND_DEDICATED_CLUSTER_ID)
    begin = world.clock.now
    with pytest.raises(AirflowFailException, match=message):
        create(deferrable=deferrable, **arguments).run()
    assert world.clock.now == begin
    assert len(world.requests("create_backup")) == 1


@MODES
def test_a_guess_has_its_time_after_a_long_wait_for_a_known_cause_too(world: World, deferrable: bool) -> None:
    world.someone_backs_up(seconds=2 * LONGEST_GUESS)
    world.someone_backs_up(seconds=100_000, cluster_id=SECOND_DEDICATED_CLUSTER_ID)
    world.fault("create_backup", code=96038, message="Failed to create backup. No such collection.")
    begin = world.clock.now
    with pytest.raises(ZillizRefusedError, match="No such collection"):
        create(deferrable=deferrable).run()
    assert 3 * LONGEST_GUESS < world.clock.now - begin < 4.5 * LONGEST_GUESS


@MODES
def test_a_key_that_is_exchanged_in_mid_wait_ends_no_wait(world: World, deferrable: bool) -> None:
    world.control_plane.configure(job_seconds=300)
    refusal = {"status": 401, "body": {"code": 21119, "message": "The apikey is illegal"}}
    world.clock.at(60, lambda: world.fault("describe_job", **refusal))
    world.clock.at(150, world.control_plane.faults.clear)
    assert create(deferrable=deferrable).run()["status"] == "AVAILABLE"


def test_the_record_knows_how_long_the_client_may_take_for_an_answer(world: World) -> None:
    """If the worker dies after the call, the search must not end before the call does."""
    world.connect(extra={"timeout": 40})
    task = create()
    saved: list[Any] = []
    save = task.store.set

    def keep(key: str, value: Any) -> None:
        saved.append(value["record"])
        save(key, value)

    task.store.set = keep  # type: ignore[method-assign]
    task.run()
    first_sent, answer_deadline = (
        datetime.fromisoformat(saved[0][name]) for name in ("first_sent", "answer_deadline")
    )
    assert answer_deadline - first_sent == timedelta(seconds=80)


def test_a_try_whose_key_sees_nothing_forgets_no_backup_of_an_earlier_one(world: World) -> None:
    """Its create is refused, so it makes none; the next try has the right key again."""
    world.fault("create_backup", times=1, job=JobPlan(seconds=1000))
    task = create(timeout=100)
    with pytest.raises(ZillizTimeoutError):
        task.run()
    world.fault("describe_job", code=96026, message="No such job.")
    world.fault("describe_backup", code=96018, message="No such cluster.")
    world.fault("list_backups", status=200, body={"code": 0, "data": {"backups": []}})
    world.fault("create_backup", code=96018, message="No such cluster.")
    with pytest.raises(AirflowFailException, match="No such cluster"):
        task.run()
    world.control_plane.faults.clear()
    world.clock.sleep(1000)
    assert task.run()["backup_id"] == world.backups()[0].backup_id
    assert len(world.backups()) == 1
