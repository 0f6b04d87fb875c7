"""
Every request of a task that starts a job, every fault: the job is started once, or there is a clear error.

Each cell runs a task against the emulator over real HTTP, lets the fault strike once or for as long as the
first try lasts, and tries the task again if it failed. What happens has to be what ``docs/fault-matrix.md``
says.
"""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.utils.errors import find_zilliz_error
from airflow_provider_zbackup.zilliz.errors import ZillizError, ZillizUncertainError
from tests.contract import fault_table
from tests.contract.cases import CASES, Create
from tests.contract.fault_table import Cell
from tests.contract.faults import FAULTS, ONLY_AT, attempt, heal, strike
from tests.support import API_KEY, CLUSTER_ID, TaskInstance, World

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
    world.control_plane.configure(job_seconds=60)
    operation = cell.operation.replace(" ", "_")
    # The second look at the job, and the first of everything else.
    skip = 8 if operation == "describe_job" else 0
    strike(world, operation, case.routes[operation], cell.fault, persists=cell.persists, skip=skip)
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


def test_a_failed_job_does_not_count(world: World) -> None:
    world.fault("create_backup", times=1, job=JobPlan(status="FAILED", reason="disk is full"))
    task = TaskInstance(lambda: ZillizCreateBackupOperator(task_id="task", cluster_id=CLUSTER_ID))
    with pytest.raises(ZillizError, match="disk is full"):
        task.run()
    assert Create(world).made() == []
