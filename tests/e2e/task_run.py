"""One task instance, from its start to its end."""

from __future__ import annotations

from typing import Any

from dev.airflow_api import Json
from dev.airflow_stack import AirflowStack
from dev.processes import wait_until
from tests.e2e.task_processes import TaskProcess, find_task_process

WAIT_SECONDS = 300.0
TAIL_LINES = 25
FINAL_STATES = ("success", "failed", "skipped", "upstream_failed", "removed")


class TaskRun:
    """
    One task instance, as the REST API shows it.

    :param stack: the Airflow that runs it.
    :param dag_id: its DAG.
    :param run_id: its run.
    :param task_id: its task.
    :param map_index: which instance of a mapped task; -1 if the task is not mapped.
    """

    def __init__(
        self, stack: AirflowStack, dag_id: str, run_id: str, task_id: str = "backup", map_index: int = -1
    ) -> None:
        self._stack = stack
        self.dag_id = dag_id
        self.run_id = run_id
        self.task_id = task_id
        self.map_index = map_index

    def of(self, task_id: str) -> TaskRun:
        """
        Return another task of the same run.

        :param task_id: the task.
        """
        return TaskRun(self._stack, self.dag_id, self.run_id, task_id)

    def mapped(self, map_index: int) -> TaskRun:
        """
        Return one instance of this task, which is mapped.

        :param map_index: which instance.
        """
        return TaskRun(self._stack, self.dag_id, self.run_id, self.task_id, map_index)

    def wait_for_mapped(self, count: int) -> None:
        """
        Wait until Airflow has expanded the task.

        :param count: into how many instances.
        """

        def is_mapped() -> bool:
            tasks = self._stack.api.task_instances(self.dag_id, self.run_id)
            mapped = [it for it in tasks if it["task_id"] == self.task_id and it["map_index"] >= 0]
            return len(mapped) == count

        wait_until(is_mapped, WAIT_SECONDS, f"{self} has {count} instances")

    def details(self) -> Json:
        """Return the task instance, as the API returns it."""
        return self._stack.api.task_instance(self.dag_id, self.run_id, self.task_id, self.map_index)

    def try_number(self) -> int:
        """Return the number of the current try, from 1."""
        number: int = self.details()["try_number"]
        return number

    def wait_for(self, state: str) -> None:
        """
        Wait until the task is in a state.

        :param state: the state.
        :raises AssertionError: if the task ends in another state, or takes too long.
        """
        wait_for_all([self], state)

    def state(self, *, wanted: str | None = None) -> str | None:
        """
        Return the state of the task.

        :param wanted: the only final state that is no error.
        :raises AssertionError: if the task is in another final state.
        """
        self._stack.check_alive()
        state: str | None = self.details()["state"]
        if state in FINAL_STATES and state != wanted:
            raise AssertionError(f"{self} is {state} already.\n{self.log_tails()}")
        return state

    def result(self) -> Any:
        """Wait until the task succeeds, and return its result."""
        self.wait_for("success")
        return self._stack.api.xcom(self.dag_id, self.run_id, self.task_id, map_index=self.map_index)

    def process(self) -> TaskProcess:
        """Wait until the task has a process, and return it."""
        found: list[TaskProcess] = []

        def is_found() -> bool:
            found[:] = find_task_process(self.details()["id"])
            return bool(found)

        wait_until(is_found, WAIT_SECONDS, f"{self} has a process", pause=0.05)
        return found[0]

    def wait_for_log(self, text: str, *, try_number: int) -> None:
        """
        Wait until a text is in the log of a try.

        :param text: the text.
        :param try_number: the try.
        """

        def is_logged() -> bool:
            # Airflow has no log of a try that has not begun.
            if self.try_number() >= try_number and text in self.log(try_number):
                return True
            self.state()
            return False

        wait_until(is_logged, WAIT_SECONDS, f"{self} logs {text!r} in try {try_number}")

    def log(self, try_number: int) -> str:
        """
        Return the log of a try, with its errors.

        :param try_number: the try.
        """
        entries = self._stack.api.task_log_entries(
            self.dag_id, self.run_id, self.task_id, try_number, self.map_index
        )
        return "\n".join(f"{entry['event']} {_errors(entry)}".rstrip() for entry in entries)

    def log_tails(self) -> str:
        """Return the end of the log of each try, for an error message."""
        parts = []
        for number in range(1, self.try_number() + 1):
            lines = self.log(number).splitlines()[-TAIL_LINES:]
            parts.append("\n".join([f"The end of the log of try {number}:", *(f"    {it}" for it in lines)]))
        return "\n".join(parts)

    def states(self) -> dict[str, str]:
        """Wait until the run and its tasks have ended; return all states, the run's by ``""``."""
        tasks: list[Json] = []

        # A run that a user has marked has ended before its tasks; any other one ends after them.
        def have_ended() -> bool:
            self._stack.check_alive()
            tasks[:] = self._stack.api.task_instances(self.dag_id, self.run_id)
            return all(task["state"] in FINAL_STATES for task in tasks)

        wait_until(have_ended, WAIT_SECONDS, f"All tasks of {self.dag_id} end")
        run = self._stack.api.wait_for_dag_run(self.dag_id, self.run_id, WAIT_SECONDS)
        return {"": run["state"]} | {task["task_id"]: task["state"] for task in tasks}

    def mark_run(self, state: str) -> None:
        """
        Set the state of the whole run, as a user does in the UI.

        :param state: the state.
        """
        self._stack.api.set_dag_run_state(self.dag_id, self.run_id, state)

    def mark(self, state: str) -> None:
        """
        Set the state of the task, as a user does in the UI.

        :param state: the state.
        """
        self._stack.api.set_task_state(self.dag_id, self.run_id, self.task_id, state, self.map_index)

    def clear(self, *, only_failed: bool = False) -> None:
        """
        Clear the task and all that depend on it, as a user does in the UI, and wait for that.

        :param only_failed: leave those alone that have not failed.
        """
        if self.details()["state"] in FINAL_STATES:
            # If the scheduler ends the run at the same moment, it stays ended, and nothing runs again.
            self.states()
        before = self.details()["id"]
        self._stack.api.clear_task(self.dag_id, self.run_id, self.task_id, only_failed=only_failed)
        wait_until(lambda: self.details()["id"] != before, WAIT_SECONDS, f"{self} is cleared")

    def __str__(self) -> str:
        index = "" if self.map_index < 0 else f"[{self.map_index}]"
        return f"{self.dag_id}.{self.task_id}{index}"


def wait_for_all(tasks: list[TaskRun], state: str) -> None:
    """
    Wait until all tasks are in the same state at the same time.

    :param tasks: the tasks.
    :param state: the state.
    :raises AssertionError: if a task ends in another state, or one takes too long.
    """
    others = tasks

    def all_are_in_state() -> bool:
        nonlocal others
        others = [task for task in tasks if task.state(wanted=state) != state]
        return not others

    names = ", ".join(map(str, tasks))
    try:
        wait_until(all_are_in_state, WAIT_SECONDS, f"{names}: {state}")
    except TimeoutError as error:
        raise AssertionError(
            f"{error}. Not in this state: {', '.join(map(str, others))}.\n{others[0].log_tails()}"
        ) from None


def _errors(entry: Json) -> str:
    return " <- ".join(f"{it['exc_type']}: {it['exc_value']}" for it in entry.get("error_detail") or [])
