"""The table in ``docs/fault-matrix.md``: what was seen when it was written, by cell."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

PATH = Path(__file__).parents[2] / "docs" / "fault-matrix.md"
#: Whether this run writes the table, instead of comparing what it sees with it.
IS_WRITTEN = os.environ.get("WRITE_FAULT_MATRIX") == "1"
_HEAD = """\
# What happens when a request fails

What `make fault-matrix` saw; the tests compare it with what they see. Each cell is a task whose request is
struck by a fault, once or for as long as the task's first try lasts; a task that failed is tried again. After
every cell exactly one job has done its work. Where nothing in the API shows the result of a call without an
answer, the user must tell.
"""
_COLUMNS = ["request", "fault", "strikes", "waiting in the worker", "deferrable"]


class Cell(NamedTuple):
    """Which task is struck where, by what, for how long."""

    task: str
    operation: str
    fault: str
    persists: bool
    deferrable: bool


Table = dict[Cell, str]


@cache
def read() -> Table:
    table: Table = {}
    task = ""
    for line in PATH.read_text().splitlines():
        if line.startswith("## "):
            task = line.removeprefix("## ")
        elif task and line.startswith("| ") and not line.startswith(f"| {_COLUMNS[0]} "):
            operation, fault, strikes, *outcomes = line.strip("| ").split(" | ")
            for is_deferrable, outcome in zip((False, True), outcomes, strict=True):
                table[Cell(task, operation, fault, strikes != "once", is_deferrable)] = outcome
    return table


def write(table: Table) -> None:
    lines = _HEAD.splitlines()
    for task in dict.fromkeys(cell.task for cell in table):
        lines += ["", f"## {task}", "", _row(_COLUMNS), "|---" * len(_COLUMNS) + "|"]
        for cell, outcome in table.items():
            if cell.task == task and not cell.deferrable:
                strikes = "the whole try" if cell.persists else "once"
                other = table[cell._replace(deferrable=True)]
                lines.append(_row([cell.operation, cell.fault, strikes, outcome, other]))
    PATH.write_text("\n".join(lines) + "\n")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
