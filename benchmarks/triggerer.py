"""
Many concurrent waits in a real triggerer: this provider against a peer, with an emulated Zilliz Cloud.

Each way to wait gets a new triggerer of a real Airflow on PostgreSQL. To run a thousand tasks until they
defer would take longer than the waits. So this benchmark writes the deferred state into the database, as
Airflow's execution API does when a task defers. The triggers end their tasks themselves, without a worker,
so the end date of a task is the moment when its trigger noticed the end of the job.
"""

from __future__ import annotations

import json
import random
import re
import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from airflow_provider_zbackup.utils.task import EARLIEST_EVENT
from airflow_provider_zbackup.zilliz.settings import ClientSettings
from benchmarks.report import percentile, table, verdict
from dev.airflow_stack import AirflowStack
from dev.database import Database
from dev.emulated_cloud import EmulatedCloud
from dev.services import postgresql

TITLE = "Concurrent waits in a real triggerer"
DAGS = Path(__file__).resolve().parent / "dags_triggerer"
DATABASE = DAG_ID = "waits"
#: Every wait has a log file. Every wait of the peer also has a socket, here and in the emulator.
OPEN_FILES = 8192
#: The emulator remembers no more requests than this.
LOGGED_REQUESTS = 10_000
#: How long a wait may go on after the end of its job, in seconds; then the end counts as not noticed.
PATIENCE = 300.0
#: Requests per second that Zilliz Cloud allows, per user and endpoint.
DOCUMENTED_LIMIT = 20
REQUESTS_PER_SECOND = ClientSettings.requests_per_second
MOST_IN_A_SECOND, MOST_ON_AVERAGE = 2 * REQUESTS_PER_SECOND, 1.05 * REQUESTS_PER_SECOND

INTRODUCTION = """\
{count:,} tasks deferred at the same moment. Each waited for its own job of {shortest:g} to {longest:g} s,
and jobs reported their progress. The peer is Databricks: each of its triggers reads the connection, has an
aiohttp session, and polls every 30 s, its default. *Airflow alone* is a trigger that sleeps until the end
of the job. *Delay* is the time from the end of a job to the end of its task, in seconds: median (95th
percentile). *Requests a second* are the average (and the most in one second). *CPU* is the CPU time of
both processes of the triggerer, per wait and minute of its job; *memory* is what they held more than
before. *Blocked* is how often the triggerer logged that its event loop was blocked (and for how many
seconds in total). Airflow itself blocks it when many triggers start, because it writes their log lines to
a busy supervisor."""

BLOCKED = re.compile(r"async thread was blocked for ([0-9.]+) seconds")
INSERT_TRIGGER = "INSERT INTO trigger (classpath, kwargs, created_date) VALUES (%s, %s, now()) RETURNING id"
DEFER = """
    UPDATE task_instance
    SET state = 'deferred', trigger_id = %s, next_method = 'execute_complete', next_kwargs = '{}',
        trigger_timeout = now() + interval '1 day', start_date = now(), try_number = 1
    WHERE dag_id = %s AND run_id = %s AND map_index = %s
"""
COUNT_DEFERRED = "SELECT count(*) FROM task_instance WHERE run_id = %s AND state = 'deferred'"
ENDS = """
    SELECT map_index, extract(epoch FROM end_date)::float FROM task_instance
    WHERE run_id = %s AND state = 'success'
"""


class Job(NamedTuple):
    """A job: its id, and its start and end, in seconds since the epoch."""

    job_id: str
    start: float
    end: float


class Way(NamedTuple):
    """A way to wait: a trigger class, and its arguments other than the id of the job and the connection."""

    classpath: str
    kwargs: Callable[[Job], dict[str, Any]]


OURS, PEER, AIRFLOW_ALONE = "ours", "peer", "Airflow alone"
WAYS = {
    OURS: Way(
        "airflow_provider_zbackup.triggers.job.ZillizJobTrigger",
        # The arguments that the sensor passes.
        lambda job: {
            "deadline": job.start + 3600.0,
            "poll_interval": 60.0,
            "since": job.start,
            "not_before": time.time() + EARLIEST_EVENT,
            "end_from_trigger": True,
        },
    ),
    PEER: Way("benchmarks.peer_triggers.FixedIntervalJobTrigger", lambda job: {"poll_interval": 30.0}),
    AIRFLOW_ALONE: Way("benchmarks.peer_triggers.SleepingTrigger", lambda job: {"until": job.end}),
}


