"""The processes that run a task: the task itself, and the worker that supervises it."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class TaskProcess:
    """
    The process of a task.

    :param pid: its id.
    :param supervisor: the id of the worker process that started it, and speaks to Airflow for it.
    """

    pid: int
    supervisor: int

    def kill(self) -> None:
        """Kill the task, as the kernel does when memory runs out; its worker sees it at once."""
        os.kill(self.pid, signal.SIGKILL)

    def kill_with_supervisor(self) -> None:
        """Kill the task and its worker, as the end of the machine does; only missing heartbeats tell."""
        os.kill(self.supervisor, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self.kill()


def find_task_process(task_instance_id: str) -> list[TaskProcess]:
    """
    Return the process that runs a try of a task, if there is one.

    :param task_instance_id: Airflow's id of that try, by which it titles the process.
    """
    found = []
    for process in psutil.process_iter():
        # A process may end while it is looked at.
        with contextlib.suppress(psutil.Error):
            if f"airflow worker -- {task_instance_id}" in " ".join(process.cmdline()):
                found.append(TaskProcess(process.pid, process.ppid()))
    return found
