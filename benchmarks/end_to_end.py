"""
Backup, wait, next task in a real Airflow: how long they take, how long they occupy a worker, how often
they fail.

All ways take turns, so that each has the same load. Airflow has its default settings. With these, an event
that comes soon after a deferral can fail the task, because Airflow has not stored the deferral yet.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from benchmarks import defer_after
from benchmarks.defer_after import ResumeCost
from benchmarks.report import percentile, table, verdict
from dev.airflow_stack import COMPONENTS, AirflowStack
from dev.database import Database
from dev.emulated_cloud import EmulatedCloud
from dev.services import postgresql, redis

TITLE = "Backup, wait, next task in a real Airflow"
DAGS = Path(__file__).resolve().parent / "dags"

OURS = {
    "backup_in_worker": "one task, in the worker",
    "backup_deferrable": "one task, deferrable",
    "backup_end_from_trigger": "one task, ended from the trigger",
    "sensor_deferrable": "backup and sensor, deferrable",
    "sensor_end_from_trigger": "backup and sensor, ended from the trigger",
}
PEERS = {
    "http_poke": "HTTP provider, every 5 s, `deferrable`",
    "http_reschedule": "HTTP provider, every 5 s, `reschedule`",
}
LABELS = OURS | PEERS
EVENT_AFTER = "event_after"
#: Airflow's defaults, which AirflowStack changes to make tests faster.
AIRFLOW_DEFAULTS = {
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
}
#: Enough that no task waits for a slot.
PARALLELISM = 32
MOST_ACTIVE_RUNS = 28
RUN_SECONDS = 300.0
#: Seconds between the starts of two runs: two cores are then not the bottleneck.
START_INTERVAL = 1.2
RUNS, CELERY_RUNS, EVENT_RUNS = 34, 20, 100
LENGTHS = (1.0, 10.0, 60.0)
CELERY_WAYS = (
    "backup_in_worker",
    "backup_deferrable",
    "backup_end_from_trigger",
    "sensor_end_from_trigger",
    "http_poke",
)
EVENT_DELAYS = (2.0, 4.0, 6.0)

INTRODUCTION = """\
Jobs of three lengths. All ways take turns, with a new run every 1.2 s and Airflow's default settings on
PostgreSQL. *Time* is the time from the start of the run to the start of the task after the backup, in
seconds: median (95th percentile). *Worker* is how long the tasks before that one occupy a worker, in
seconds per run. Jobs report their progress, as Zilliz Cloud documents it. The sensor of the HTTP provider
cannot check an answer while it is deferred, so it waits in the worker even with `deferrable`."""
#: Celery needs more of the cores. If a backup takes so many times as long, they were not enough.
BUSY = 2
IS_BUSY = """\
With {executor} the cores were the bottleneck: a backup of 1 s, waited for in the worker, took {slow:.1f} s,
and with LocalExecutor {quick:.1f} s. So compare the rows of this table with each other only."""
RACE = """\
Why this provider's events come 6 s after a deferral or later: an earlier event can fail the run, with
Airflow's default settings (https://github.com/apache/airflow/issues/66374). The table has the failed runs,
by the time from the deferral to the event. Up to 28 runs at a time keep two cores busy, and a scheduler
that is late can need more than 6 s. A retry finds the backup again."""


@dataclass(frozen=True)
class Way:
    """
    A way to run the pipeline.

    :param dag_id: the DAG.
    :param job_seconds: how long the backup takes.
    :param event_after: seconds from the deferral to the event, for the DAG ``event_after``.
    """

    dag_id: str
    job_seconds: float
    event_after: float = 0.0


@dataclass
class Outcome:
    """
    The outcome of all runs of one way.

    :param times: seconds from the start of the run to the start of the task after the backup, for each run.
    :param worker_seconds: how long the tasks before that one occupied workers, in all runs together.
    :param failed: how many runs failed.
    """

    times: list[float] = field(default_factory=list)
    worker_seconds: float = 0.0
    failed: int = 0

    @property
    def runs(self) -> int:
        return len(self.times) + self.failed

    @property
    def median(self) -> float:
        return statistics.median(self.times) if self.times else math.inf

    @property
    def worker_seconds_per_run(self) -> float:
        return self.worker_seconds / self.runs


class WorkerClock:
    """
    Adds up how long the tasks of each DAG occupy workers. It reads the database five times a second.

    A queued task counts too: slots are always free here, so its process is just starting.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def ticking(self) -> Iterator[Counter[str]]:
        """Count during a ``with`` block."""
        seconds: Counter[str] = Counter()
        stopped = threading.Event()

        def tick() -> None:
            last = time.monotonic()
            while not stopped.wait(0.2):
                running = self._database.rows(
                    "SELECT dag_id, count(*) FROM task_instance "
                    "WHERE state IN ('queued', 'running') AND task_id <> 'migrate' GROUP BY dag_id"
                )
                now = time.monotonic()
                for dag_id, count in running:
                    seconds[dag_id] += count * (now - last)
                last = now

        thread = threading.Thread(target=tick)
        thread.start()
        try:
            yield seconds
        finally:
            stopped.set()
            thread.join()


