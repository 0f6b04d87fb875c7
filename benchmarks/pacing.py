"""
How soon the end of a job is noticed, and for how many requests: ours against fixed intervals.

A simulation: the very flow that waits in workers and triggerers is fed the answers of a job of known
length; no time passes. Jobs report their progress, or none ("no progress"), as either may be the case.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_zbackup.zilliz.flows.steps import Pause, Reply
from airflow_provider_zbackup.zilliz.flows.waiting import Wait, wait_for_job
from airflow_provider_zbackup.zilliz.models import Job

LENGTHS = {"1 s": 1.0, "10 s": 10.0, "1 min": 60.0, "10 min": 600.0, "1 h": 3600.0}
GOAL_SHARE, GOAL_SECONDS = 0.1, 2.0


@dataclass
class Outcome:
    """
    What one wait came to.

    :param delay: seconds between the job's end and its notice
    :param requests: how often the job was asked for
    """

    length: float
    delay: float
    requests: int

    @property
    def is_quick(self) -> bool:
        return self.delay <= max(GOAL_SHARE * self.length, GOAL_SECONDS)


def ours(length: float, *, tells_progress: bool) -> Outcome:
    """Drive the flow; the wait begins when the job does."""
    flow = wait_for_job("job", Wait(deadline=math.inf))
    time, requests = 0.0, 0
    step = next(flow)
    try:
        while True:
            if isinstance(step, Pause):
                time += step.seconds
                step = flow.send(time)
                continue
            requests += 1
            done = time >= length
            progress = int(100 * min(1.0, time / length)) if tells_progress else None
            step = flow.send(Reply(Job(status="SUCCESSFUL" if done else "IN_PROGRESS", progress=progress)))
    except StopIteration:
        return Outcome(length, time - length, requests)


def fixed(length: float, interval: float) -> Outcome:
    """Look at once and then every so many seconds, as the peers do."""
    looks = math.ceil(length / interval)
    return Outcome(length, looks * interval - length, looks + 1)


STRATEGIES: dict[str, Callable[[float], Outcome]] = {
    "ours": lambda length: ours(length, tells_progress=True),
    "ours, no progress": lambda length: ours(length, tells_progress=False),
    **{f"fixed {n} s": (lambda length, n=n: fixed(length, n)) for n in (5, 10, 30, 60)},
}


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def row(name: str, outcomes: list[Outcome]) -> str:
    delays = [outcome.delay for outcome in outcomes]
    return (
        f"| {name} | {statistics.mean(delays):.1f} | {percentile(delays, 0.95):.1f} "
        f"| {statistics.mean(outcome.requests for outcome in outcomes):.1f} "
        f"| {statistics.mean(outcome.is_quick for outcome in outcomes):.0%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=400, help="jobs per row")
    jobs = parser.parse_args().jobs
    chance = random.Random(1)
    mixed = [math.exp(chance.uniform(math.log(0.5), math.log(7200))) for _ in range(jobs)]
    samples = {"0.5 s to 2 h, log-uniform": mixed}
    for name, length in LENGTHS.items():
        # Neither is a job just as long as another, nor does it begin just when the first look is made.
        samples[name] = [length * chance.uniform(0.9, 1.1) for _ in range(jobs)]
    for name, lengths in samples.items():
        print(f"\n### Jobs of {name}\n")
        print("| | mean delay, s | p95 delay, s | mean requests | within 10 % or 2 s |")
        print("|---|---|---|---|---|")
        for strategy, wait in STRATEGIES.items():
            print(row(strategy, [wait(length) for length in lengths]))


if __name__ == "__main__":
    main()
