"""The part of Airflow's REST API that the demo, the end-to-end tests and the benchmarks use."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import httpx

Json: TypeAlias = dict[str, Any]

# Long, because a slow machine is no error.
ANSWER_SECONDS = 120.0

FINAL_RUN_STATES = ("success", "failed")
#: Seconds between the tries of a request that finds Airflow's database locked.
LOCKED_PAUSES = (0.5, 1.0, 2.0, 4.0)


class AirflowApiError(RuntimeError):
    """Airflow refused a request."""


class AirflowApi:
    """
    Client of Airflow's REST API, version 2.

    :param base_url: address of the api-server.
    :param check: called after each poll of a wait; what it raises ends the wait.
    """

    def __init__(self, base_url: str, check: Callable[[], None] = lambda: None) -> None:
        self._client = httpx.Client(base_url=base_url, timeout=ANSWER_SECONDS, trust_env=False)
        self._check = check

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def log_in(self, user: str = "") -> None:
        """
        Get a token: Airflow 3.1 requires one even where everybody is an admin.

        :param user: a name, which is also the password; empty where everybody is an admin.
        """
        self._client.headers["Authorization"] = f"Bearer {self.token(user)}"

    def token(self, user: str = "") -> str:
        """
        Return a token, as the login page gives to a browser.

        :param user: as for :meth:`log_in`.
        """
        if user:
            answer = self._json("POST", "/auth/token", json={"username": user, "password": user})
        else:
            answer = self._json("GET", "/auth/token")
        token: str = answer["access_token"]
        return token

    def health(self) -> Json:
        """Return the health of each component, as the component reports it."""
        return self._json("GET", "/api/v2/monitor/health")

    def dag_ids(self) -> set[str]:
        """Return the ids of the DAGs that are parsed and not stale."""
        return {dag["dag_id"] for dag in self._json("GET", "/api/v2/dags", params={"limit": 100})["dags"]}

    def import_errors(self) -> dict[str, str]:
        """Return the traceback of each DAG file that cannot be imported."""
        errors = self._json("GET", "/api/v2/importErrors")["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def unpause(self, dag_id: str) -> None:
        """
        Let Airflow execute the runs of a DAG.

        :param dag_id: the DAG.
        """
        self._json("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def task_ids(self, dag_id: str) -> list[str]:
        """
        Return the ids of the tasks of a DAG, each after the tasks that it depends on.

        :param dag_id: the DAG.
        """
        tasks = self._json("GET", f"/api/v2/dags/{dag_id}/tasks")["tasks"]
        downstream = {task["task_id"]: task["downstream_task_ids"] for task in tasks}
        ordered: list[str] = []
        while downstream:
            blocked = {task_id for targets in downstream.values() for task_id in targets}
            ready = sorted(downstream.keys() - blocked)
            ordered += ready
            for task_id in ready:
                del downstream[task_id]
        return ordered

    def trigger_dag_run(self, dag_id: str, conf: Json | None = None) -> str:
        """
        Start a run.

        :param dag_id: the DAG.
        :param conf: the run's configuration.
        :return: the id of the run.
        """
        body = {"logical_date": None, "conf": conf or {}}
        run_id: str = self._json("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def dag_run(self, dag_id: str, run_id: str) -> Json:
        """
        Return a run.

        :param dag_id: its DAG.
        :param run_id: its id.
        """
        return self._json("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")

    def set_dag_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """
        Set the state of a run, as a user does in the UI. Airflow ends the tasks that still run.

        :param dag_id: its DAG.
        :param run_id: its id.
        :param state: ``success`` or ``failed``.
        """
        self._json("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", json={"state": state})

    def wait_for_dag_run(
        self,
        dag_id: str,
        run_id: str,
        timeout: float,
        on_change: Callable[[Json], None] = lambda task_instance: None,
        on_poll: Callable[[], None] = lambda: None,
        pause: float = 0.3,
    ) -> Json:
        """
        Wait until a run has ended, in success or failure.

        :param dag_id: its DAG.
        :param run_id: its id.
        :param timeout: seconds to wait at most.
        :param on_change: called with each task instance whose state or try has changed.
        :param on_poll: called after each poll.
        :param pause: seconds between two polls.
        :return: the run.
        :raises TimeoutError: if the run has not ended in time.
        """
        deadline = time.monotonic() + timeout
        seen: dict[tuple[str, int], tuple[str | None, int]] = {}
        while True:
            # The run is read before its tasks, so that the last changes of the tasks are never missed.
            run = self.dag_run(dag_id, run_id)
            for task_instance in self.task_instances(dag_id, run_id):
                key = task_instance["task_id"], task_instance["map_index"]
                value = task_instance["state"], task_instance["try_number"]
                if seen.get(key, (None, 0)) != value:
                    seen[key] = value
                    on_change(task_instance)
            on_poll()
            if run["state"] in FINAL_RUN_STATES:
                return run
            if time.monotonic() > deadline:
                states = {task_id: state for (task_id, _), (state, _) in seen.items()}
                raise TimeoutError(f"{dag_id} {run_id} is still {run['state']} after {timeout:g} s: {states}")
            self._check()
            time.sleep(pause)

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """
        Return the task instances of a run; a mapped task has several.

        :param dag_id: the DAG.
        :param run_id: the run.
        """
        url = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        task_instances: list[Json] = []
        while True:
            page = self._json("GET", url, params={"limit": 100, "offset": len(task_instances)})
            task_instances += page["task_instances"]
            if len(task_instances) >= page["total_entries"] or not page["task_instances"]:
                return task_instances

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Json:
        """
        Return one task instance.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param map_index: which instance of a mapped task; -1 if the task is not mapped.
        """
        return self._json("GET", _task_url(dag_id, run_id, task_id, map_index))

    def task_log_entries(
        self, dag_id: str, run_id: str, task_id: str, try_number: int, map_index: int = -1
    ) -> list[Json]:
        """
        Return the log entries of a try: ``event``, mostly with ``timestamp``, ``level`` and ``logger``.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param try_number: the try, from 1.
        :param map_index: which instance of a mapped task; -1 if the task is not mapped.
        """
        url = f"{_task_url(dag_id, run_id, task_id)}/logs/{try_number}"
        content = self._json("GET", url, params={"map_index": map_index, "full_content": True})["content"]
        return [entry if isinstance(entry, dict) else {"event": entry} for entry in content]

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """
        Return a value that a task has pushed.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param key: the key of the value.
        :param map_index: which instance of a mapped task; -1 if the task is not mapped.
        """
        url = f"{_task_url(dag_id, run_id, task_id)}/xcomEntries/{key}"
        return self._json("GET", url, params={"map_index": map_index, "deserialize": True})["value"]

    def extra_links(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1
    ) -> dict[str, str | None]:
        """
        Return the extra links of a task instance, by name.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param map_index: which instance of a mapped task; -1 if the task is not mapped.
        """
        url = f"{_task_url(dag_id, run_id, task_id)}/links"
        links: dict[str, str | None] = self._json("GET", url, params={"map_index": map_index})["extra_links"]
        return links

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """
        Set the state of a task instance, as a user does in the UI.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param state: ``success``, ``failed`` or ``skipped``.
        :param map_index: which instance of a mapped task; -1 if the task is not mapped.
        """
        self._json("PATCH", _task_url(dag_id, run_id, task_id, map_index), json={"new_state": state})

    def clear_task(self, dag_id: str, run_id: str, task_id: str, *, only_failed: bool = False) -> None:
        """
        Clear a task and all that depend on it, as a user does in the UI, so that they run again.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param only_failed: leave those alone that have not failed.
        """
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "include_downstream": True,
            "only_failed": only_failed,
            "reset_dag_runs": True,
        }
        self._json("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", json=body)

    def add_connection(self, conn_id: str, connection: Json) -> None:
        """
        Add a connection to the database.

        :param conn_id: its id.
        :param connection: its fields, as its JSON form has them.
        """
        body = {**connection, "connection_id": conn_id, "extra": json.dumps(connection.get("extra", {}))}
        self._json("POST", "/api/v2/connections", json=body)

    def delete_connection(self, conn_id: str) -> None:
        """
        Delete a connection from the database.

        :param conn_id: its id.
        """
        self._request("DELETE", f"/api/v2/connections/{conn_id}")

    def pool(self, name: str) -> Json:
        """
        Return a pool with the numbers of its slots, by state of their tasks.

        :param name: name of the pool.
        """
        return self._json("GET", f"/api/v2/pools/{name}")

    def _json(self, method: str, url: str, **options: Any) -> Json:
        answer: Json = self._request(method, url, **options).json()
        return answer

    def _request(self, method: str, url: str, **options: Any) -> httpx.Response:
        for pause in (*LOCKED_PAUSES, None):
            response = self._client.request(method, url, **options)
            # SQLite was locked for too long: nothing was done.
            if pause is None or response.status_code != 500 or "Database error" not in response.text:
                break
            time.sleep(pause)
        if not response.is_success:
            raise AirflowApiError(f"{method} {url}: HTTP {response.status_code}: {response.text}")
        return response


def _task_url(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    url = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
    return url if map_index < 0 else f"{url}/{map_index}"
