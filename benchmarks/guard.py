"""What ``backup_before`` costs in a real Airflow, compared with the same tasks wired by hand."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import table, verdict
from dev.airflow_stack import COMPONENTS, AirflowStack
from dev.database import Database
from dev.emulated_cloud import EmulatedCloud
from dev.services import postgresql

TITLE = "A guarded migration in a real Airflow"
DAGS = Path(__file__).resolve().parent / "dags"

GUARDED, BY_HAND = "guarded", "wired_by_hand"
WAYS = {GUARDED: "`backup_before`", BY_HAND: "wired by hand"}
RUNS = 15
RUN_SECONDS = 120.0
GOAL = 1.05

INTRODUCTION = """\
A backup, the wait until no other runs, the migration, and a restore if it fails. There is one run at a
time, both ways take turns, and the backup takes 1 s. *Begins* is the time from the start of the run to the
start of the migration, *ends* that to the end of the run, in seconds (median). The guard needs a task of its
own to see that there is nothing to restore. By hand, Airflow skips the restore itself, but a run whose
migration failed counts as a success."""


@dataclass
class Times:
    """Seconds from the start of each run."""

    begins: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    def cells(self) -> list[str]:
        return [f"{statistics.median(values):.2f}" for values in (self.begins, self.ends)]


def measure_runs(
    stack: AirflowStack, cloud: EmulatedCloud, database: Database, runs: int
) -> dict[bool, dict[str, Times]]:
    """Return the times of each way, for migrations that go well and for those that fail."""
    times = {fail: {way: Times() for way in WAYS} for fail in (False, True)}
    for _ in range(runs):
        for fail, ways in times.items():
            for way, seen in ways.items():
                # A cluster has one manual backup at a time, and a collection is restored once.
                cloud.reset()
                run_id = stack.api.trigger_dag_run(way, {"fail": fail})
                stack.api.wait_for_dag_run(way, run_id, RUN_SECONDS)
                ((begins, ends),) = database.rows(
                    "SELECT extract(epoch FROM ti.start_date - dr.start_date)::float, "
                    "extract(epoch FROM dr.end_date - dr.start_date)::float "
                    "FROM dag_run dr JOIN task_instance ti USING (dag_id, run_id) "
                    "WHERE ti.task_id = 'migrate' AND run_id = %s",
                    run_id,
                )
                seen.begins.append(begins)
                seen.ends.append(ends)
    print(times, file=sys.stderr)
    return times


def measure(*, quick: bool) -> str:
    """Run everything, and return the section."""
    with (
        postgresql() as server,
        EmulatedCloud(job_seconds=1) as cloud,
        AirflowStack(
            DAGS,
            dag_ids=list(WAYS),
            environment=cloud.environment,
            components=COMPONENTS,
            database_url=(database := server.create("airflow")).url,
        ) as stack,
    ):
        times = measure_runs(stack, cloud, database, 1 if quick else RUNS)
    rows = [[label, *times[False][way].cells(), *times[True][way].cells()] for way, label in WAYS.items()]
    header = ["way", "goes well: begins", "ends", "fails: begins", "ends"]
    ratio = statistics.median(times[False][GUARDED].begins) / statistics.median(times[False][BY_HAND].begins)
    goal = f"the guarded migration begins after at most {GOAL} times as long ({ratio:.2f})"
    return "\n\n".join([INTRODUCTION, table(header, rows), verdict(goal, ratio <= GOAL)])
