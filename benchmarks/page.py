"""
What the page *Zilliz backups* costs: the people who look, Zilliz Cloud, and Airflow's API server.

An API server with one worker shows emulated clouds. The page asks them for at most 10 requests a second, the
default of a connection.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

from airflow_provider_zbackup.emulator import ControlPlane, serve
from airflow_provider_zbackup.emulator.history import HOUR
from airflow_provider_zbackup.emulator.server import RunningEmulator
from benchmarks.report import table, verdict
from dev.airflow_stack import AirflowStack

TITLE = "The page in the Airflow UI"
INTRODUCTION = """\
A person opens the page: the browser gets its frame at once, and then asks for the content until all is there.
*Cold* is the first look at a connection since the API server started, *warm* any look in the next 30 s.
Beside it, one worker of the API server: its memory, and how fast it answers for Airflow itself."""
#: Clusters and backups of each.
SIZES = ((4, 10), (1000, 10))
ROUNDS = 7
#: Until then a page shows everything, also on a slow machine.
COMPLETE_SECONDS = 300.0
VIEWERS = 60
#: How long Zilliz Cloud takes for an answer while people wait, in seconds.
SLOW_SECONDS = 6.0
#: How much slower Airflow may answer meanwhile, in seconds.
MOST_SECONDS = 0.1
#: Every process of Airflow imports the plugin. What it imports of Airflow is there already.
IMPORT = """
import time
import airflow.plugins_manager, packaging.version
begin = time.perf_counter()
import airflow_provider_zbackup.ui.plugin
print("RESULT", time.perf_counter() - begin)
"""
MOST_IMPORT_SECONDS = 0.001
PAGE, DAGS = "/zilliz/backups", "/api/v2/dags"


def measure(*, quick: bool) -> str:
    """
    Measure, and return the section.

    :param quick: only the small cloud, and few rounds.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        AirflowStack(Path(folder), components=["api-server"]) as stack,
    ):
        return asyncio.run(_measure(stack, SIZES[:1] if quick else SIZES, 3 if quick else ROUNDS))


async def _measure(stack: AirflowStack, sizes: tuple[tuple[int, int], ...], rounds: int) -> str:
    headers = {"Authorization": f"Bearer {stack.api.token()}"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=stack.base_url, headers=headers, limits=limits, timeout=120, trust_env=False
    ) as client:
        idle = await _typical(client, DAGS, rounds)
        # The page is imported when it is opened for the first time.
        first, _ = await _timed(client.get(PAGE))
        server = psutil.Process(stack.pid("api-server"))
        rows = []
        for size in sizes:
            rows.append(await _look(client, stack, server, *size, rounds))
            print(*rows[-1], sep=" | ", file=sys.stderr)
        beside = await _beside_viewers(client, stack, rounds)
    plugin = median([_import_plugin() for _ in range(rounds)])
    columns = (
        "clusters",
        "backups",
        "cold: frame",
        "cold: all is there",
        "requests to Zilliz Cloud",
        "warm: frame",
        "warm: content",
        "memory",
    )
    return "\n\n".join(
        [
            INTRODUCTION,
            table(columns, rows),
            f"The first opening after a start of the API server also imports the page: {first:.2f} s.",
            f"Airflow's own `GET {DAGS}`, median of {rounds}: {_milliseconds(idle)} when idle, "
            f"{_milliseconds(beside)} while {VIEWERS} requests of viewers wait for a Zilliz Cloud that takes "
            f"{SLOW_SECONDS:.0f} s for an answer.",
            f"Every process of Airflow imports the plugin: {1000 * plugin:.2f} ms, median of {rounds}.",
            verdict(f"at most {1000 * MOST_IMPORT_SECONDS:.0f} ms", plugin <= MOST_IMPORT_SECONDS),
            verdict(
                f"with {VIEWERS} waiting viewers Airflow answers at most {MOST_SECONDS} s later",
                beside - idle <= MOST_SECONDS,
            ),
        ]
    )


async def _look(
    client: httpx.AsyncClient,
    stack: AirflowStack,
    server: psutil.Process,
    clusters: int,
    backups: int,
    rounds: int,
) -> list[Any]:
    conn_id = f"with_{clusters}"
    before = _memory(server)
    control_plane = ControlPlane()
    control_plane.clusters.clear()
    control_plane.put_fleet(clusters, backups, every=HOUR)
    with serve(control_plane) as emulator:
        _connect(stack, conn_id, emulator)
        frame, _ = await _timed(client.get(f"{PAGE}?connection={conn_id}"))
        began = time.monotonic()
        while True:
            answer = await client.get(f"{PAGE}?connection={conn_id}&part=true")
            if 'data-again="1"' not in answer.text:
                break
            if time.monotonic() - began > COMPLETE_SECONDS:
                raise TimeoutError(f"Not all is there after {COMPLETE_SECONDS:.0f} s: {answer.text}")
        complete = frame + time.monotonic() - began
        requests = len(control_plane.requests)
        warm = [
            await _typical(client, f"{PAGE}?connection={conn_id}{part}", rounds)
            for part in ("", "&part=true")
        ]
        stack.api.delete_connection(conn_id)
    return [
        f"{clusters:,}",
        f"{clusters * backups:,}",
        _milliseconds(frame),
        f"{complete:.1f} s",
        requests,
        *map(_milliseconds, warm),
        f"+ {(_memory(server) - before) / 1e6:.0f} MB",
    ]


async def _beside_viewers(client: httpx.AsyncClient, stack: AirflowStack, rounds: int) -> float:
    control_plane = ControlPlane()
    control_plane.faults.add("*", delay=SLOW_SECONDS)
    with serve(control_plane) as emulator:
        _connect(stack, "slow", emulator)
        times = []
        address = f"{PAGE}?connection=slow&part=true"
        viewers = [asyncio.create_task(_keep_looking(client, address)) for _ in range(VIEWERS)]
        await asyncio.sleep(1)
        for _ in range(rounds):
            times.append((await _timed(client.get(DAGS)))[0])
        for viewer in viewers:
            viewer.cancel()
        await asyncio.gather(*viewers, return_exceptions=True)
        stack.api.delete_connection("slow")
    return median(times)


async def _keep_looking(client: httpx.AsyncClient, address: str) -> None:
    while True:
        (await client.get(address)).raise_for_status()
        # As the page's script does.
        await asyncio.sleep(1)


def _connect(stack: AirflowStack, conn_id: str, emulator: RunningEmulator) -> None:
    stack.api.add_connection(conn_id, emulator.connection)


def _import_plugin() -> float:
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    return float(done.stdout.split("RESULT")[1])


async def _typical(client: httpx.AsyncClient, address: str, rounds: int) -> float:
    return median([(await _timed(client.get(address)))[0] for _ in range(rounds)])


async def _timed(request: Awaitable[httpx.Response]) -> tuple[float, httpx.Response]:
    began = time.monotonic()
    answer = await request
    answer.raise_for_status()
    return time.monotonic() - began, answer


def _memory(server: psutil.Process) -> int:
    """Return the memory of the API server with all its workers, in bytes."""
    return sum(each.memory_info().rss for each in (server, *server.children(recursive=True)))


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
