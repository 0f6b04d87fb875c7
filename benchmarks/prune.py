"""
What it costs to prune a large project: ``ZillizPruneBackupsOperator`` and 10,000 backups of 200 clusters.

The emulator is a process of its own, and each case is a new process that runs the operator once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from typing import Any

from benchmarks.operator_runs import emulator, execute, run_case, serve, spread, tell
from benchmarks.report import table, verdict

TITLE = "Pruning a large project"
CLUSTERS, BACKUPS_EACH = 200, 50
GOAL_SECONDS, GOAL_MB = 15.0, 200.0
KEEP = {"keep_daily": 7, "keep_weekly": 4}
#: What is pruned with the default limit of requests.
FEW_CLUSTERS, FEW_BACKUPS = 50, 10
#: Limits of requests per second. With the default, a plan that describes each backup takes long.
PLAN_RATE, DEFAULT_RATE = 1000.0, 10.0
INTRODUCTION = """\
`ZillizPruneBackupsOperator` on a project with {backups:,} backups: {clusters} clusters, each with a backup a
day. *CPU* is the processor time of the task's own process, from the start of the task to its end, with the
plan in the log; *memory* is the peak above what the process held before. Each run is a new process; the
emulator is in another one. Of {rounds} runs: median [least - most]. The load average of the machine was
{load:.1f} before and {load_after:.1f} after."""
DESCRIBED = """\
Only backups of which one may go must be described: lists show neither regions nor collections. To describe
{described:,} backups takes {minutes:.0f} minutes with the default limit of 10 requests per second; here it
was {rate:,.0f}."""
DELETIONS = """\
With the default limit, a task that deleted {deleted:,} of the backups sent {rate:.1f} requests and deleted
{per_second:.1f} backups per second. Before each deletion it reads the backup again, and every minute the
newest one of its group: without that one, the others must stay."""


def full_project(clusters: int, backups_each: int, backup_type: str) -> Any:
    """Return a cloud with a project full of backups."""
    from airflow_provider_zbackup.emulator import ControlPlane

    control_plane = ControlPlane()
    control_plane.put_fleet(clusters, backups_each, backup_type=backup_type)
    return control_plane


def prune(arguments: dict[str, Any]) -> dict[str, Any]:
    """Run one task in this process, and return what it cost."""
    from airflow_provider_zbackup.emulator.seed import PROJECT_ID
    from airflow_provider_zbackup.operators.backup import ZillizPruneBackupsOperator
    from airflow_provider_zbackup.zilliz.client import ZillizClient

    sent: list[tuple[float, str]] = []
    send = ZillizClient.send

    def count(client: ZillizClient, operation: Any) -> Any:
        reply = send(client, operation)
        sent.append((time.monotonic(), operation.name))
        return reply

    ZillizClient.send = count  # type: ignore[method-assign, assignment]
    task: Any = ZillizPruneBackupsOperator(task_id="prune", project_id=PROJECT_ID, **arguments)
    result, cost = execute(task)
    deletes = [number for number, (_, name) in enumerate(sent) if name == "delete backup"]
    deleting = [at for at, _ in sent[deletes[0] : deletes[-1] + 1]] if deletes else []
    deleting_seconds = deleting[-1] - deleting[0] if deleting else 0.0
    return {
        **cost,
        "sent": Counter(name for _, name in sent),
        "actions": Counter(backup["action"] for backup in result["backups"]),
        "deleting_seconds": deleting_seconds,
        "rate": (len(deleting) - 1) / deleting_seconds if deleting_seconds else 0.0,
    }


def measure(*, quick: bool) -> str:
    """Run all cases, and return the section."""
    clusters, backups_each = (20, 10) if quick else (CLUSTERS, BACKUPS_EACH)
    rounds = 1 if quick else 5
    plans = {
        "of clusters, each may go": ("CLUSTER", KEEP),
        "of collections, none can go": ("COLLECTION", {"keep_last": backups_each}),
        "of collections, each may go": ("COLLECTION", KEEP),
    }
    load = os.getloadavg()[0]
    seen: dict[str, list[dict[str, Any]]] = {}
    for name, (backup_type, rules) in plans.items():
        with emulator("prune", clusters, backups_each, backup_type) as connection:
            case = rules | {"dry_run": True}
            seen[name] = [run_case("prune", connection, PLAN_RATE, case) for _ in range(rounds)]
    with emulator("prune", min(clusters, FEW_CLUSTERS), FEW_BACKUPS, "CLUSTER") as connection:
        # One of each cluster goes.
        deleting = run_case("prune", connection, DEFAULT_RATE, {"keep_last": FEW_BACKUPS - 1})
    rows = [
        [
            name,
            spread([run["cpu"] for run in runs]),
            spread([run["memory"] for run in runs]),
            f"{runs[0]['sent']['list backups']:,}",
            f"{runs[0]['sent'].get('describe backup', 0):,}",
            f"{runs[0]['actions'].get('would be deleted', 0):,}",
        ]
        for name, runs in seen.items()
    ]
    header = ["plan of backups", "CPU, s", "memory, MB", "lists sent", "describes sent", "would be deleted"]
    all_runs = [run for runs in seen.values() for run in runs]
    described = clusters * backups_each
    deleted = deleting["actions"]["deleted"]
    return "\n\n".join(
        [
            INTRODUCTION.format(
                backups=clusters * backups_each,
                clusters=clusters,
                rounds=rounds,
                load=load,
                load_after=os.getloadavg()[0],
            ),
            table(header, rows),
            DESCRIBED.format(described=described, minutes=described / DEFAULT_RATE / 60, rate=PLAN_RATE),
            DELETIONS.format(
                deleted=deleted, rate=deleting["rate"], per_second=deleted / deleting["deleting_seconds"]
            ),
            verdict(
                f"each plan takes less than {GOAL_SECONDS:.0f} s of CPU",
                max(run["cpu"] for run in all_runs) < GOAL_SECONDS,
            ),
            verdict(
                f"each plan takes less than {GOAL_MB:.0f} MB",
                max(run["memory"] for run in all_runs) < GOAL_MB,
            ),
            verdict(
                "deletions use the whole limit of requests, within 5 %",
                abs(deleting["rate"] / DEFAULT_RATE - 1) <= 0.05,
            ),
        ]
    )


def main() -> None:
    """Serve, or run one case."""
    role, *arguments = sys.argv[1:]
    if role == "serve":
        serve(full_project(int(arguments[0]), int(arguments[1]), arguments[2]))
    else:
        tell(prune(json.loads(arguments[0])))


if __name__ == "__main__":
    main()
