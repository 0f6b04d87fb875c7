"""The triggers: how they are stored, and the one event that each of them ends with."""

from __future__ import annotations

import asyncio
import importlib
import json
from typing import Any

import pytest
from pytest_mock import MockerFixture

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.triggers.backup import ZillizBackupTrigger, ZillizNoActiveBackupTrigger
from airflow_provider_zbackup.triggers.base import ZillizTrigger
from airflow_provider_zbackup.triggers.job import ZillizJobTrigger
from airflow_provider_zbackup.zilliz.client import AsyncZillizClient
from tests.clock import START, VirtualClock
from tests.support import API_KEY, CLUSTER_ID, PROJECT_ID, World

TIMING: dict[str, Any] = {
    "zilliz_conn_id": "zilliz_default",
    "deadline": START + 3600,
    "poll_interval": 60.0,
    "since": START,
    "not_before": START + 6,
    "end_from_trigger": False,
}
RESULT = {"cluster_id": CLUSTER_ID, "backup_id": "backup1", "job_id": "job-1", "size": None, "adopted": False}
SUBJECTS: list[tuple[type[ZillizTrigger], dict[str, Any]]] = [
    (
        ZillizJobTrigger,
        {"job_id": "job-2", "cluster_id": None, "backup_id": None, "earlier_job_ids": ["job-1"]},
    ),
    (
        ZillizJobTrigger,
        {"job_id": None, "cluster_id": CLUSTER_ID, "backup_id": "backup1", "earlier_job_ids": []},
    ),
    (ZillizBackupTrigger, {"result": RESULT}),
    (
        ZillizNoActiveBackupTrigger,
        {
            "cluster_id": CLUSTER_ID,
            "project_id": None,
            "before_submission": True,
            "result": None,
            "guessing_since": START,
        },
    ),
    (
        ZillizNoActiveBackupTrigger,
        {
            "cluster_id": None,
            "project_id": PROJECT_ID,
            "before_submission": False,
            "result": {"project_id": PROJECT_ID},
            "guessing_since": None,
        },
    ),
]


@pytest.mark.parametrize(("kind", "subject"), SUBJECTS)
def test_a_trigger_is_stored_as_plain_json_and_read_back_the_same(
    kind: type[ZillizTrigger], subject: dict[str, Any]
) -> None:
    path, kwargs = kind(**subject, **TIMING).serialize()
    stored = json.loads(json.dumps(kwargs, allow_nan=False))
    assert stored == kwargs == subject | TIMING
    module, _, name = path.rpartition(".")
    read_back = getattr(importlib.import_module(module), name)(**stored)
    assert type(read_back) is kind
    assert read_back.serialize() == (path, kwargs)


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (ZillizJobTrigger, {"job_id": "job-1"}),
        (ZillizBackupTrigger, {"result": RESULT}),
        (ZillizNoActiveBackupTrigger, {"project_id": PROJECT_ID}),
    ],
)
def test_what_is_not_known_may_be_left_out(kind: type[ZillizTrigger], subject: dict[str, Any]) -> None:
    required = {name: TIMING[name] for name in ("zilliz_conn_id", "deadline", "poll_interval")}
    _, kwargs = kind(**subject, **required).serialize()
    assert (kwargs["since"], kwargs["not_before"], kwargs["end_from_trigger"]) == (None, None, False)


def events(trigger: ZillizTrigger) -> list[Any]:
    """Run a trigger to its end and return all its events, through JSON."""

    async def run() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    payloads = asyncio.run(run())
    text = json.dumps(payloads, allow_nan=False)
    assert API_KEY not in text
    return list(json.loads(text))


def start(world: World, **plan: Any) -> Any:
    world.fault("create_backup", times=1, job=JobPlan(**plan))
    return world.hook.create_backup(CLUSTER_ID)


def test_a_job_that_ends_well_is_the_event(world: World) -> None:
    created = start(world, seconds=100)
    (event,) = events(ZillizJobTrigger(job_id=created.job_id, **TIMING))
    assert event["status"] == "success"
    assert (event["result"]["job_id"], event["result"]["status"]) == (created.job_id, "SUCCESSFUL")


