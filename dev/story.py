"""Prints what happens in a run of an example DAG, while it happens."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from dev.airflow_api import AirflowApi, Json
from dev.example import provider_log
from dev.terminal import paint, say

COLOURS = {"running": "36", "deferred": "35", "success": "32", "failed": "31", "up_for_retry": "33"}
REMARKS = {"deferred": "(the triggerer waits, no worker is occupied)"}


class Story:
    """
    Prints each change of a task's state and each log message of the provider.

    :param api: the Airflow of the run.
    :param dag_id: its DAG.
    :param run_id: the run.
    :ivar deferred_seconds: for how long a task was deferred, for each task that was.
    """

    def __init__(self, api: AirflowApi, dag_id: str, run_id: str) -> None:
        self._api = api
        self._dag_id = dag_id
        self._run_id = run_id
        self._width = max(len(task_id) for task_id in api.task_ids(dag_id))
        self._tries: dict[str, int] = {}
        self._printed: set[tuple[str, str, str]] = set()
        self._deferred_since: dict[str, float] = {}
        self.deferred_seconds: dict[str, float] = {}

    def on_change(self, task_instance: Json) -> None:
        """
        Print the new state of a task.

        :param task_instance: the task instance, as the API returns it.
        """
        task_id, state = task_instance["task_id"], task_instance["state"]
        self._measure_deferral(task_id, state)
        if task_instance["start_date"]:
            self._tries[task_id] = task_instance["try_number"]
            if state != "running":
                # Messages from before the task deferred or ended come first.
                self._print_new_log(task_id)
        if state:
            painted = paint(f"{state:9}", COLOURS.get(state, ""))
            self._print(datetime.now(UTC), task_id, f"{painted} {REMARKS.get(state, '')}".rstrip())

    def on_poll(self) -> None:
        """Print what the tasks have logged since the last call."""
        for task_id in self._tries:
            self._print_new_log(task_id)

    def _measure_deferral(self, task_id: str, state: str | None) -> None:
        now = time.monotonic()
        if since := self._deferred_since.pop(task_id, 0.0):
            self.deferred_seconds[task_id] = self.deferred_seconds.get(task_id, 0.0) + now - since
        if state == "deferred":
            self._deferred_since[task_id] = now

    def _print_new_log(self, task_id: str) -> None:
        log = provider_log(self._api, self._dag_id, self._run_id, task_id, self._tries[task_id])
        for entry in log:
            key = task_id, entry["timestamp"], entry["event"]
            if key not in self._printed:
                self._printed.add(key)
                self._print(datetime.fromisoformat(entry["timestamp"]), task_id, f"  | {entry['event']}")

    def _print(self, when: datetime, task_id: str, what: str) -> None:
        say(f"{when.astimezone():%H:%M:%S}  {task_id:{self._width}}  {what}")