@dataclass
class Outcome:
    """
    The outcome of all waits of one way.

    :param delays: seconds from the end of the job to the end of its task, for each task that succeeded.
    :param requests_by_second: the number of requests in each second.
    :param cpu: seconds of CPU time that the triggerer used.
    :param memory: the most bytes that it held, more than before the waits.
    :param blocks: for how many seconds its event loop was blocked, for each time.
    """

    delays: list[float]
    requests_by_second: Counter[int]
    cpu: float
    memory: float
    blocks: list[float]

    @property
    def most_requests(self) -> int:
        """Requests in the second that had the most."""
        return max(self.requests_by_second.values(), default=0)

    @property
    def rate(self) -> float:
        """Requests per second, on average from the first to the last request."""
        seconds = self.requests_by_second.keys()
        return self.requests_by_second.total() / (max(seconds) - min(seconds) + 1) if seconds else 0.0


class Triggerer:
    """The CPU time and the memory of the triggerer, a child of this process, and of its own children."""

    def __init__(self) -> None:
        (first,) = (it for it in psutil.Process().children() if "triggerer" in it.cmdline())
        self._processes = [first, *first.children(recursive=True)]

    def cpu(self) -> float:
        """Return the CPU time so far, in seconds, with that of its children that have ended."""
        return float(sum(sum(process.cpu_times()[:4]) for process in self._processes))

    def memory(self) -> float:
        """Return the bytes that they hold; memory that they share counts once."""
        return float(sum(process.memory_full_info().pss for process in self._processes))


class Bench:
    """An Airflow without a triggerer, the Zilliz Cloud that it uses, and its database."""

    def __init__(self, stack: AirflowStack, cloud: EmulatedCloud, database: Database) -> None:
        self._stack = stack
        self._cloud = cloud
        self._database = database

    def run(self, way: Way, lengths: Sequence[float]) -> Outcome:
        """Let a new triggerer wait for jobs of these lengths."""
        self._stack.start("triggerer")
        # The first wait pays for what all waits share, such as imports, so it does not count.
        self._wait_for_end(self._defer(way, self._start_jobs([0.0])), PATIENCE)
        self._cloud.reset()
        triggerer = Triggerer()
        cpu, memory, log = triggerer.cpu(), triggerer.memory(), len(self._stack.log("triggerer"))
        jobs = self._start_jobs(lengths)
        run_id = self._defer(way, jobs)
        peak = self._wait_for_end(run_id, max(lengths) + PATIENCE, triggerer.memory)
        cpu = triggerer.cpu() - cpu
        blocks = [float(seconds) for seconds in BLOCKED.findall(self._stack.log("triggerer")[log:])]
        self._stack.stop("triggerer")
        delays = [end - jobs[index].end for index, end in self._database.rows(ENDS, run_id)]
        return Outcome(delays, self._requests(), cpu, peak - memory, blocks)

    def _start_jobs(self, lengths: Sequence[float]) -> list[Job]:
        jobs = []
        for length in lengths:
            before = time.time()
            backup = self._cloud.start_backup(seconds=length)
            start = (before + time.time()) / 2
            jobs.append(Job(backup["jobId"], start, start + length))
        return jobs

    def _defer(self, way: Way, jobs: Sequence[Job]) -> str:
        """Let the tasks of a new run wait for the jobs, in one transaction, and return the id of the run."""
        run_id = self._stack.api.trigger_dag_run(DAG_ID)
        connection = self._database.connect()
        connection.autocommit = False
        try:
            with connection, connection.cursor() as cursor:
                for index, job in enumerate(jobs):
                    kwargs = {"job_id": job.job_id, "zilliz_conn_id": "zilliz_default", **way.kwargs(job)}
                    cursor.execute(INSERT_TRIGGER, (way.classpath, json.dumps(kwargs)))
                    (trigger_id,) = cursor.fetchone()
                    cursor.execute(DEFER, (trigger_id, DAG_ID, run_id, index))
        finally:
            connection.close()
        return run_id

    def _wait_for_end(self, run_id: str, timeout: float, memory: Callable[[], float] = lambda: 0.0) -> float:
        """Wait until no task of a run is deferred, and return the most memory seen."""
        deadline, peak = time.monotonic() + timeout, 0.0
        while self._database.rows(COUNT_DEFERRED, run_id)[0][0] and time.monotonic() < deadline:
            self._stack.check_alive()
            peak = max(peak, memory())
            time.sleep(1.0)
        return peak

    def _requests(self) -> Counter[int]:
        requests = self._cloud.requests("describe_job")
        if len(requests) >= LOGGED_REQUESTS:
            raise RuntimeError("The emulator does not remember all requests, so they cannot be counted")
        return Counter(int(datetime.fromisoformat(request["time"]).timestamp()) for request in requests)


