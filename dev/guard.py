"""
Ends all processes of a session, whatever happens.

As a script it is a guard. It reads session ids from its standard input. When that closes, because its creator
wants to stop or has died, the guard ends all those sessions. It imports only the standard library, because it
must start within milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

TERM_SECONDS = 5.0
KILL_SECONDS = 10.0


class Process(NamedTuple):
    """The parent and the session of a process."""

    parent: int
    session: int


def running() -> dict[int, Process]:
    """Return all processes of this machine that run; zombies do not run."""
    if not Path("/proc/self/stat").exists():
        return _running_by_ps()
    table = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        # The process may have ended since the folder was listed.
        with contextlib.suppress(OSError):
            state, parent, _group, session = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
            if state not in "ZX":
                table[int(stat.parent.name)] = Process(int(parent), int(session))
    return table


def _running_by_ps() -> dict[int, Process]:
    # macOS shows no session ids; the process group is the closest thing.
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split() for line in listing.splitlines())
    return {
        int(pid): Process(int(parent), int(group)) for pid, parent, group, state in rows if state[0] != "Z"
    }


def members(sessions: Iterable[int], known: Iterable[int] = ()) -> set[int]:
    """
    Return the running processes of some sessions, with all their descendants.

    :param sessions: session ids.
    :param known: processes to include if they still run, even if they have left their session.
    """
    table = running()
    sessions, known = set(sessions), set(known)
    found = {pid for pid, process in table.items() if process.session in sessions or pid in known}
    while more := {pid for pid, process in table.items() if process.parent in found} - found:
        found |= more
    return found


def end(sessions: Iterable[int]) -> set[int]:
    """
    End all processes of some sessions: first with SIGTERM, after some seconds with SIGKILL.

    :param sessions: session ids.
    :return: the processes that still run.
    """
    sessions = set(sessions)
    started = time.monotonic()
    terminated: set[int] = set()
    left = members(sessions)
    while left and (waited := time.monotonic() - started) < TERM_SECONDS + KILL_SECONDS:
        number = signal.SIGTERM if waited < TERM_SECONDS else signal.SIGKILL
        for pid in left - terminated if number is signal.SIGTERM else left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        terminated |= left
        time.sleep(0.05)
        left = members(sessions, left)
    return left


def main() -> int:
    """Guard until the standard input closes; then remove the folders that the arguments name."""
    # Signals may be meant for the creator. Only its end counts.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left = end([int(line) for line in sys.stdin])
    for folder in sys.argv[1:]:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
