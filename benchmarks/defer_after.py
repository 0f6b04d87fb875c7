"""
How long to wait in the worker before deferring: a simulation of the cost, for jobs of all lengths.

Most backups take seconds. Deferring frees the worker, but to resume takes time and a worker again.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import NamedTuple

from airflow_provider_zbackup.utils.task import DEFER_AFTER, EARLIEST_EVENT
from benchmarks.report import table
from benchmarks.simulation import job_lengths, watch

CANDIDATES = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 60.0)
JOBS = 1000
CONCLUSION = f"""\
A short wait in the worker makes the delay a second shorter. A longer one does not make it shorter still, but
occupies the worker. So the default is {DEFER_AFTER:g} s."""


class ResumeCost(NamedTuple):
    """
    What it costs to defer and to resume in a worker, as measured in a real Airflow.

    :param delay: how much later the next task begins, in seconds.
    :param worker_seconds: how much longer the task occupies a worker, in seconds.
    """

    delay: float
    worker_seconds: float


def wait(length: float, defer_after: float, cost: ResumeCost, *, tells_progress: bool) -> tuple[float, float]:
    """Return the delay after the end of the job, and for how long the task occupies a worker."""
    first = watch(length, tells_progress=tells_progress, leave_after=defer_after)
    if first.is_done:
        return first.ended - length, first.ended
    second = watch(
        length,
        tells_progress=tells_progress,
        begin=first.ended,
        not_before=first.ended + EARLIEST_EVENT,
    )
    return second.ended - length + cost.delay, first.ended + cost.worker_seconds


def comparison(costs: Mapping[str, ResumeCost]) -> str:
    """
    Return the tables that compare values of ``defer_after``.

    :param costs: what was measured, by executor.
    """
    parts = []
    for executor, cost in costs.items():
        rows = []
        for defer_after in CANDIDATES:
            cells = [f"**{defer_after:g} s**" if defer_after == DEFER_AFTER else f"{defer_after:g} s"]
            for tells_progress in (True, False):
                waits = [
                    wait(length, defer_after, cost, tells_progress=tells_progress)
                    for length in job_lengths(JOBS)
                ]
                delay, worker = (statistics.mean(values) for values in zip(*waits, strict=True))
                cells += [f"{delay:.1f}", f"{worker:.1f}", f"{delay + worker:.1f}"]
            rows.append(cells)
        header = ["`defer_after`"]
        for kind in ("", ", no progress"):
            header += [f"delay{kind}", f"worker{kind}", f"sum{kind}"]
        parts.append(
            f"`defer_after`, with {executor}: by measurement, to defer and to resume makes the next task "
            f"{cost.delay:.1f} s later and occupies a worker for {cost.worker_seconds:.1f} s. A simulation "
            f"of jobs of 0.5 s to 2 h (log-uniform), means in seconds:\n\n{table(header, rows)}"
        )
    return "\n\n".join([*parts, CONCLUSION])
