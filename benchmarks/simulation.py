"""
Simulates waits, so that they take no time: the flow that waits in workers and triggerers gets the answers
of a job of known length.
"""

from __future__ import annotations

import math
import random
from typing import Any, NamedTuple

from airflow_provider_zbackup.zilliz.flows.polling import Wait
from airflow_provider_zbackup.zilliz.flows.steps import Pause, Reply, Step, drive_blocking
from airflow_provider_zbackup.zilliz.flows.waiting import wait_for_job
from airflow_provider_zbackup.zilliz.models import Job

SHORTEST_JOB, LONGEST_JOB = 0.5, 7200.0


class Watched(NamedTuple):
    """
    The outcome of one wait.

    :param ended: when the wait ended, in seconds since the job began.
    :param requests: how many requests it took.
    :param is_done: whether the wait saw the end of the job; if not, it has to be continued elsewhere.
    """

    ended: float
    requests: int
    is_done: bool


def watch(length: float, *, tells_progress: bool, begin: float = 0.0, **how: float) -> Watched:
    """
    Wait for a job.

    :param length: how long the job takes, in seconds.
    :param tells_progress: whether the job reports its progress.
    :param begin: when the wait begins, in seconds since the job began.
    :param how: more arguments of ``Wait``.
    """
    time, requests = begin, 0

    def take(step: Step) -> Any:
        nonlocal time, requests
        if isinstance(step, Pause):
            time += step.seconds
            return time
        requests += 1
        done = time >= length
        progress = int(100 * min(1.0, time / length)) if tells_progress else None
        return Reply(Job(status="SUCCESSFUL" if done else "IN_PROGRESS", progress=progress))

    end = drive_blocking(wait_for_job("job", Wait(deadline=math.inf, since=0.0, **how)), take)
    return Watched(time, requests, end is not None)


def job_lengths(count: int) -> list[float]:
    """
    Return random job lengths, log-uniform: as many from 1 s to 10 s as from 10 s to 100 s.

    :param count: how many.
    """
    chance = random.Random(1)
    shortest, longest = math.log(SHORTEST_JOB), math.log(LONGEST_JOB)
    return [math.exp(chance.uniform(shortest, longest)) for _ in range(count)]