class Bench:
    """
    An Airflow, an emulated Zilliz Cloud, and runs of the pipeline.

    :param stack: the Airflow.
    :param cloud: the Zilliz Cloud.
    :param database: the database of the Airflow.
    :param start_interval: seconds between the starts of two runs.
    """

    def __init__(
        self, stack: AirflowStack, cloud: EmulatedCloud, database: Database, start_interval: float
    ) -> None:
        self._stack = stack
        self._cloud = cloud
        self._database = database
        self._start_interval = start_interval
        self._count = 0

    def run(self, ways: Sequence[Way], runs: int) -> dict[Way, Outcome]:
        """
        Run the pipeline in all ways, which take turns.

        :param ways: the ways, all with jobs of the same length.
        :param runs: the number of runs of each way.
        """
        (job_seconds,) = {way.job_seconds for way in ways}
        self._cloud.configure(job_seconds=job_seconds)
        started: dict[str, Way] = {}
        with WorkerClock(self._database).ticking() as worker_seconds:
            due = time.monotonic()
            for way in [way for _ in range(runs) for way in ways]:
                time.sleep(max(0.0, due - time.monotonic()))
                self._stack.wait_until(
                    lambda: len(self._unfinished(started)) < MOST_ACTIVE_RUNS, "Some runs end", RUN_SECONDS
                )
                due = time.monotonic() + self._start_interval
                started[self._start(way)] = way
            self._stack.wait_until(lambda: not self._unfinished(started), "All runs end", RUN_SECONDS)
        outcomes = {way: Outcome(worker_seconds=worker_seconds[way.dag_id]) for way in ways}
        for run_id, state, seconds in self._ended(started):
            if state == "success":
                outcomes[started[run_id]].times.append(seconds)
            else:
                outcomes[started[run_id]].failed += 1
        print(outcomes, file=sys.stderr)
        return outcomes

    def _start(self, way: Way) -> str:
        self._count += 1
        cluster_id = f"in01-{self._count:015x}"
        self._cloud.add_cluster(cluster_id)
        conf = {"cluster_id": cluster_id, "event_after": way.event_after}
        return self._stack.api.trigger_dag_run(way.dag_id, conf)

    def _unfinished(self, run_ids: Iterable[str]) -> list[str]:
        rows = self._database.rows(
            "SELECT run_id FROM dag_run WHERE run_id = ANY(%s) AND state NOT IN ('success', 'failed')",
            list(run_ids),
        )
        return [run_id for (run_id,) in rows]

    def _ended(self, run_ids: Iterable[str]) -> list[tuple[str, str, float]]:
        return self._database.rows(
            "SELECT dr.run_id, dr.state, extract(epoch FROM ti.start_date - dr.start_date)::float "
            "FROM dag_run dr JOIN task_instance ti ON ti.dag_id = dr.dag_id AND ti.run_id = dr.run_id "
            "WHERE ti.task_id = 'migrate' AND dr.run_id = ANY(%s)",
            list(run_ids),
        )


@contextmanager
def bench(*, celery: bool, start_interval: float) -> Iterator[Bench]:
    """
    Start everything.

    :param celery: whether to use the CeleryExecutor instead of the LocalExecutor.
    :param start_interval: see :class:`Bench`.
    """
    with ExitStack() as stack:
        database = stack.enter_context(postgresql()).create("airflow")
        cloud = stack.enter_context(EmulatedCloud(job_seconds=1))
        http = {
            "conn_type": "http",
            "host": cloud.base_url,
            "extra": {"Authorization": f"Bearer {cloud.api_key}"},
        }
        settings = {
            **AIRFLOW_DEFAULTS,
            **cloud.environment,
            "AIRFLOW_CONN_ZILLIZ_HTTP": json.dumps(http),
        }
        airflow = stack.enter_context(
            AirflowStack(
                DAGS,
                dag_ids=[*OURS, *PEERS, EVENT_AFTER],
                environment=settings,
                components=(*COMPONENTS, "worker") if celery else COMPONENTS,
                database_url=database.url,
                celery_broker_url=stack.enter_context(redis()) if celery else None,
                parallelism=PARALLELISM,
            )
        )
        yield Bench(airflow, cloud, database, start_interval)