def test_without_a_job_id_the_backup_is_the_event(world: World) -> None:
    created = start(world, seconds=100)
    trigger = ZillizJobTrigger(job_id=None, cluster_id=CLUSTER_ID, backup_id=created.backup_id, **TIMING)
    (event,) = events(trigger)
    assert event["status"] == "success"
    assert (event["result"]["backup_id"], event["result"]["status"]) == (created.backup_id, "AVAILABLE")


@pytest.mark.parametrize("knows_its_job", [True, False])
def test_a_finished_backup_completes_what_the_task_knew_already(world: World, knows_its_job: bool) -> None:
    created = start(world, seconds=100)
    known = RESULT | {"backup_id": created.backup_id, "job_id": created.job_id if knows_its_job else None}
    (event,) = events(ZillizBackupTrigger(result=known, **TIMING))
    (backup,) = world.backups()
    facts = {
        "backup_name": backup.backup_name,
        "backup_type": "CLUSTER",
        "status": "AVAILABLE",
        "size": backup.size(world.clock.now),
        "region_id": "aws-us-west-2",
        "create_time": "2026-03-02T10:00:00Z",
    }
    assert event == {"status": "success", "result": known | facts}


@pytest.mark.parametrize(
    "subject",
    [
        {"cluster_id": CLUSTER_ID},
        {"cluster_id": CLUSTER_ID, "before_submission": True},
        {"project_id": PROJECT_ID},
    ],
)
def test_a_free_cluster_is_told_with_the_deadline_that_still_holds(
    world: World, subject: dict[str, Any]
) -> None:
    world.someone_backs_up(seconds=100, creation_method="AUTO")
    (event,) = events(ZillizNoActiveBackupTrigger(**subject, guessing_since=START - 60, **TIMING))
    assert event == {
        "status": "success",
        "result": {"backups": 1},
        "deadline": TIMING["deadline"],
        "guessing_since": START - 60,
    }
    assert world.clock.now >= START + 100


@pytest.mark.parametrize(
    ("plan", "error", "message"),
    [
        ({"status": "FAILED", "reason": "disk is full"}, "ZillizJobFailedError", "disk is full"),
        ({"status": "CANCELED"}, "ZillizJobCanceledError", "canceled"),
        ({"status": "IN_PROGRESS"}, "ZillizTimeoutError", "Gave up after 120 s"),
    ],
)
def test_a_job_that_does_not_end_well_is_an_error_event(
    world: World, plan: dict[str, Any], error: str, message: str
) -> None:
    created = start(world, seconds=100, **plan)
    known = RESULT | {"backup_id": created.backup_id, "job_id": created.job_id}
    timing = TIMING | {"deadline": START + 120}
    for trigger in (
        ZillizJobTrigger(job_id=created.job_id, **timing),
        ZillizBackupTrigger(result=known, **timing),
    ):
        (event,) = events(trigger)
        assert event["status"] == "error"
        assert event["error"]["error"] == error
        assert message in event["error"]["message"]


@pytest.mark.parametrize(("kind", "subject"), SUBJECTS)
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"password": "a-wrong-key"}, "ZillizAuthenticationError"),
        ({"password": None}, "ZillizConfigurationError"),
        ({"extra": {"timeout": -1}}, "ZillizConfigurationError"),
    ],
)
def test_a_connection_that_does_not_serve_is_an_error_event(
    world: World, kind: type[ZillizTrigger], subject: dict[str, Any], fields: dict[str, Any], error: str
) -> None:
    world.connect(**fields)
    (event,) = events(kind(**subject, **TIMING))
    assert (event["status"], event["error"]["error"]) == ("error", error)
    assert "a-wrong-key" not in str(event)


