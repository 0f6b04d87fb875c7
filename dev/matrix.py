"""
``make test-matrix``: runs the tests and the demo on each supported Airflow, with each Python that is here.

``python -m dev.matrix --json`` prints the cells for the workflow in ``.github``, which runs each on a machine
of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

#: The supported lines of Airflow, and the versions of Python with which the tests have passed on each.
SUPPORTED = {
    "2.11": ("3.11",),
    "3.0": ("3.11",),
    "3.1": ("3.12",),
    "3.2": ("3.13",),
    "3.3": ("3.11", "3.13", "3.14"),
}


def cells() -> Iterator[tuple[str, str]]:
    """Yield each pair of Airflow and Python."""
    for airflow, pythons in SUPPORTED.items():
        for python in pythons:
            yield airflow, python


def targets(airflow: str) -> list[str]:
    """Return what to make for a cell. The demo needs the components of Airflow 3."""
    return ["test-on"] if airflow.startswith("2.") else ["test-on", "demo-on"]


def run_cell(airflow: str, python: str) -> str:
    """Make the targets of a cell, and return their outcome."""
    program = f"python{python}"
    try:
        subprocess.run([program, "-c", ""], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return f"not tried: this machine has no {program}"
    done = subprocess.run(["make", *targets(airflow), f"AIRFLOW={airflow}", f"PYTHON={program}"])
    return "FAILED" if done.returncode else "passed"


def main() -> int:
    if "--json" in sys.argv:
        print(
            json.dumps(
                [
                    {"airflow": airflow, "python": python, "targets": " ".join(targets(airflow))}
                    for airflow, python in cells()
                ]
            )
        )
        return 0
    results = {cell: run_cell(*cell) for cell in cells()}
    for (airflow, python), result in results.items():
        print(f"Airflow {airflow:5} Python {python:5} {result}")
    return int("FAILED" in results.values())


if __name__ == "__main__":
    sys.exit(main())
