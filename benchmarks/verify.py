"""
What it costs to prove a restore: ``ZillizVerifyCollectionsOperator`` and a collection of 1,000,000 rows.

The emulator is a process of its own, and each case is a new process that runs the operator once.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.operator_runs import emulator, execute, run_case, serve, spread, tell
from benchmarks.report import table, verdict

TITLE = "Proving a restore"
ROWS, SAMPLE_ROWS, DIMENSIONS = 1_000_000, 10_000, 128
GOAL_COUNT_SECONDS, GOAL_SAMPLE_SECONDS = 2.0, 30.0
NAME = "documents"
#: Limits of requests per second: high, so that the limit is not measured; and the default.
RATE, DEFAULT_RATE = 1000.0, 10.0
INTRODUCTION = """\
`ZillizVerifyCollectionsOperator` compares a collection of {rows:,} rows, with vectors of {dimensions}
dimensions, in two clusters. *CPU* is the processor time of the task's own process, from the start of the task
to its end; *memory* is the peak above what the process held before. Each run is a new process; the emulator
is in another one. Of {rounds} runs: median [least - most]. The load average of the machine was {load:.1f}
before and {load_after:.1f} after."""
RATES = """\
With the default limit of {rate:.0f} requests per second and cluster, a task with the sample takes at least
{seconds:.0f} s."""


class ManyRows:
    """
    As many rows as are wanted, which take no memory: each follows from its key.

    Pages show only keys, since that is all that is asked of them here.
    """

    has_dynamic_fields = False

    def __init__(self, rows: int) -> None:
        from airflow_provider_zbackup.emulator.data_plane.collection_data import Field, Index

        self._rows = rows
        self.fields = (
            Field("id", "Int64", is_primary=True),
            Field("title", "VarChar", params={"max_length": "512"}),
            Field("vector", "FloatVector", params={"dim": str(DIMENSIONS)}),
        )
        self.indexes = (Index("vector", "vector", metric="COSINE"),)

    def count(self) -> int:
        return self._rows

    def with_keys(self, keys: Sequence[Any]) -> list[Any]:
        return [self._row(key) for key in sorted(set(keys)) if 0 <= key < self._rows]

    def page(self, after: Any, offset: int, limit: int) -> list[Any]:
        start = offset + (0 if after is None else after + 1)
        return [{"id": key} for key in range(start, min(start + limit, self._rows))]

    def without(self, keys: Sequence[Any]) -> ManyRows:
        raise NotImplementedError

    def _row(self, key: int) -> dict[str, Any]:
        vector = [(key * 31 + place * 17) % 1009 / 1009 for place in range(DIMENSIONS)]
        return {"id": key, "title": f"Document {key}", "vector": vector}


def two_clusters(rows: int) -> Any:
    """Return a cloud with two clusters that have the same collection."""
    from airflow_provider_zbackup.emulator import ControlPlane, seed
    from airflow_provider_zbackup.emulator.records import Collection

    control_plane = ControlPlane()
    for cluster_id in (seed.DEDICATED_CLUSTER_ID, seed.SECOND_DEDICATED_CLUSTER_ID):
        cluster = control_plane.clusters[cluster_id]
        cluster.databases = {"": [Collection(NAME, data=ManyRows(rows))]}
    return control_plane


def verify(sample_rows: int) -> dict[str, Any]:
    """Run one task in this process, and return what it cost."""
    from airflow_provider_zbackup.emulator import seed
    from airflow_provider_zbackup.operators.verify import ZillizVerifyCollectionsOperator
    from airflow_provider_zbackup.zilliz.client import ZillizClient

    sent: Counter[str] = Counter()
    send = ZillizClient._send_once

    def count(client: ZillizClient, operation: Any) -> Any:
        sent[operation.address] += 1
        return send(client, operation)

    ZillizClient._send_once = count  # type: ignore[method-assign, assignment]
    task: Any = ZillizVerifyCollectionsOperator(
        task_id="verify",
        cluster_id=seed.SECOND_DEDICATED_CLUSTER_ID,
        source_cluster_id=seed.DEDICATED_CLUSTER_ID,
        sample_rows=sample_rows,
    )
    result, cost = execute(task)
    return {
        **cost,
        "requests": max(sent.values()),
        "rows": result["rows"],
        "sampled": result["sampled_rows"],
    }


def measure(*, quick: bool) -> str:
    """Run all cases, and return the section."""
    rows, rounds = (100_000, 1) if quick else (ROWS, 3)
    load = os.getloadavg()[0]
    with emulator("verify", rows) as connection:
        seen = {
            sample_rows: [run_case("verify", connection, RATE, sample_rows) for _ in range(rounds)]
            for sample_rows in (0, 100, SAMPLE_ROWS)
        }
    for runs in seen.values():
        assert all(run["rows"] == rows for run in runs)
    cells = [
        [
            f"by count and {runs[0]['sampled']:,} rows" if sample_rows else "by count",
            spread([run["cpu"] for run in runs]),
            spread([run["seconds"] for run in runs]),
            spread([run["memory"] for run in runs]),
            runs[0]["requests"],
        ]
        for sample_rows, runs in seen.items()
    ]
    header = ["compared", "CPU, s", "wall clock, s", "memory, MB", "requests to the busier cluster"]
    return "\n\n".join(
        [
            INTRODUCTION.format(
                rows=rows, dimensions=DIMENSIONS, rounds=rounds, load=load, load_after=os.getloadavg()[0]
            ),
            table(header, cells),
            RATES.format(rate=DEFAULT_RATE, seconds=seen[SAMPLE_ROWS][0]["requests"] / DEFAULT_RATE),
            verdict(
                f"by count in less than {GOAL_COUNT_SECONDS:.0f} s of CPU",
                max(run["cpu"] for run in seen[0]) < GOAL_COUNT_SECONDS,
            ),
            verdict(
                f"by {SAMPLE_ROWS:,} rows in less than {GOAL_SAMPLE_SECONDS:.0f} s of CPU",
                max(run["cpu"] for run in seen[SAMPLE_ROWS]) < GOAL_SAMPLE_SECONDS,
            ),
        ]
    )


def main() -> None:
    """Serve, or run one case."""
    role, argument = sys.argv[1:]
    if role == "serve":
        serve(two_clusters(int(argument)))
    else:
        tell(verify(int(argument)))


if __name__ == "__main__":
    main()
