"""The processes of a task: the one that runs its code, and the worker that supervises it."""

from __future__ import annotations

import contextlib

import psutil

END_SECONDS = 60.0


class TaskProcess:
    """
    The process that runs the code of a task.

    :param process: the process.
    """

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._supervisor = process.parent()

    def kill(self) -> None:
        """Kill this process only, as the kernel does when memory runs out. Its worker notices at once."""
        self._process.kill()

    def kill_supervisor(self) -> None:
        """Kill the worker that talks to Airflow for the task. Airflow notices only the missing heartbeats."""
        assert self._supervisor is not None
        self._supervisor.kill()

    def wait_for_end(self) -> None:
        """Wait until this process has ended."""
        self._process.wait(END_SECONDS)


def find_task_process(task_instance_id: str) -> list[TaskProcess]:
    """
    Return the process that runs a try of a task, if there is one.

    :param task_instance_id: Airflow's id of that try, which is in the title of the process.
    """
    title = f"airflow worker -- {task_instance_id}"
    found = []
    for process in psutil.process_iter():
        # Any process may end while this loop reads it.
        with contextlib.suppress(psutil.Error):
            if title in " ".join(process.cmdline()):
                found.append(TaskProcess(process))
    return found
