"""Runs flows by hand: answers their operations, and lets a virtual clock go on in their pauses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, count, repeat
from typing import Any, TypeVar

from airflow_provider_zbackup.zilliz.errors import ZillizError
from airflow_provider_zbackup.zilliz.flows.steps import (
    Flow,
    Pause,
    Reply,
    Save,
    Step,
    StoreSecret,
    drive_blocking,
)
from airflow_provider_zbackup.zilliz.models import Backup, BackupPage, Job
from airflow_provider_zbackup.zilliz.operations import Operation
from tests.clock import START

T = TypeVar("T")

CLUSTER = "in01-cluster"
#: No flow of these tests needs so many steps: one that does is busy looping.
MOST_STEPS = 20_000


def at(seconds: float) -> datetime:
    """Return the moment so many seconds after the start."""
    return datetime.fromtimestamp(START + seconds, UTC)


def backup(backup_id: str = "backup-1", **facts: Any) -> Backup:
    """Return a manual backup of the whole cluster that can be used, changed where asked."""
    defaults: dict[str, Any] = {
        "backup_type": "CLUSTER",
        "creation_method": "MANUAL",
        "status": "AVAILABLE",
        "cluster_id": CLUSTER,
        "create_time": at(0),
    }
    return Backup(backup_id=backup_id, **defaults | facts)


def job(status: str = "IN_PROGRESS", **facts: Any) -> Job:
    return Job(job_id="job-1", status=status, **facts)


def page(*backups: Backup) -> BackupPage:
    return BackupPage(page_size=100, backups=backups)


class WorkerDiedError(Exception):
    """The worker died in the middle of a flow."""


@dataclass
class Driver:
    """
    A driver without I/O.

    :param answer: answers an operation with a value, a Reply, or an error
    :param now: the time, in seconds since the epoch
    :param save_time: how long it takes to save a record, in seconds
    """

    answer: Callable[[Operation[Any]], Any]
    now: float = START
    save_time: float = 0.0
    steps: list[Step] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    failures: dict[int, ZillizError] = field(default_factory=dict)

    def run(self, flow: Flow[T], dies_at: float = MOST_STEPS, dies_after: bool = False) -> T:
        """
        Run a flow to its end.

        :param dies_at: number of the step at which the worker dies
        :param dies_after: whether that step is done nevertheless
        """
        numbers = count()

        def take(step: Step) -> Any:
            number = next(numbers)
            assert number < MOST_STEPS, f"The flow did not end within {MOST_STEPS} steps."
            if number == dies_at and not dies_after:
                raise WorkerDiedError
            self.steps.append(step)
            self.times.append(self.now)
            if number == dies_at:
                with suppress(ZillizError):
                    self._take(step)
                raise WorkerDiedError
            try:
                return self._take(step)
            except ZillizError as error:
                self.failures[len(self.steps) - 1] = error
                raise

        return drive_blocking(flow, take)

    def _take(self, step: Step) -> Any:
        match step:
            case Pause(seconds):
                self.now += max(0.0, seconds)
                return self.now
            case Save():
                self.now += self.save_time
                return self.now
            case StoreSecret(_, secret):
                return secret is not None
            case Operation():
                answer = self.answer(step)
                if isinstance(answer, ZillizError):
                    raise answer
                return answer if isinstance(answer, Reply) else Reply(answer, at(self.elapsed))

    @property
    def secrets(self) -> list[StoreSecret]:
        return [step for step in self.steps if isinstance(step, StoreSecret)]

    @property
    def elapsed(self) -> float:
        return self.now - START

    @property
    def pauses(self) -> list[float]:
        """Return how long the flow waited, each time that it did."""
        return [step.seconds for step in self.steps if isinstance(step, Pause) and step.seconds]

    @property
    def notes(self) -> list[str]:
        return [step.note for step in self.steps if isinstance(step, Pause) and step.note]

    @property
    def records(self) -> list[Mapping[str, Any] | None]:
        return [step.record for step in self.steps if isinstance(step, Save)]

    @property
    def sent(self) -> list[Operation[Any]]:
        return [step for step in self.steps if isinstance(step, Operation)]

    @property
    def calls(self) -> list[str]:
        """Return the names of the operations that were sent."""
        return [operation.name for operation in self.sent]


def scripted(*answers: Any) -> Driver:
    """Return a driver that gives these answers in this order, and no others."""
    rest: Iterator[Any] = iter(answers)

    def answer(operation: Operation[Any]) -> Any:
        for value in rest:
            return value
        raise AssertionError(f"No {operation.name} was expected any more.")

    return Driver(answer)


def always(*answers: Any) -> Driver:
    """Return a driver that gives these answers, the last one for ever."""
    rest = chain(answers, repeat(answers[-1]))
    return Driver(lambda operation: next(rest))
