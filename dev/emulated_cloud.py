"""The emulator of Zilliz Cloud as a process."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Self

import httpx

from dev.processes import Processes, wait_until

START_SECONDS = 60.0


class EmulatedCloud:
    """
    A Zilliz Cloud of one's own, for the time of a ``with`` block.

    :param job_seconds: how long backups and other jobs take.
    :ivar environment: the variable that gives Airflow the connection ``zilliz_default``.
    :ivar base_url: address of the API and of the emulated console.
    """

    def __init__(self, *, job_seconds: float) -> None:
        self._job_seconds = job_seconds
        self._processes = Processes()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self._processes)
            arguments = ["--port", "0", "--job-seconds", f"{self._job_seconds:g}"]
            self._processes.start(
                "emulator", [sys.executable, "-m", "airflow_provider_zbackup.emulator", *arguments]
            )
            wait_until(self._is_announced, START_SECONDS, "The emulator tells its connection")
            variable, _, connection = self._announcement().partition("=")
            self.environment: Mapping[str, str] = {variable: connection}
            self.base_url = str(json.loads(connection)["host"])
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def state(self) -> dict[str, Any]:
        """Return everything that is in the emulated cloud."""
        response = httpx.get(f"{self.base_url}/_emulator/state", trust_env=False)
        state: dict[str, Any] = response.raise_for_status().json()
        return state

    def _is_announced(self) -> bool:
        self._processes.check()
        return bool(self._announcement())

    def _announcement(self) -> str:
        for line in self._processes.log_lines("emulator"):
            if line.startswith("export AIRFLOW_CONN_"):
                return shlex.split(line)[1]
        return ""