Outcomes: TypeAlias = dict[Way, Outcome]


def comparison(outcomes: Outcomes, dag_ids: Iterable[str], lengths: Sequence[float]) -> str:
    """Return the table that compares all ways, for each job length."""
    rows = []
    for dag_id in dag_ids:
        cells = [outcomes[Way(dag_id, seconds)] for seconds in lengths]
        rows.append(
            [
                LABELS[dag_id],
                *(
                    f"{cell.median:.1f} ({percentile(cell.times, 0.95):.1f})" if cell.times else "all failed"
                    for cell in cells
                ),
                *(f"{cell.worker_seconds_per_run:.1f}" for cell in cells),
                f"{sum(cell.failed for cell in cells)} of {sum(cell.runs for cell in cells)}",
            ]
        )
    names = [f"{seconds:g} s" for seconds in lengths]
    return table(
        ["way", *(f"{it}: time" for it in names), *(f"{it}: worker" for it in names), "failed runs"], rows
    )


def resume_cost(outcomes: Outcomes) -> ResumeCost:
    """Return what it costs to defer and to resume in a worker, from the longest jobs."""
    in_worker, ended_by_trigger, resumed = (
        outcomes[Way(dag_id, LENGTHS[-1])]
        for dag_id in ("backup_in_worker", "backup_end_from_trigger", "backup_deferrable")
    )
    return ResumeCost(
        delay=resumed.median - in_worker.median,
        worker_seconds=resumed.worker_seconds_per_run - ended_by_trigger.worker_seconds_per_run,
    )


def cases_behind_peer(outcomes: Outcomes) -> Iterator[str]:
    """Yield the cases where the best of our ways needs more time, or more of a worker, than the peer."""
    for peer in (way for way in outcomes if way.dag_id == "http_poke"):
        ours = [
            outcome
            for way, outcome in outcomes.items()
            if way.dag_id in OURS and way.job_seconds == peer.job_seconds
        ]
        if min(it.median for it in ours) > outcomes[peer].median:
            yield f"time, {peer.job_seconds:g} s"
        if min(it.worker_seconds_per_run for it in ours) > outcomes[peer].worker_seconds_per_run:
            yield f"worker, {peer.job_seconds:g} s"


def measure(*, quick: bool) -> str:
    """Run everything, and return the section."""
    plans = {
        "LocalExecutor": (False, tuple(LABELS), 2 if quick else RUNS, 3 if quick else EVENT_RUNS),
        "CeleryExecutor": (True, CELERY_WAYS, 2 if quick else CELERY_RUNS, 3 if quick else EVENT_RUNS),
    }
    parts, events, missed, costs = [INTRODUCTION], {}, [], []
    shortest: list[float] = []
    for executor, (celery, dag_ids, runs, event_runs) in plans.items():
        with bench(celery=celery, start_interval=START_INTERVAL) as it:
            outcomes: Outcomes = {}
            for seconds in LENGTHS:
                outcomes |= it.run([Way(dag_id, seconds) for dag_id in dag_ids], runs)
            events[executor] = it.run([Way(EVENT_AFTER, 1.0, delay) for delay in EVENT_DELAYS], event_runs)
        parts.append(f"{executor}, {runs} runs of each:\n\n{comparison(outcomes, dag_ids, LENGTHS)}")
        shortest.append(outcomes[Way(dag_ids[0], LENGTHS[0])].median)
        if shortest[-1] > BUSY * shortest[0]:
            parts.append(IS_BUSY.format(executor=executor, slow=shortest[-1], quick=shortest[0]))
        missed += [f"{where}, {executor}" for where in cases_behind_peer(outcomes)]
        costs.append(resume_cost(outcomes))
    parts.append(verdict("no more time, and no more of a worker, than the HTTP provider", not missed))
    if missed:
        parts.append(f"More: {'; '.join(missed)}.")
    rows = [
        [executor, *(f"{seen.failed} of {seen.runs}" for seen in outcomes.values())]
        for executor, outcomes in events.items()
    ]
    parts.append(RACE + "\n\n" + table(["failed runs", *(f"{delay:g} s" for delay in EVENT_DELAYS)], rows))
    parts.append(defer_after.comparison(dict(zip(plans, costs, strict=True))))
    return "\n\n".join(parts)
