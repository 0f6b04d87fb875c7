"""
Every request of a task that starts a job, every fault: the job is started once, or there is a clear error.

Each cell runs a task against the emulator over real HTTP, lets the fault strike once or for as long as the
first try lasts, and tries the task again if it failed. What happens has to be what ``docs/fault-matrix.md``
says.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import traceback
from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx
import pytest

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.utils.errors import find_zilliz_error
from airflow_provider_zbackup.zilliz.errors import ZillizError, ZillizUncertainError
from tests.contract import fault_table
from tests.contract.cases import CASES, Case, Create
from tests.contract.fault_table import Cell
from tests.support import API_KEY, CLUSTER_ID, TaskInstance, World

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
    Cell(task, operation.replace("_", " "), fault, persists, deferrable)
    for task, case in CASES.items()
    for operation, fault, persists, deferrable in product(case.routes, FAULTS, (False, True), (False, True))
    if ONLY_AT.get(fault, operation) == operation
]
_seen: fault_table.Table = {}


@pytest.fixture(scope="module", autouse=True)
def _write_table() -> Iterator[None]:
    assert not (fault_table.IS_WRITTEN and "PYTEST_XDIST_WORKER" in os.environ), "Only one process sees all."
    yield
    if fault_table.IS_WRITTEN:
        fault_table.write(_seen)


@pytest.fixture
def _everything_is_logged() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    yield
    root.setLevel(level)


def test_the_table_holds_just_these_cells() -> None:
    assert fault_table.IS_WRITTEN or list(fault_table.read()) == CELLS


@pytest.mark.usefixtures("_everything_is_logged")
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(map(str, cell)).replace(" ", "_"))
def test_cell(world: World, capfd: pytest.CaptureFixture[str], cell: Cell) -> None:
    case = CASES[cell.task](world)
    arguments: dict[str, Any] = {"deferrable": cell.deferrable, "timeout": 200, "poll_interval": 20}
    timeout = 0.08 if "time-out" in cell.fault else 10
    world.connect(extra={"timeout": timeout, "requests_per_second": 1000})
    world.control_plane.configure(job_seconds=60)
    strike(world, case, cell)
    task = case.task(**arguments)
    outcome, said = "succeeds", ""
    result, error = attempt(task)
    if error is not None:
        said = "".join(traceback.format_exception(error))
        cause = find_zilliz_error(error)
        outcome = f"fails ({type(cause).__name__})"
        assert isinstance(cause, ZillizError)
        assert len(str(error)) > 40, "the error says what is the matter"
        assert len(case.made()) <= 1
        heal(world)
        world.clock.sleep(60)
        result = case.run_again(task, **arguments)
        is_asked = isinstance(cause, ZillizUncertainError)
        outcome += "; the user must tell whether it began" if is_asked else "; the retry succeeds"

    case.check_made_once(result)
    if result and result.get("adopted"):
        outcome += ", found in the list"
    elif len(case.calls) > 1:
        outcome += ", sent again"
    if fault_table.IS_WRITTEN:
        _seen[cell] = outcome
    else:
        assert outcome == fault_table.read()[cell]

    said += "".join(capfd.readouterr())
    assert API_KEY not in said + repr(task.xcoms) + repr(task.store) + repr(task.deferrals) + repr(result)


def attempt(task: TaskInstance) -> tuple[Any, Exception | None]:
    try:
        return task.run(), None
    except Exception as error:
        return None, error


def strike(world: World, case: Case, cell: Cell) -> None:
    """Let a fault strike the second look at the job and the first of everything else."""
    fault = dict(FAULTS[cell.fault])
    lags = {name: fault.pop(name) for name in ("list_lag", "job_lag") if name in fault}
    world.control_plane.configure(**lags)
    operation = cell.operation.replace(" ", "_")
    if fault.pop("refused", False):
        refuse(world, case.routes[operation], 10_000 if cell.persists else 1)
    elif fault:
        skip = 8 if operation == "describe_job" else 0
        world.fault(operation, skip=skip, times=None if cell.persists else 1, **fault)


def heal(world: World) -> None:
    world.control_plane.faults.clear()
    world.monkeypatch.setattr(httpx.HTTPTransport, "handle_request", _HANDLE_REQUEST)


_HANDLE_REQUEST = httpx.HTTPTransport.handle_request


def refuse(world: World, route: str, times: int) -> None:
    """Send the requests of a route to a port on which nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    left = [times]

    def handle_request(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if re.fullmatch(route, request.url.path) and left[0] > 0:
            left[0] -= 1
            request.url = request.url.copy_with(port=port)
        return _HANDLE_REQUEST(transport, request)

    world.monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle_request)


def test_a_failed_job_does_not_count(world: World) -> None:
    world.fault("create_backup", times=1, job=JobPlan(status="FAILED", reason="disk is full"))
    task = TaskInstance(lambda: ZillizCreateBackupOperator(task_id="task", cluster_id=CLUSTER_ID))
    with pytest.raises(ZillizError, match="disk is full"):
        task.run()
    assert Create(world).made() == []
