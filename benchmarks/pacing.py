"""
How soon the end of a job is noticed, and for how many requests: ours against fixed intervals.

Jobs report their progress, or none ("no progress"), as either may be the case.
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
#: Zilliz's own figure: https://docs.zilliz.com/docs/create-snapshot
BYTES_PER_SECOND = 700e6
SMALLEST_BACKUP, LARGEST_BACKUP = 100e6, 1e12

INTRODUCTION = """\
By simulation: the provider's own flow is fed the answers of jobs of known lengths. *Delay* is from the job's
end to its notice; a *quick* notice comes within 10 % of the job's length, or within 2 s."""

LIMIT = """\
For shorter ones that cannot be: to notice the end of a job of 10 s within 2 s takes five looks, where
one every 10 s takes two or three and is 5 s late in the mean."""


class Outcome(NamedTuple):
    """
    What one wait came to.

    :param length: how long the job takes, in seconds.
    :param delay: seconds between the job's end and its notice.
    :param requests: how often the job was asked for.
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
    """Look at once and then every so many seconds, as the peers do."""
    looks = math.ceil(length / interval)
    return Outcome(length, looks * interval - length, looks + 1)


STRATEGIES: dict[str, Callable[[float], Outcome]] = {
    "ours": partial(ours, tells_progress=True),
    "ours, no progress": partial(ours, tells_progress=False),
    **{f"fixed {seconds} s": partial(fixed, interval=seconds) for seconds in (5, 10, 30, 60)},
}


def samples(count: int) -> dict[str, list[float]]:
    """Return lengths of jobs, by what they stand for."""
    chance = random.Random(2)
    smallest, largest = math.log(SMALLEST_BACKUP), math.log(LARGEST_BACKUP)
    return {
        "0.5 s to 2 h, log-uniform": job_lengths(count),
        "100 MB to 1 TB, log-uniform, at 700 MB/s": [
            math.exp(chance.uniform(smallest, largest)) / BYTES_PER_SECOND for _ in range(count)
        ],
        # Neither is a job just as long as another, nor does it begin just when the first look is made.
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
    thrifty: list[str] = []
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
            thrifty.append(sample)
    parts.append(verdict("95 % of the jobs of each kind are noticed quickly", min(quick_shares) >= 0.95))
    parts.append(verdict("fewer requests than every 10 s", len(thrifty) == len(samples(1))))
    parts.append(f"Fewer requests for jobs of {'; '.join(thrifty)}. {LIMIT}")
    return "\n\n".join(parts)
