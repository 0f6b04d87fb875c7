"""Tells a run of the example DAG as it happens."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from dev.airflow_api import AirflowApi, Json
from dev.example import DAG_ID, provider_log
from dev.terminal import paint, say

COLOURS = {"running": "36", "deferred": "35", "success": "32", "failed": "31", "up_for_retry": "33"}
REMARKS = {"deferred": "(the triggerer waits, no worker is held)"}


class Story:
    """
    Tells each change of a task's state, and what the provider logs.

    :param api: the Airflow where it happens.
    :param run_id: the run.
    :ivar deferred_seconds: for how long each task was seen in state ``deferred``, for those that were.
    """

    def __init__(self, api: AirflowApi, run_id: str) -> None:
        self._api = api
        self._run_id = run_id
        self._width = max(len(task_id) for task_id in api.task_ids(DAG_ID))
        self._tries: dict[str, int] = {}
        self._told: set[tuple[str, str, str]] = set()
        self._deferred_since: dict[str, float] = {}
        self.deferred_seconds: dict[str, float] = {}

    def on_change(self, task_instance: Json) -> None:
        """
        Tell a new state.

        :param task_instance: as the API shows it.
        """
        task_id, state = task_instance["task_id"], task_instance["state"]
        self._measure_deferral(task_id, state)
        if task_instance["start_date"]:
            self._tries[task_id] = task_instance["try_number"]
            if state != "running":
                # What was logged before a task deferred or ended is told before that.
                self._tell_log(task_id)
        if state:
            painted = paint(f"{state:9}", COLOURS.get(state, ""))
            self._tell(datetime.now(UTC), task_id, f"{painted} {REMARKS.get(state, '')}".rstrip())

    def on_turn(self) -> None:
        """Tell what has been logged since the last time."""
        for task_id in self._tries:
            self._tell_log(task_id)

    def _measure_deferral(self, task_id: str, state: str | None) -> None:
        now = time.monotonic()
        if since := self._deferred_since.pop(task_id, 0.0):
            self.deferred_seconds[task_id] = self.deferred_seconds.get(task_id, 0.0) + now - since
        if state == "deferred":
            self._deferred_since[task_id] = now

    def _tell_log(self, task_id: str) -> None:
        for entry in provider_log(self._api, self._run_id, task_id, self._tries[task_id]):
            key = task_id, entry["timestamp"], entry["event"]
            if key not in self._told:
                self._told.add(key)
                self._tell(datetime.fromisoformat(entry["timestamp"]), task_id, f"  | {entry['event']}")

    def _tell(self, when: datetime, task_id: str, what: str) -> None:
        say(f"{when.astimezone():%H:%M:%S}  {task_id:{self._width}}  {what}")
