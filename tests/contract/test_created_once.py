"""Exactly one job per task run: dying workers, colleagues, clocks that differ."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.utils.errors import find_zilliz_error
from airflow_provider_zbackup.zilliz.client import ZillizClient
from airflow_provider_zbackup.zilliz.errors import ZillizUncertainError
from tests.contract.cases import CASES, Case, CreateOfCollections
from tests.support import CLUSTER_ID, TaskInstance, World

ALL = pytest.mark.parametrize("kind", [*CASES.values(), CreateOfCollections], ids=lambda kind: kind.__name__)
MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])


class Killed(BaseException):
    """The worker gets SIGKILL: nothing in the task can catch it."""


def create(**arguments: Any) -> TaskInstance:
    arguments = {"cluster_id": CLUSTER_ID} | arguments
    return TaskInstance(lambda: ZillizCreateBackupOperator(task_id="task", **arguments))


def ours(world: World) -> int:
    """Return how many backups our own creates have made."""
    return sum(request.work_done for request in world.requests("create_backup"))


@MODES
@ALL
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(12))
def test_a_worker_that_dies_around_any_request_starts_no_second_job(
    world: World, deferrable: bool, kind: type[Case], number: int, after: bool
) -> None:
    """The worker dies before or right after its request of this number, wherever that falls."""
    case = kind(world)
    world.control_plane.configure(job_seconds=9)
    send = ZillizClient.send
    sent = []

    def die(client: ZillizClient, operation: Any) -> Any:
        sent.append(operation)
        if len(sent) == number + 1 and not after:
            raise Killed
        reply = send(client, operation)
        if len(sent) == number + 1 and after:
            raise Killed
        return reply

    world.monkeypatch.setattr(ZillizClient, "send", die)
    task = case.task(deferrable=deferrable)
    try:
        result = task.run()
    except Killed:
        result = case.run_again(task, deferrable=deferrable)
    case.check_made_once(result)


@MODES
@ALL
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_execution_timeout_in_the_middle_of_the_call_starts_no_second_job(
    world: World, deferrable: bool, kind: type[Case], after: bool
) -> None:
    """Airflow raises it wherever the task is, as no ordinary error."""
    case = kind(world)
    send = ZillizClient.send

    def time_out(client: ZillizClient, operation: Any) -> Any:
        if operation.idempotent:
            return send(client, operation)
        if after:
            send(client, operation)
        world.monkeypatch.setattr(ZillizClient, "send", send)
        raise AirflowTaskTimeout

    world.monkeypatch.setattr(ZillizClient, "send", time_out)
    task = case.task(deferrable=deferrable)
    with pytest.raises(AirflowTaskTimeout):
        task.run()
    result = case.run_again(task, deferrable=deferrable)
    case.check_made_once(result)
    if case.leaves_traces:
        assert result is not None
        assert result["adopted"] is after
    else:
        assert (result is None) is after


@MODES
@ALL
@pytest.mark.parametrize("number", range(4))
def test_a_worker_that_dies_while_it_saves_starts_no_second_job(
    world: World, deferrable: bool, kind: type[Case], number: int
) -> None:
    case = kind(world)
    task = case.task(deferrable=deferrable)
    save = task.store.set
    saved = []

    def die(key: str, value: Any) -> None:
        saved.append(value)
        if len(saved) == number + 1:
            raise Killed
        save(key, value)

    task.store.set = die  # type: ignore[method-assign]
    try:
        result = task.run()
    except Killed:
        result = case.run_again(task, deferrable=deferrable)
    case.check_made_once(result)


@MODES
@pytest.mark.parametrize("skew", [-600, 600], ids=["server behind", "server ahead"])
def test_the_clocks_of_worker_and_server_may_differ(world: World, deferrable: bool, skew: float) -> None:
    world.control_plane.clock = lambda: world.clock.now + skew
    world.fault("create_backup", times=1, drop=True, after=True)
    result = create(deferrable=deferrable).run()
    assert result["adopted"]
    assert len(world.backups()) == 1


@MODES
@pytest.mark.parametrize("skew", [-600, 600], ids=["server behind", "server ahead"])
def test_a_late_retry_finds_a_backup_whatever_the_clocks_say(
    world: World, deferrable: bool, skew: float
) -> None:
    world.control_plane.clock = lambda: world.clock.now + skew
    world.fault("create_backup", times=1, drop=True, after=True)
    world.fault("list_backups", skip=1, times=50, status=500)
    task = create(deferrable=deferrable)
    with pytest.raises(Exception, match="500"):
        task.run()
    world.control_plane.faults.clear()
    world.clock.sleep(3600)
    assert task.run()["adopted"]
    assert len(world.backups()) == 1


@MODES
def test_a_colleague_who_is_quicker_between_look_and_create(world: World, deferrable: bool) -> None:
    """The refusal is certain, so the colleague's backup is waited for and not adopted."""
    rival: list[Any] = []
    send = httpx.HTTPTransport.handle_request

    def interfere(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/backups/create") and not rival:
            rival.append(world.someone_backs_up(seconds=60))
        return send(transport, request)

    world.monkeypatch.setattr(httpx.HTTPTransport, "handle_request", interfere)
    result = create(deferrable=deferrable).run()
    assert result["backup_id"] != rival[0].backup_id
    assert not result["adopted"]
    assert ours(world) == 1


@MODES
def test_a_colleagues_backup_of_other_collections_is_not_adopted(world: World, deferrable: bool) -> None:
    databases = world.control_plane.clusters[CLUSTER_ID].databases
    other = {"sales": databases["sales"][:1]}
    world.fault("create_backup", times=1, drop=True)
    world.clock.at(1, lambda: world.someone_backs_up(seconds=30, backup_type="COLLECTION", databases=other))
    result = create(deferrable=deferrable, collections=["medium_articles"]).run()
    assert not result["adopted"]
    assert result["backup_name"] == "medium_articles_backup1"
    assert ours(world) == 1


@MODES
def test_an_automatic_backup_is_not_adopted(world: World, deferrable: bool) -> None:
    world.fault("create_backup", times=1, drop=True)
    world.clock.at(1, lambda: world.someone_backs_up(seconds=30, creation_method="AUTO"))
    result = create(deferrable=deferrable).run()
    assert not result["adopted"]
    assert ours(world) == 1


@MODES
def test_of_two_backups_that_may_be_ours_none_is_taken_and_none_made(world: World, deferrable: bool) -> None:
    world.control_plane.configure(list_lag=10, job_seconds=0.2)
    world.fault("create_backup", times=1, drop=True, after=True)
    world.clock.at(0.001, lambda: world.someone_backs_up(seconds=0))
    with pytest.raises(
        AirflowFailException, match="2 backups may be from this task's unanswered call"
    ) as caught:
        create(deferrable=deferrable).run()
    assert isinstance(find_zilliz_error(caught.value), ZillizUncertainError)
    for backup in world.backups():
        assert backup.backup_id in str(caught.value)
    assert ours(world) == 1


@MODES
def test_who_waits_for_a_turn_sends_no_create_meanwhile(world: World, deferrable: bool) -> None:
    """Each task finds a backup of somebody else in its way, and looks at the list until that is done."""
    for _ in range(3):
        world.someone_backs_up(seconds=30)
        create(deferrable=deferrable, wait_for_completion=False).run()
    assert ours(world) == 3
    assert len(world.requests("create_backup")) == 3