@pytest.mark.parametrize(("kind", "subject"), SUBJECTS)
def test_a_connection_that_is_gone_is_an_error_event(
    kind: type[ZillizTrigger], subject: dict[str, Any]
) -> None:
    (event,) = events(kind(**subject, **TIMING | {"zilliz_conn_id": "gone"}))
    assert (event["status"], event["error"]["error"]) == ("error", "ZillizConfigurationError")
    assert "'gone' is not defined" in event["error"]["message"]


@pytest.mark.parametrize("not_before", [START + 6, START + 500, START - 500, None])
def test_it_does_not_look_before_it_may(world: World, not_before: float | None) -> None:
    created = start(world, seconds=0)
    events(ZillizJobTrigger(job_id=created.job_id, **TIMING | {"not_before": not_before}))
    assert [look.time for look in world.requests("describe_job")] == [max(START, not_before or START)]


def test_it_looks_at_its_deadline_even_where_it_may_look_only_later(world: World) -> None:
    created = start(world, status="IN_PROGRESS")
    timing = TIMING | {"deadline": START + 60, "not_before": START + 500}
    (event,) = events(ZillizJobTrigger(job_id=created.job_id, **timing))
    assert event["error"]["error"] == "ZillizTimeoutError"
    assert [look.time for look in world.requests("describe_job")] == [START + 60]


@pytest.mark.parametrize(
    ("plan", "status"), [({"seconds": 1}, "success"), ({"status": "IN_PROGRESS"}, "error")]
)
def test_after_its_deadline_it_looks_once_at_once(world: World, plan: dict[str, Any], status: str) -> None:
    """As when no triggerer was running for a while."""
    created = start(world, **plan)
    world.clock.sleep(5000)
    (event,) = events(ZillizJobTrigger(job_id=created.job_id, **TIMING))
    assert event["status"] == status
    assert [look.time for look in world.requests("describe_job")] == [START + 5000]


def test_another_triggerer_goes_on_with_the_same_deadline(world: World) -> None:
    created = start(world, status="IN_PROGRESS")
    _, kwargs = ZillizJobTrigger(job_id=created.job_id, **TIMING).serialize()
    world.clock.sleep(3500)
    (event,) = events(ZillizJobTrigger(**kwargs))
    assert "Gave up after 3600 s" in event["error"]["message"]
    assert world.clock.now == START + 3600


def test_a_trigger_that_is_cancelled_gives_the_client_back_and_no_event(
    world: World, mocker: MockerFixture
) -> None:
    created = start(world, seconds=100)
    closes = mocker.spy(AsyncZillizClient, "aclose")
    is_waiting = asyncio.Event()

    async def wait_for_ever(client: AsyncZillizClient, flow: Any, **_: Any) -> None:
        is_waiting.set()
        await asyncio.Event().wait()

    mocker.patch.object(AsyncZillizClient, "run", autospec=True, side_effect=wait_for_ever)

    async def cancel() -> None:
        trigger = ZillizJobTrigger(job_id=created.job_id, **TIMING)
        waiting = asyncio.ensure_future(anext(trigger.run()))
        async with ZillizHook().async_client() as another_user:
            await is_waiting.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert closes.call_count == 0, "it is not the last user"
            assert another_user.settings.api_key == API_KEY
        assert closes.call_count == 1
        async with ZillizHook().async_client() as new_client:
            assert new_client is not another_user

    asyncio.run(cancel())


def test_an_error_that_is_not_ours_is_left_to_airflow(world: World, mocker: MockerFixture) -> None:
    mocker.patch.object(AsyncZillizClient, "run", autospec=True, side_effect=RuntimeError("a defect"))
    with pytest.raises(RuntimeError, match="a defect"):
        events(ZillizJobTrigger(job_id="job-1", **TIMING))


def test_an_error_before_the_first_look_waits_like_any_event(mocker: MockerFixture) -> None:
    """Airflow may not know of the deferral yet."""
    clock = VirtualClock()
    mocker.patch.object(ZillizHook, "clock", clock)
    (event,) = events(
        ZillizJobTrigger(job_id="job-1", **TIMING | {"zilliz_conn_id": "gone", "not_before": START + 6})
    )
    assert event["status"] == "error"
    assert clock.slept == [6]
