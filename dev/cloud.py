"""The emulated Zilliz Cloud as the tests steer and question it, through its admin API."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import httpx

from airflow_provider_zbackup.emulator.seed import API_KEY, DEDICATED_CLUSTER_ID
from dev.emulated_cloud import EmulatedCloud
from dev.processes import wait_until

Json: TypeAlias = dict[str, Any]

CLUSTER_ID = DEDICATED_CLUSTER_ID
JOB_SECONDS = 120.0
# How long the provider waits for an answer. What got none is looked for in the list of backups for some time
# after this has passed, so the default of 30 s would make the tests slow.
ANSWER_SECONDS = 6.0


class Cloud:
    """
    Admin of an emulated Zilliz Cloud.

    :param emulator: the running emulator.
    """

    def __init__(self, emulator: EmulatedCloud) -> None:
        self._emulator = emulator
        self._admin = httpx.Client(base_url=f"{emulator.base_url}/_emulator", timeout=30, trust_env=False)

    @property
    def environment(self) -> dict[str, str]:
        """The variable that gives Airflow the connection ``zilliz_default``."""
        ((variable, text),) = self._emulator.environment.items()
        connection = json.loads(text)
        connection["extra"]["timeout"] = ANSWER_SECONDS
        return {variable: json.dumps(connection)}

    @property
    def secret(self) -> str:
        """The API key, which nobody may see."""
        return API_KEY

    def close(self) -> None:
        """Close the connections."""
        self._admin.close()

    def reset(self) -> None:
        """Forget all backups, faults and requests."""
        self._request("POST", "/reset")

    def configure(self, **settings: Any) -> None:
        """
        Change some settings.

        :param settings: such as ``job_seconds``.
        """
        self._request("PATCH", "/settings", settings)

    def fault(self, operation: str, **effect: Any) -> None:
        """
        Make something go wrong; see the emulator's ``FaultRule``.

        :param operation: the operation that it befalls.
        :param effect: what happens, and how often.
        """
        self._request("POST", "/faults", {"operation": operation, **effect})

    def hang(self, operation: str, *, after: bool = False, skip: int = 0) -> None:
        """
        Let one request go without an answer for longer than anybody waits.

        :param operation: which.
        :param after: do the work first; else it is never done.
        :param skip: how many requests are answered before.
        """
        self.fault(operation, delay=3 * ANSWER_SECONDS, after=after, skip=skip, times=1)
        if not after:
            self.fault(operation, drop=True, skip=skip, times=1)

    def add_cluster(self, cluster_id: str) -> None:
        """
        Add a dedicated cluster.

        :param cluster_id: its id.
        """
        self._request("POST", "/clusters", {"cluster_id": cluster_id})

    def start_backup(self, *, seconds: float, creation_method: str = "MANUAL") -> Json:
        """
        Start a backup that is nobody's task's; nothing that runs already is in its way.

        :param seconds: how long it takes.
        :param creation_method: ``MANUAL``, or ``AUTO`` for one of a policy.
        """
        body = {"cluster_id": CLUSTER_ID, "creation_method": creation_method, "job": {"seconds": seconds}}
        backup: Json = self._request("POST", "/backups", body)
        return backup

    def backups(self) -> list[Json]:
        """Return all backups, oldest first, with the ids of their jobs."""
        backups: list[Json] = self._request("GET", "/state")["backups"]
        return sorted(backups, key=lambda backup: (backup["createTime"], backup["backupId"]))

    def job(self, job_id: str) -> Json:
        """
        Return a job.

        :param job_id: its id.
        """
        return next(job for job in self._request("GET", "/state")["jobs"] if job["jobId"] == job_id)

    def requests(self, operation: str) -> list[Json]:
        """
        Return what was asked of one operation, oldest first.

        :param operation: such as ``create_backup``.
        """
        return [each for each in self._request("GET", "/requests") if each["operation"] == operation]

    def wait_for_end(self, backup: Json) -> None:
        """
        Wait until a backup's job has ended.

        :param backup: the backup.
        """
        what = f"Job {backup['jobId']} ends"
        wait_until(lambda: bool(self.job(backup["jobId"])["endTime"]), JOB_SECONDS, what)

    def the_backup(self) -> Json:
        """Return the one backup there is, having made sure that no create but its own was carried out."""
        backups = self.backups()
        assert len(backups) == 1, f"There must be exactly one backup, not {backups}"
        assert self.creates_done() == 1
        return backups[0]

    def creates_done(self) -> int:
        """Return how many creates were carried out, whatever the client was told."""
        return sum(request["work_done"] for request in self.requests("create_backup"))

    def _request(self, method: str, path: str, body: Json | None = None) -> Any:
        response = self._admin.request(method, path, json=body)
        assert response.is_success, f"{method} {path}: HTTP {response.status_code}: {response.text}"
        return response.json()
