"""
Every request of the create-and-wait path, every fault: exactly one backup, or none and a clear error.

Each cell runs a task against the emulator over real HTTP, lets the fault strike once or for as long as
the first try lasts, and tries the task again if it failed. The table of what was seen is written into
``docs/fault-matrix.md``.
"""

from __future__ import annotations

import logging
import re
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.zilliz.errors import ZillizError
from tests.support import API_KEY, CLUSTER_ID, TaskInstance, World

TABLE = Path(__file__).parents[2] / "docs" / "fault-matrix.md"

#: The requests of the path, and their routes.
ROUTES = {
    "list_backups": "/v2/backups",
    "create_backup": "/v2/clusters/[^/]+/backups/create",
    "describe_job": "/v2/jobs/[^/]+",
    "describe_backup": "/v2/clusters/[^/]+/backups/backup[^/]+",
}
FAULTS: dict[str, dict[str, Any]] = {
    "connection refused": {"refused": True},
    "dropped before the work": {"drop": True},
    "dropped after the work": {"drop": True, "after": True},
    "time-out before the work": {"delay": 60},
    "time-out after the work": {"delay": 60, "after": True},
    "HTTP 500": {"status": 500},
    "HTTP 500 after the work": {"status": 500, "after": True},
    "HTTP 502 with HTML": {"status": 502, "body": "<html><h1>Bad Gateway</h1></html>"},
    "HTTP 503, Retry-After": {"status": 503, "headers": {"Retry-After": "7"}},
    "HTTP 429, Retry-After": {"status": 429, "headers": {"Retry-After": "7"}},
    "truncated JSON": {"truncate": True},
    "wrong JSON": {"garbage": True},
    "HTTP 200, unknown code": {"code": 98765, "message": "no document knows this"},
    "HTTP 401": {"status": 401, "body": {"code": 21119, "message": "The apikey is illegal"}},
    "list lags 10 s, answer lost": {"drop": True, "after": True, "list_lag": 10},
    "job look-up lags 10 s": {"job_lag": 10},
}
#: Those that say where they strike by themselves.
ONLY_AT = {"list lags 10 s, answer lost": "create_backup", "job look-up lags 10 s": "describe_job"}
CELLS = [
    (operation, fault)
    for operation in ROUTES
    for fault in FAULTS
    if ONLY_AT.get(fault, operation) == operation
]
_seen: dict[tuple[str, str, bool, bool], str] = {}


@pytest.fixture(scope="module", autouse=True)
def _write_table() -> Iterator[None]:
    """Write what was seen, if the whole matrix was run."""
    yield
    if len(_seen) < 4 * len(CELLS):
        return
    lines = [
        "# What happens when a request fails",
        "",
        "Written by `tests/contract/test_fault_matrix.py` from what it saw. Each cell is a backup task whose",
        "request is struck by a fault, once or for as long as the task's first try lasts; a task that failed",
        "is tried again. After every cell exactly one backup is there.",
        "",
        "| request | fault | strikes | waiting in the worker | deferrable |",
        "|---|---|---|---|---|",
    ]
    for operation, fault in CELLS:
        for persists in (False, True):
            row = [_seen[operation, fault, persists, deferrable] for deferrable in (False, True)]
            when = "the whole try" if persists else "once"
            lines.append(f"| {operation.replace('_', ' ')} | {fault} | {when} | {row[0]} | {row[1]} |")
    TABLE.write_text("\n".join(lines) + "\n")


@pytest.fixture
def _everything_is_logged() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    yield
    root.setLevel(level)


@pytest.mark.usefixtures("_everything_is_logged")
@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
@pytest.mark.parametrize("persists", [False, True], ids=["once", "whole-try"])
@pytest.mark.parametrize(("operation", "fault"), CELLS)
def test_cell(
    world: World,
    capfd: pytest.CaptureFixture[str],
    operation: str,
    fault: str,
    persists: bool,
    deferrable: bool,
) -> None:
    timeout = 0.08 if "time-out" in fault else 10
    world.connect(extra={"timeout": timeout, "requests_per_second": 1000})
    world.control_plane.configure(job_seconds=60)
    strike(world, operation, persists, **FAULTS[fault])
    task = TaskInstance(
        lambda: ZillizCreateBackupOperator(
            task_id="task", cluster_id=CLUSTER_ID, deferrable=deferrable, timeout=200, poll_interval=20
        )
    )
    outcome, said = "succeeds", ""
    result, error = attempt(task)
    if error is not None:
        said = "".join(traceback.format_exception(error))
        cause = error.__cause__ or error
        outcome = f"fails ({type(cause).__name__}); the retry succeeds"
        assert isinstance(cause, ZillizError)
        assert len(str(error)) > 40, "the error says what is the matter"
        assert len(made(world)) <= 1
        heal(world)
        world.clock.sleep(60)
        result = task.run()

    (backup,) = made(world)
    assert result["backup_id"] == backup.backup_id
    assert result["status"] == "AVAILABLE"
    creates = len(world.requests("create_backup"))
    if result["adopted"]:
        outcome += ", backup found in the list"
    elif creates > 1:
        outcome += ", create sent again"
    _seen[operation, fault, persists, deferrable] = outcome

    said += "".join(capfd.readouterr())
    assert API_KEY not in said + repr(task.xcoms) + repr(task.store) + repr(task.deferrals) + repr(result)


def attempt(task: TaskInstance) -> tuple[Any, Exception | None]:
    try:
        return task.run(), None
    except Exception as error:
        return None, error


def made(world: World) -> list[Any]:
    """Return the backups that there are; only the task makes any."""
    assert sum(request.work_done for request in world.requests("create_backup")) == len(world.backups())
    return [
        backup for backup in world.backups() if backup.status(world.clock.now) in ("CREATING", "AVAILABLE")
    ]


def strike(world: World, operation: str, persists: bool, **fault: Any) -> None:
    """Let a fault strike the second look at the job and the first of everything else."""
    lags = {name: fault.pop(name) for name in ("list_lag", "job_lag") if name in fault}
    world.control_plane.configure(**lags)
    if fault.pop("refused", False):
        refuse(world, operation, 10_000 if persists else 1)
    elif fault:
        skip = 8 if operation == "describe_job" else 0
        world.fault(operation, skip=skip, times=None if persists else 1, **fault)


def heal(world: World) -> None:
    world.control_plane.faults.clear()
    world.monkeypatch.setattr(httpx.HTTPTransport, "handle_request", _HANDLE_REQUEST)


_HANDLE_REQUEST = httpx.HTTPTransport.handle_request


def refuse(world: World, operation: str, times: int) -> None:
    """Send the requests of an operation to a port on which nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    left = [times]

    def handle_request(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if re.fullmatch(ROUTES[operation], request.url.path) and left[0] > 0:
            left[0] -= 1
            request.url = request.url.copy_with(port=port)
        return _HANDLE_REQUEST(transport, request)

    world.monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle_request)


def test_a_failed_job_does_not_count(world: World) -> None:
    world.fault("create_backup", times=1, job=JobPlan(status="FAILED", reason="disk is full"))
    task = TaskInstance(lambda: ZillizCreateBackupOperator(task_id="task", cluster_id=CLUSTER_ID))
    with pytest.raises(ZillizError, match="disk is full"):
        task.run()
    assert made(world) == []
