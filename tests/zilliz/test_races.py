"""
Several tasks create backups of one cluster at once.

Each waits for the others to finish, and each ends with its own backup: none makes two, adopts another's, or
fails.
"""

from __future__ import annotations

import heapq
import random
from itertools import count
from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import ZillizConflictError, ZillizError
from airflow_provider_zbackup.zilliz.flows.creation import CreateBackupSubmission, CreateRecord
from airflow_provider_zbackup.zilliz.flows.polling import Wait
from airflow_provider_zbackup.zilliz.flows.steps import Flow, Pause, Step
from airflow_provider_zbackup.zilliz.flows.submission import submit_once
from airflow_provider_zbackup.zilliz.flows.waiting import wait_until_free
from airflow_provider_zbackup.zilliz.operations import Operation
from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest
from tests.clock import START
from tests.zilliz.driver import CLUSTER
from tests.zilliz.model_cloud import ModelCloud, Work

RUNS = 50
SECONDS = (0.0, 1.0, 2.0, 5.0, 10.0, 14.0)
SUBMISSION = CreateBackupSubmission(CLUSTER, CreateBackupRequest.of())
#: As long as the operator waits after a conflict, in seconds.
CONFLICT_PAUSE = 6.0
MOST_STEPS = 50_000


def task() -> Flow[CreateRecord]:
    """Create a backup as the operator does: whenever something is in the way, wait until it has gone."""
    while True:
        try:
            return (yield from submit_once(SUBMISSION))
        except ZillizConflictError:
            time = yield Pause(CONFLICT_PAUSE)
            yield from wait_until_free(Wait(time + 7200.0), cluster_id=CLUSTER, before_submission=True)


def run_together(cloud: ModelCloud, tasks: int, chance: random.Random) -> list[CreateRecord]:
    """Run tasks on one clock; each step is taken when it is due, and an answer takes its time."""
    order = count()
    running = [(START + chance.uniform(0, 1), next(order), task(), None) for _ in range(tasks)]
    heapq.heapify(running)
    results: list[CreateRecord] = []
    for _ in range(MOST_STEPS):
        if not running:
            return results
        time, _, flow, outcome = heapq.heappop(running)
        cloud.worker.now = time
        try:
            step = flow.throw(outcome) if isinstance(outcome, ZillizError) else flow.send(outcome)
        except StopIteration as end:
            results.append(end.value)
            continue
        delay, reply = take(cloud, step, chance)
        heapq.heappush(running, (time + delay, next(order), flow, reply))
    raise AssertionError("The tasks do not come to an end.")


def take(cloud: ModelCloud, step: Step, chance: random.Random) -> tuple[float, Any]:
    if isinstance(step, Pause):
        seconds = max(0.0, step.seconds)
        return seconds, cloud.now + seconds
    if not isinstance(step, Operation):
        return 0.0, cloud.now
    try:
        reply: Any = cloud.answer(step)
    except ZillizError as error:
        reply = error
    return chance.choice([0.05, 0.3, 2.0]), reply


@pytest.mark.parametrize("length", SECONDS)
@pytest.mark.parametrize("lag", SECONDS)
def test_each_task_ends_with_its_own_backup(lag: float, length: float) -> None:
    for seed in range(RUNS):
        # Pauses are drawn at random too.
        random.seed(seed)
        works = [Work(length)] * 8
        cloud = ModelCloud(works=works, list_lag=lag)
        made = run_together(cloud, 4, random.Random(seed))
        assert sorted(record.backup_id for record in made) == sorted(held.backup_id for held in cloud.held)
        assert len(cloud.held) == 4
        assert not any(record.adopted for record in made)
