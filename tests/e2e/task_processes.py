"""The processes that run a task: the task itself, and the worker that supervises it."""

from __future__ import annotations

import contextlib

import psutil

END_SECONDS = 60.0


class TaskProcess:
    """
    The process of a task.

    :param process: that process.
    """

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._supervisor = process.parent()

    def kill(self) -> None:
        """Kill the task alone, as the kernel does when memory runs out; its worker sees it at once."""
        self._process.kill()

    def kill_supervisor(self) -> None:
        """Kill the worker process that speaks to Airflow for the task; only missing heartbeats tell."""
        assert self._supervisor is not None
        self._supervisor.kill()

    def wait_for_end(self) -> None:
        """Wait until the task's process has ended."""
        self._process.wait(END_SECONDS)


def find_task_process(task_instance_id: str) -> list[TaskProcess]:
    """
    Return the process that runs a try of a task, if there is one.

    :param task_instance_id: Airflow's id of that try, by which it titles the process.
    """
    title = f"airflow worker -- {task_instance_id}"
    found = []
    for process in psutil.process_iter():
        # A process may end while it is looked at.
        with contextlib.suppress(psutil.Error):
            if title in " ".join(process.cmdline()):
                found.append(TaskProcess(process))
    return found
