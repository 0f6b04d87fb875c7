"""Runs the example DAGs by ``dag.test()``, in fast time, and in one process: to start Airflow takes long."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from airflow_provider_zbackup.emulator import ControlPlane, RunningEmulator, Settings, serve
from airflow_provider_zbackup.version_compat import AIRFLOW_VERSION
from tests.clock import FastClock

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "example_dags"
#: DAGs that are made for tests.
DAGS = Path(__file__).parent / "dags"
#: Airflow 3 runs only what it finds in a bundle. From 3.1 on it reads the whole bundle before each run.
BUNDLES = [
    {
        "name": name,
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(path)},
    }
    for name, path in (("examples", EXAMPLES), ("tests", DAGS))
]
END = "-- end of the run"
#: When the clocks of the emulators and of the runner agree with the real time.
ORIGIN = time.time()
RUNNER = f"""
import importlib, json, os, sys, traceback
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from tests.clock import FastClock
ZillizHook.clock = FastClock({ORIGIN})
for line in sys.stdin:
    example, conf, os.environ["AIRFLOW_CONN_ZILLIZ_DEFAULT"] = json.loads(line)
    try:
        name, _, dag_id = example.partition(":")
        module = importlib.import_module(name)
        dags = [value for value in vars(module).values() if isinstance(value, DAG)]
        (dag,) = [dag for dag in dags if dag_id in ("", dag.dag_id)]
        if hasattr(dag, "sync_to_db"):
            # Airflow 2 keeps events only of assets that its database knows. And its dag.test() does not show
            # whether a scheduler could read the DAG.
            dag.sync_to_db()
            stored = importlib.import_module("airflow.serialization.serialized_objects").SerializedDAG
            stored.from_dict(stored.to_dict(dag))
        run = dag.test(run_conf=conf or None)
        for ti in run.get_task_instances():
            index = "" if ti.map_index < 0 else f"_{{ti.map_index}}"
            print(f"TASK {{ti.task_id}}{{index}} {{getattr(ti.state, 'value', ti.state)}}")
        print("STATE", getattr(run.state, "value", run.state))
    except Exception:
        traceback.print_exc()
    print("{END}")
"""
Run = Callable[..., str]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with Airflow's tables, for tests to copy."""
    database = tmp_path_factory.mktemp("airflow") / "empty.db"
    # In a process of its own: initialising a database and using it in one process disturbs Airflow.
    airflow(os.environ | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}"}, "db", "migrate")
    return database


def airflow(environment: dict[str, str], *command: str) -> str:
    """Run a command of Airflow, and return all that it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def runner(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """A process that runs the examples that it is told, one after the other."""
    # Not that of the other tests: they must pass without one, whatever ran before them.
    database = tmp_path_factory.mktemp("runner") / "airflow.db"
    shutil.copy(empty_database, database)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (EXAMPLES, DAGS, ROOT))),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(BUNDLES),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}",
    }
    if AIRFLOW_VERSION.release[:2] == (3, 0):
        # There a run can use only the assets of DAGs that have been parsed, and dag.test() parses none.
        airflow(environment, "dags", "reserialize")
    with subprocess.Popen(
        [sys.executable, "-u", "-c", RUNNER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with serve(ControlPlane(settings=Settings(job_seconds=0.5), clock=FastClock(ORIGIN).time)) as emulator:
        yield emulator


@pytest.fixture
def control_plane(emulator: RunningEmulator) -> ControlPlane:
    return emulator.control_plane


@pytest.fixture
def run(runner: subprocess.Popen[str], emulator: RunningEmulator) -> Run:
    """Run an example with a conf, and return all that it wrote; ``on_line`` gets each line at once."""

    def run(example: str, on_line: Callable[[str], None] | None = None, **conf: Any) -> str:
        assert runner.stdin
        assert runner.stdout
        print(json.dumps([example, conf, json.dumps(emulator.connection)]), file=runner.stdin, flush=True)
        too_late = Timer(300, runner.kill)
        too_late.start()
        said = ""
        for line in runner.stdout:
            if line.startswith(END):
                break
            said += line
            if on_line:
                on_line(line)
        too_late.cancel()
        return said

    return run
