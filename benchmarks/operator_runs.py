"""Runs an operator in a process of its own, against an emulator in another one, and measures its cost."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any


def serve(control_plane: Any) -> None:
    """Serve an emulated cloud until the standard input ends. Print the Airflow connection."""
    from airflow_provider_zbackup.emulator import serve as serve_emulator

    with serve_emulator(control_plane) as emulator:
        print(json.dumps(emulator.connection), flush=True)
        sys.stdin.read()


@contextmanager
def emulator(module: str, *arguments: object) -> Iterator[dict[str, Any]]:
    """
    Run ``python -m benchmarks.<module> serve <arguments>``, and give the Airflow connection to it.

    :param module: it calls :func:`serve` then.
    """
    command = [sys.executable, "-m", f"benchmarks.{module}", "serve", *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        yield json.loads(process.stdout.readline())
        process.stdin.close()


def execute(task: Any) -> tuple[Any, dict[str, float]]:
    """Execute a task in this process; return its result and what it cost."""
    context = {"ti": SimpleNamespace(xcom_push=lambda **_: None)}
    memory, cpu, begun = _memory_mb(), time.process_time(), time.monotonic()
    result = task.execute(context)
    return result, {
        "cpu": time.process_time() - cpu,
        "seconds": time.monotonic() - begun,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - memory,
    }


def _memory_mb() -> float:
    """Return what this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def run_case(module: str, connection: dict[str, Any], rate: float, case: Any) -> dict[str, Any]:
    """
    Run ``python -m benchmarks.<module> case <case>``, and return what it gives to :func:`tell`.

    :param rate: limit of requests per second.
    :param case: plain JSON.
    """
    limited = connection | {"extra": {"requests_per_second": rate}}
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{module}", "case", json.dumps(case)],
            env=os.environ | {"AIRFLOW_HOME": home, "AIRFLOW_CONN_ZILLIZ_DEFAULT": json.dumps(limited)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    seen: dict[str, Any] = json.loads(done.stdout.split("RESULT")[1])
    print(case, seen, file=sys.stderr)
    return seen


def tell(seen: dict[str, Any]) -> None:
    """Print what a case has shown."""
    print("RESULT", json.dumps(seen))


def spread(values: Sequence[float]) -> str:
    """Return a median, with the least and the most."""
    return f"{statistics.median(values):.2f} [{min(values):.2f} - {max(values):.2f}]"
