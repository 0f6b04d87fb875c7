"""
How soon a wait notices the end of a job, and with how many requests: this provider against fixed intervals.

A job may report its progress or not ("no progress"), so both are measured.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from benchmarks.report import percentile, table, verdict
from benchmarks.simulation import job_lengths, watch

TITLE = "Poll pacing"
LENGTHS = {"1 s": 1.0, "10 s": 10.0, "1 min": 60.0, "10 min": 600.0, "1 h": 3600.0}
GOAL_SHARE, GOAL_SECONDS = 0.1, 2.0
#: The speed of a backup, as Zilliz states it: https://docs.zilliz.com/docs/create-snapshot
BYTES_PER_SECOND = 700e6
SMALLEST_BACKUP, LARGEST_BACKUP = 100e6, 1e12

INTRODUCTION = """\
A simulation: the provider's own flow gets the answers of jobs of known lengths. *Delay* is the time from
the end of the job to the poll that sees it. It is *quick* if it is at most 10 % of the job's length, or at
most 2 s."""

LIMIT = """\
For shorter jobs that is impossible: to notice the end of a job of 10 s within 2 s takes five polls. One poll
every 10 s means two or three polls, and 5 s of delay on average."""


class Outcome(NamedTuple):
    """
    The outcome of one wait.

    :param length: how long the job takes, in seconds.
    :param delay: seconds from the end of the job to the poll that sees it.
    :param requests: how many polls it took.
    """

    length: float
    delay: float
    requests: int

    @property
    def is_quick(self) -> bool:
        return self.delay <= max(GOAL_SHARE * self.length, GOAL_SECONDS)


def ours(length: float, *, tells_progress: bool) -> Outcome:
    watched = watch(length, tells_progress=tells_progress)
    return Outcome(length, watched.ended - length, watched.requests)


def fixed(length: float, interval: float) -> Outcome:
    """Poll at once and then at a fixed interval, as the peers do."""
    intervals = math.ceil(length / interval)
    return Outcome(length, intervals * interval - length, intervals + 1)


STRATEGIES: dict[str, Callable[[float], Outcome]] = {
    "ours": partial(ours, tells_progress=True),
    "ours, no progress": partial(ours, tells_progress=False),
    **{f"fixed {seconds} s": partial(fixed, interval=seconds) for seconds in (5, 10, 30, 60)},
}


def samples(count: int) -> dict[str, list[float]]:
    """Return job lengths, by what they represent."""
    chance = random.Random(2)
    smallest, largest = math.log(SMALLEST_BACKUP), math.log(LARGEST_BACKUP)
    return {
        "0.5 s to 2 h, log-uniform": job_lengths(count),
        "100 MB to 1 TB, log-uniform, at 700 MB/s": [
            math.exp(chance.uniform(smallest, largest)) / BYTES_PER_SECOND for _ in range(count)
        ],
        # Exact lengths would be multiples of the intervals, which real jobs are not.
        **{
            name: [length * chance.uniform(0.9, 1.1) for _ in range(count)]
            for name, length in LENGTHS.items()
        },
    }


def row(strategy: str, outcomes: Sequence[Outcome]) -> list[str]:
    delays = [outcome.delay for outcome in outcomes]
    return [
        strategy,
        f"{statistics.mean(delays):.1f}",
        f"{percentile(delays, 0.95):.1f}",
        f"{statistics.mean(outcome.requests for outcome in outcomes):.1f}",
        f"{statistics.mean(outcome.is_quick for outcome in outcomes):.0%}",
    ]


def measure(*, quick: bool) -> str:
    """Simulate and return the section."""
    parts = [INTRODUCTION]
    quick_shares: list[float] = []
    cheaper: list[str] = []
    for sample, lengths in samples(40 if quick else 400).items():
        seen = {strategy: [wait(length) for length in lengths] for strategy, wait in STRATEGIES.items()}
        rows = [row(strategy, outcomes) for strategy, outcomes in seen.items()]
        header = [f"jobs of {sample}", "mean delay, s", "p95 delay, s", "mean requests", "quick"]
        parts.append(table(header, rows))
        for strategy in ("ours", "ours, no progress"):
            quick_shares.append(statistics.mean(outcome.is_quick for outcome in seen[strategy]))
        requests, rival = (
            sum(outcome.requests for outcome in seen[strategy]) for strategy in ("ours", "fixed 10 s")
        )
        if requests < rival:
            cheaper.append(sample)
    parts.append(verdict("95 % of the jobs of each kind are noticed quickly", min(quick_shares) >= 0.95))
    parts.append(verdict("fewer requests than one poll every 10 s", len(cheaper) == len(samples(1))))
    parts.append(f"Fewer requests for jobs of {'; '.join(cheaper)}. {LIMIT}")
    return "\n\n".join(parts)
