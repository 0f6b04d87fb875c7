"""
How much time the import of a provider adds to what every DAG file imports anyway: this provider and its
peers.

Each round is a new process. It first imports what every DAG file needs, and then the operators and sensors
of one provider. Both times come from the same process, so the load of the machine changes their ratio
little.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from benchmarks.report import table, verdict

TITLE = "Import"
GOAL = 1.02
OURS = "airflow-provider-zbackup"
AIRFLOW_ALONE = "Airflow's own base classes"
MODULES = {
    AIRFLOW_ALONE: [
        "airflow.providers.common.compat.sdk:BaseOperator,BaseSensorOperator,BaseHook,XCom,conf",
        "airflow.triggers.base",
    ],
    OURS: [
        "airflow_provider_zbackup.operators.backup",
        "airflow_provider_zbackup.sensors.job",
        "airflow_provider_zbackup.sensors.backup",
    ],
    "pinecone": ["airflow.providers.pinecone.operators.pinecone"],
    "airbyte": ["airflow.providers.airbyte.operators.airbyte", "airflow.providers.airbyte.sensors.airbyte"],
    "dbt-cloud": ["airflow.providers.dbt.cloud.operators.dbt", "airflow.providers.dbt.cloud.sensors.dbt"],
    "amazon, RDS": ["airflow.providers.amazon.aws.operators.rds", "airflow.providers.amazon.aws.sensors.rds"],
    "databricks": [
        "airflow.providers.databricks.operators.databricks",
        "airflow.providers.databricks.sensors.databricks",
    ],
}
ROUND = """
import importlib, sys, time
begin = time.perf_counter()
from airflow.sdk import DAG
base = time.perf_counter() - begin
known = len(sys.modules)
begin = time.perf_counter()
for item in sys.argv[1:]:
    module, _, names = item.partition(":")
    module = importlib.import_module(module)
    for name in filter(None, names.split(",")):
        getattr(module, name)
print("RESULT", 1 + (time.perf_counter() - begin) / base, len(sys.modules) - known)
"""
INTRODUCTION = """\
Every DAG file needs `from airflow.sdk import DAG`. How much longer the imports take with the operators and
sensors of a provider: the median ratio [least - most], and how many modules that adds."""


def run_round(modules: list[str]) -> tuple[float, int]:
    """Return the ratio, and the number of added modules."""
    done = subprocess.run(
        [sys.executable, "-c", ROUND, *modules],
        # What Python has compiled is kept, as where a package is installed.
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    ratio, added = done.stdout.split("RESULT")[1].split()
    return float(ratio), int(added)


def measure(*, quick: bool) -> str:
    """Import every provider many times, and return the section."""
    rounds = 2 if quick else 15
    ratios: dict[str, list[float]] = {name: [] for name in MODULES}
    added: dict[str, int] = {}
    for modules in MODULES.values():
        run_round(modules)  # compiles
    for _ in range(rounds):
        for name, modules in MODULES.items():
            ratio, added[name] = run_round(modules)
            ratios[name].append(ratio)
    medians = {name: statistics.median(seen) for name, seen in ratios.items()}
    rows = [
        [name, f"x {medians[name]:.3f} [{min(seen):.3f} - {max(seen):.3f}]", added[name]]
        for name, seen in ratios.items()
    ]
    peers = min(median for name, median in medians.items() if name not in (OURS, AIRFLOW_ALONE))
    return "\n\n".join(
        [
            INTRODUCTION,
            table(["provider", f"ratio, {rounds} rounds", "modules"], rows),
            verdict(f"at most x {GOAL}", medians[OURS] <= GOAL),
            verdict("less than every peer", medians[OURS] < peers),
        ]
    )
