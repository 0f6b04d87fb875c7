"""The emulator of Zilliz Cloud in a process of its own, steered and questioned through its admin API."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import ExitStack
from typing import Any, Self

import httpx

from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from dev.airflow_api import Json
from dev.processes import Processes, wait_until

START_SECONDS = 60.0
LONGEST_JOB_SECONDS = 120.0


class EmulatedCloud:
    """
    A private Zilliz Cloud that exists for the time of a ``with`` block.

    :param job_seconds: how long backups and other jobs take.
    :param history: start with 30 days of backups.
    :param real_vectors: each cluster is a Milvus Lite.
    :param extra: more fields of Airflow's connection.
    :ivar base_url: address of the API and of the emulated web console.
    :ivar api_key: the secret that Airflow needs to use it.
    """

    def __init__(
        self,
        *,
        job_seconds: float,
        history: bool = False,
        real_vectors: bool = False,
        extra: Json | None = None,
    ) -> None:
        self._job_seconds = job_seconds
        self._history = history
        self._real_vectors = real_vectors
        self._extra = extra or {}
        self._processes = Processes()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self._processes)
            arguments = [
                "--port",
                "0",
                "--job-seconds",
                f"{self._job_seconds:g}",
                *(["--history"] if self._history else []),
                *(["--data"] if self._real_vectors else []),
            ]
            self._processes.start(
                "emulator", [sys.executable, "-m", "airflow_provider_zbackup.emulator", *arguments]
            )
            wait_until(self._has_started, START_SECONDS, "The emulator prints its connection")
            self._variable, _, text = self._printed_connection().partition("=")
            self._connection: Json = json.loads(text)
            self.base_url: str = self._connection["host"]
            self.api_key: str = self._connection["password"]
            self._admin = undo.enter_context(
                httpx.Client(base_url=f"{self.base_url}/_emulator", timeout=30, trust_env=False)
            )
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def connection(self) -> Json:
        """Airflow's connection, as its JSON form has it."""
        return {**self._connection, "extra": {**self._connection["extra"], **self._extra}}

    @property
    def environment(self) -> dict[str, str]:
        """The variable that gives Airflow the connection ``zilliz_default``."""
        return {self._variable: json.dumps(self.connection)}

    def reset(self) -> None:
        """Forget all backups, faults and requests."""
        self._request("POST", "/reset")

    def configure(self, **settings: Any) -> None:
        """
        Change settings.

        :param settings: such as ``job_seconds``.
        """
        self._request("PATCH", "/settings", settings)

    def fault(self, operation: str, **effect: Any) -> None:
        """
        Make requests fail; see the emulator's ``FaultRule``.

        :param operation: the operation that fails, such as ``create_backup``.
        :param effect: what happens, and how often.
        """
        self._request("POST", "/faults", {"operation": operation, **effect})

    def add_cluster(self, cluster_id: str) -> None:
        """
        Add a dedicated cluster.

        :param cluster_id: its id.
        """
        self._request("POST", "/clusters", {"cluster_id": cluster_id})

    def start_backup(self, *, seconds: float, creation_method: str = "MANUAL") -> Json:
        """
        Start a backup that belongs to no task, even while another backup is running.

        :param seconds: how long it takes.
        :param creation_method: ``MANUAL``, or ``AUTO`` for a backup that a policy starts.
        """
        body = {
            "cluster_id": DEDICATED_CLUSTER_ID,
            "creation_method": creation_method,
            "job": {"seconds": seconds},
        }
        backup: Json = self._request("POST", "/backups", body)
        return backup

    def cancel(self, backup: Json) -> None:
        """
        End a backup that is being made, as somebody in the console does.

        :param backup: the backup.
        """
        self._request("POST", "/jobs/end", {"job_id": backup["jobId"], "status": "CANCELED"})

    def state(self) -> Json:
        """Return everything that is in the cloud."""
        state: Json = self._request("GET", "/state")
        return state

    def backups(self) -> list[Json]:
        """Return all backups with the ids of their jobs, oldest first."""
        return sorted(self.state()["backups"], key=lambda backup: (backup["createTime"], backup["backupId"]))

    def job(self, job_id: str) -> Json:
        """
        Return a job.

        :param job_id: its id.
        """
        jobs: list[Json] = self.state()["jobs"]
        return next(job for job in jobs if job["jobId"] == job_id)

    def requests(self, operation: str) -> list[Json]:
        """
        Return the requests for one operation, oldest first.

        :param operation: such as ``create_backup``.
        """
        return [request for request in self._request("GET", "/requests") if request["operation"] == operation]

    def wait_for_end(self, backup: Json) -> None:
        """
        Wait until the job of a backup has ended.

        :param backup: the backup.
        """
        job_id = backup["jobId"]
        wait_until(lambda: bool(self.job(job_id)["endTime"]), LONGEST_JOB_SECONDS, f"Job {job_id} ends")

    def _has_started(self) -> bool:
        self._processes.check_alive()
        return bool(self._printed_connection())

    def _printed_connection(self) -> str:
        for line in self._processes.log_lines("emulator"):
            if line.startswith("export AIRFLOW_CONN_"):
                return shlex.split(line)[1]
        return ""

    def _request(self, method: str, path: str, body: Json | None = None) -> Any:
        response = self._admin.request(method, path, json=body)
        assert response.is_success, f"{method} {path}: HTTP {response.status_code}: {response.text}"
        return response.json()
