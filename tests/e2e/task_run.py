"""One task instance on its way through a run."""

from __future__ import annotations

from typing import Any

from dev.airflow_api import Json
from dev.airflow_stack import AirflowStack
from dev.processes import wait_until
from tests.e2e.task_processes import TaskProcess, find_task_process

PATIENCE = 150.0
TAIL_LINES = 25
FINAL_STATES = ("success", "failed", "skipped", "upstream_failed", "removed")


class TaskRun:
    """
    One task instance, followed through the REST API.

    :param stack: the Airflow that it runs on.
    :param dag_id: its DAG.
    :param run_id: its run.
    :param task_id: its task.
    :param map_index: which one of a mapped task.
    """

    def __init__(
        self, stack: AirflowStack, dag_id: str, run_id: str, task_id: str = "backup", map_index: int = -1
    ) -> None:
        self._stack = stack
        self.dag_id = dag_id
        self.run_id = run_id
        self.task_id = task_id
        self.map_index = map_index

    def mapped(self, map_index: int) -> TaskRun:
        """
        Return one of the task instances that this task is mapped to.

        :param map_index: which.
        """
        return TaskRun(self._stack, self.dag_id, self.run_id, self.task_id, map_index)

    def wait_for_mapped(self, count: int) -> None:
        """
        Wait until the task is mapped to task instances.

        :param count: how many.
        """

        def is_mapped() -> bool:
            tasks = self._stack.api.task_instances(self.dag_id, self.run_id)
            mapped = [it for it in tasks if it["task_id"] == self.task_id and it["map_index"] >= 0]
            return len(mapped) == count

        wait_until(is_mapped, PATIENCE, f"{self} is mapped to {count} task instances")

    def look(self) -> Json:
        """Return the task instance as the API shows it."""
        return self._stack.api.task_instance(self.dag_id, self.run_id, self.task_id, self.map_index)

    def wait_for(self, state: str) -> None:
        """
        Wait until the task is in a state, or can never get there any more.

        :param state: the state.
        """
        wait_for_all([self], state)

    def state(self, *, wanted: str | None = None) -> str | None:
        """
        Return the state that the task is in.

        :param wanted: the one final state that may be reached; any other raises.
        """
        self._stack.check_alive()
        state: str | None = self.look()["state"]
        if state in FINAL_STATES and state != wanted:
            raise AssertionError(f"{self} is {state} already.\n{self.tails()}")
        return state

    def result(self) -> Any:
        """Wait for success, and return what the task has returned."""
        self.wait_for("success")
        return self._stack.api.xcom(self.dag_id, self.run_id, self.task_id, map_index=self.map_index)

    def process(self) -> TaskProcess:
        """Wait until the task has a process, and return it."""
        found: list[TaskProcess] = []

        def is_found() -> bool:
            found[:] = find_task_process(self.look()["id"])
            return bool(found)

        wait_until(is_found, PATIENCE, f"{self} has a process", pause=0.05)
        return found[0]

    def wait_for_log(self, text: str, *, try_number: int) -> None:
        """
        Wait until a try has logged something.

        :param text: a part of it.
        :param try_number: the try.
        """

        def is_logged() -> bool:
            # Before a try has begun, Airflow knows no log of it.
            task = self.look()
            if task["try_number"] >= try_number and text in self.log(try_number):
                return True
            self.state()
            return False

        wait_until(is_logged, PATIENCE, f"{self} logs {text!r} in try {try_number}")

    def log(self, try_number: int) -> str:
        """
        Return the log of a try, with the errors in it.

        :param try_number: the try.
        """
        entries = self._stack.api.task_log_entries(
            self.dag_id, self.run_id, self.task_id, try_number, self.map_index
        )
        return "\n".join(f"{entry['event']} {_errors(entry)}".rstrip() for entry in entries)

    def tails(self) -> str:
        """Return the ends of the logs of all tries, for an error message."""
        parts = []
        for number in range(1, self.look()["try_number"] + 1):
            lines = self.log(number).splitlines()[-TAIL_LINES:]
            parts.append("\n".join([f"The end of the log of try {number}:", *(f"    {it}" for it in lines)]))
        return "\n".join(parts)

    def mark(self, state: str) -> None:
        """
        Mark the task, as a user does in the UI.

        :param state: as what.
        """
        self._stack.api.set_task_state(self.dag_id, self.run_id, self.task_id, state, self.map_index)

    def clear(self) -> None:
        """Clear the task, as a user does in the UI, and wait until that has happened."""
        before = self.look()["id"]
        self._stack.api.clear_task(self.dag_id, self.run_id, self.task_id)
        wait_until(lambda: self.look()["id"] != before, PATIENCE, f"{self} is cleared")

    def __str__(self) -> str:
        index = "" if self.map_index < 0 else f"[{self.map_index}]"
        return f"{self.dag_id}.{self.task_id}{index}"


def wait_for_all(tasks: list[TaskRun], state: str) -> None:
    """
    Wait until all tasks are in the same state at the same time, or one of them can never get there any more.

    :param tasks: the tasks.
    :param state: the state.
    """
    left = tasks

    def are_there() -> bool:
        nonlocal left
        left = [task for task in tasks if task.state(wanted=state) != state]
        return not left

    names = ", ".join(map(str, tasks))
    try:
        wait_until(are_there, PATIENCE, f"{names}: {state}")
    except TimeoutError as error:
        raise AssertionError(f"{error}. Not yet {', '.join(map(str, left))}.\n{left[0].tails()}") from None


def _errors(entry: Json) -> str:
    return " <- ".join(f"{it['exc_type']}: {it['exc_value']}" for it in entry.get("error_detail") or [])