@contextmanager
def bench() -> Iterator[Bench]:
    """Start everything but a triggerer."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, most))
    with ExitStack() as stack:
        database = stack.enter_context(postgresql()).create(DATABASE)
        cloud = stack.enter_context(EmulatedCloud(job_seconds=1))
        settings = {**cloud.environment, "AIRFLOW__TRIGGERER__CAPACITY": "2000"}
        airflow = stack.enter_context(
            AirflowStack(
                DAGS,
                environment=settings,
                components=("api-server", "scheduler", "dag-processor"),
                database_url=database.url,
            )
        )
        # The DAG stays paused, so that the scheduler does not run its tasks.
        airflow.wait_until(lambda: DAG_ID in airflow.api.dag_ids(), "The DAG is parsed")
        yield Bench(airflow, cloud, database)


def even_lengths(shortest: float, longest: float, count: int) -> list[float]:
    """Return evenly spread lengths in a random order, which is always the same."""
    lengths = [shortest + (longest - shortest) * index / (count - 1) for index in range(count)]
    random.Random(1).shuffle(lengths)
    return lengths


def comparison(outcomes: dict[str, Outcome], lengths: Sequence[float]) -> str:
    """Return the table that compares all ways."""
    count, minutes = len(lengths), sum(lengths) / 60
    rows = [
        [
            name,
            f"{len(it.delays):,} of {count:,}",
            f"{statistics.median(it.delays):.1f} ({percentile(it.delays, 0.95):.1f})" if it.delays else "-",
            f"{it.requests_by_second.total():,}",
            f"{it.rate:.1f} ({it.most_requests})",
            f"{1000 * it.cpu / minutes:.1f}",
            f"{it.memory / 1024 / count:.0f}",
            f"{len(it.blocks)} ({sum(it.blocks):.1f})",
        ]
        for name, it in outcomes.items()
    ]
    header = ["way", "noticed", "delay", "requests", "requests a second"]
    return table([*header, "CPU ms per wait and minute", "memory kB per wait", "blocked"], rows)


def measure(*, quick: bool) -> str:
    """Let a triggerer wait in every way, and return the section."""
    lengths = even_lengths(10.0, 20.0, 50) if quick else even_lengths(60.0, 240.0, 1000)
    outcomes = {}
    with bench() as it:
        for name, way in WAYS.items():
            print(f"{name}: {len(lengths)} waits", file=sys.stderr)
            outcomes[name] = it.run(way, lengths)
    ours, peer = outcomes[OURS], outcomes[PEER]
    seconds_over_limit = sum(requests > DOCUMENTED_LIMIT for requests in peer.requests_by_second.values())
    return "\n\n".join(
        [
            INTRODUCTION.format(count=len(lengths), shortest=min(lengths), longest=max(lengths)),
            comparison(outcomes, lengths),
            f"With {REQUESTS_PER_SECOND:g} requests a second, each of {len(lengths):,} waits can poll every "
            f"{len(lengths) / REQUESTS_PER_SECOND:.0f} s. The limit that Zilliz Cloud documents is "
            f"{DOCUMENTED_LIMIT} a second per user and endpoint. The emulator does not enforce it. "
            f"The peer sent more in {seconds_over_limit} seconds.",
            verdict("all waits notice the end of their job", len(ours.delays) == len(lengths)),
            verdict(
                f"at most {MOST_IN_A_SECOND:g} requests in any one second, {MOST_ON_AVERAGE:g} on average",
                ours.most_requests <= MOST_IN_A_SECOND and ours.rate <= MOST_ON_AVERAGE,
            ),
        ]
    )
