"""
What importing this provider adds to what every DAG file imports anyway.

Each round is a fresh process that first imports what the bare DAG file needs and then the operators,
sensors and hook; the ratio within that process is what counts, and the median of the rounds is told.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

GOAL = 1.03
MODULES = {
    "airflow-provider-zbackup": [
        "airflow_provider_zbackup.operators.backup",
        "airflow_provider_zbackup.sensors.job",
        "airflow_provider_zbackup.sensors.backup",
        "airflow_provider_zbackup.hooks.zilliz",
    ],
    "floor: Airflow's own base classes": [
        "airflow.providers.common.compat.sdk:BaseOperator,BaseSensorOperator,BaseHook,XCom,conf",
        "airflow.triggers.base",
    ],
}
ROUND = """
import importlib, sys, time
begin = time.perf_counter()
from airflow.sdk import DAG
base = time.perf_counter() - begin
begin = time.perf_counter()
for item in sys.argv[1:]:
    module, _, names = item.partition(":")
    module = importlib.import_module(module)
    for name in filter(None, names.split(",")):
        getattr(module, name)
print("RATIO", 1 + (time.perf_counter() - begin) / base)
"""


def ratio(modules: list[str]) -> float:
    """Return how much longer a fresh process takes with some modules, as a ratio."""
    done = subprocess.run([sys.executable, "-c", ROUND, *modules], capture_output=True, text=True, check=True)
    return float(done.stdout.split("RATIO")[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    ratios: dict[str, list[float]] = {name: [] for name in MODULES}
    for _ in range(rounds):
        for name, modules in MODULES.items():
            ratios[name].append(ratio(modules))
    for name, seen in ratios.items():
        print(
            f"{name:36} x {statistics.median(seen):.3f}  [{min(seen):.3f} - {max(seen):.3f}], {rounds} rounds"
        )
    reached = statistics.median(ratios["airflow-provider-zbackup"])
    print(f"goal: at most x {GOAL}: {'reached' if reached <= GOAL else 'missed'}")
    return 0 if reached <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
