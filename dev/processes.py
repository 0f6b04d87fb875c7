"""Child processes with a name and a log file each; none lives longer than the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Self

from dev import guard

REPOSITORY = Path(__file__).resolve().parent.parent
TAIL_LINES = 30

# What children see of the caller's environment: enough to find programs, nothing that configures Airflow.
INHERITED_VARIABLES = (
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
    "TMPDIR",
    "TZ",
    "VIRTUAL_ENV",
)


class ProcessError(RuntimeError):
    """A process failed or took too long; the message contains the end of its log."""


def wait_until(condition: Callable[[], bool], timeout: float, what: str, pause: float = 0.2) -> None:
    """
    Wait until a condition is true.

    :param condition: checked again and again; what it raises ends the wait.
    :param timeout: seconds to wait at most.
    :param what: what the wait is for, as a sentence for the error message.
    :param pause: seconds between two checks.
    :raises TimeoutError: if the condition is not true in time.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(pause)


class Processes:
    """
    Child processes with names that run in a temporary folder, each in its own session.

    A guard process ends them, with everything that they started, as soon as the pipe to it closes. That
    happens at the end of the ``with`` block, and also when this process dies earlier, even by SIGKILL.

    :param keep: keep the folder with the logs.
    :ivar folder: the temporary folder, which is also the home of the children.
    :ivar log_folder: the folder of the log files.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: set[int] = set()
        self._may_end: set[str] = set()

    def __enter__(self) -> Self:
        _exit_on_termination()
        self.folder = Path(tempfile.mkdtemp(prefix="zbackup-dev-"))
        self.log_folder = self.folder / "processes"
        self.log_folder.mkdir()
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, *([] if self._keep else [str(self.folder)])],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()
        if left := self.survivors():
            raise ProcessError(f"These processes still run, although they were killed: {sorted(left)}")
        for child in self._children.values():
            child.wait()

    def environment(self, **variables: str) -> dict[str, str]:
        """
        Return a small environment for a child that is the same on every machine.

        :param variables: more variables to set.
        """
        inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
        import_path = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            **inherited,
            # Children import the code of this checkout, and triggers from tests and benchmarks.
            "PYTHONPATH": os.pathsep.join(import_path),
            # Children leave the user's files alone.
            "HOME": str(self.folder),
            # No proxy may stand between loopback addresses.
            "NO_PROXY": "*",
            **variables,
        }

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """
        Start a process.

        :param name: name of the process; it can be used again when the process has ended.
        :param command: program and arguments.
        :param environment: all its variables; by default those of :meth:`environment`.
        """
        if self.is_running(name):
            raise ValueError(f"{name} is running already")
        assert self._guard.stdin is not None
        to_guard = self._guard.stdin.fileno()
        with self.log_path(name).open("ab") as log:
            self._children[name] = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment() if environment is None else environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # The child itself reports to the guard, so the guard knows of it from its first moment.
                preexec_fn=lambda: os.write(to_guard, b"%d\n" % os.getpid()) and None,
            )
        self._sessions.add(self.pid(name))
        self._may_end.discard(name)

    def run(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        timeout: float,
    ) -> None:
        """
        Run a process and wait until it has ended.

        :param name: name of the process.
        :param command: program and arguments.
        :param environment: as for :meth:`start`.
        :param timeout: seconds that the process may take.
        :raises ProcessError: if it fails or takes longer.
        """
        self.start(name, command, environment)
        self._may_end.add(name)
        try:
            code = self._children[name].wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProcessError(f"{name} took more than {timeout:g} s.{self.log_tail(name)}") from None
        if code != 0:
            raise ProcessError(f"{name} {_describe_exit(code)}.{self.log_tail(name)}")

    def pid(self, name: str) -> int:
        """
        Return the id of a process, which is also the id of its group and session.

        :param name: name of the process.
        """
        return self._children[name].pid

    def is_running(self, name: str) -> bool:
        """
        Tell whether a process runs.

        :param name: name of the process, which may never have started.
        """
        return name in self._children and self._children[name].poll() is None

    def kill(self, name: str, number: signal.Signals) -> None:
        """
        Send a signal to a process and its group. From now on it is no error if the process ends.

        :param name: name of the process.
        :param number: the signal.
        """
        self._may_end.add(name)
        os.killpg(self.pid(name), number)

    def stop(self, name: str) -> None:
        """
        End a process and everything that it started, and wait until all have ended.

        :param name: name of the process.
        """
        self._may_end.add(name)
        if left := guard.end([self.pid(name)]):
            raise ProcessError(f"These processes of {name} do not end: {sorted(left)}")
        self._children[name].wait()

    def check_alive(self) -> None:
        """
        Check that no process has ended by itself.

        :raises ProcessError: if one has.
        """
        for name, child in self._children.items():
            if name not in self._may_end and (code := child.poll()) is not None:
                raise ProcessError(f"{name} {_describe_exit(code)} by itself.{self.log_tail(name)}")

    def survivors(self) -> set[int]:
        """Return the ids of all running processes that were started here, and of those that they started."""
        return guard.members(self._sessions)

    def log_path(self, name: str) -> Path:
        """
        Return the file with the output of a process.

        :param name: name of the process.
        """
        return self.log_folder / f"{name}.log"

    def log_lines(self, name: str) -> Iterator[str]:
        """
        Return the lines that a process has written so far.

        :param name: name of the process.
        """
        yield from self.log_path(name).read_text(errors="replace").splitlines()

    def log_tail(self, name: str) -> str:
        """
        Return the end of the log of a process, as a paragraph for an error message.

        :param name: name of the process.
        """
        lines = list(self.log_lines(name))[-TAIL_LINES:]
        return "\n".join([f" The end of {self.log_path(name).name}:", *(f"    {line}" for line in lines)])


def _describe_exit(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _exit_on_termination() -> None:
    """Let SIGTERM and SIGHUP end the ``with`` blocks by an exception, unless the program handles them."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
