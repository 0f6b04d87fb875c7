"""
Ends process sessions, for certain.

Run as a script it is a guard: it reads session ids from its standard input, and when that closes, because its
creator wants to stop or because its creator died, in whatever way, it ends all of them. Standard library only
and no sibling modules, as it must start within milliseconds.
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

ASK_SECONDS = 5.0
FORCE_SECONDS = 10.0


class Process(NamedTuple):
    """Where a process belongs."""

    parent: int
    session: int


def running() -> dict[int, Process]:
    """Return every process of this machine that still runs; a zombie does not."""
    if not Path("/proc/self/stat").exists():
        return _running_by_ps()
    table = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        # A process may end while it is looked at.
        with contextlib.suppress(OSError):
            state, parent, _group, session = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
            if state not in "ZX":
                table[int(stat.parent.name)] = Process(int(parent), int(session))
    return table


def _running_by_ps() -> dict[int, Process]:
    # macOS tells no session ids; the process group is the nearest it has.
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split() for line in listing.splitlines())
    return {
        int(pid): Process(int(parent), int(group)) for pid, parent, group, state in rows if state[0] != "Z"
    }


def members(sessions: Iterable[int], known: Iterable[int] = ()) -> set[int]:
    """
    Return the running processes of the sessions, with all their descendants.

    :param sessions: session ids.
    :param known: further processes to include if they still run, for those that left their session.
    """
    table = running()
    sessions, known = set(sessions), set(known)
    found = {pid for pid, process in table.items() if process.session in sessions or pid in known}
    while more := {pid for pid, process in table.items() if process.parent in found} - found:
        found |= more
    return found


def end(sessions: Iterable[int]) -> set[int]:
    """
    End all processes of the sessions, first by asking, then by force.

    :param sessions: session ids.
    :return: the processes that even force did not end.
    """
    sessions = set(sessions)
    started = time.monotonic()
    asked: set[int] = set()
    left = members(sessions)
    while left and (waited := time.monotonic() - started) < ASK_SECONDS + FORCE_SECONDS:
        force = waited >= ASK_SECONDS
        for pid in left if force else left - asked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if force else signal.SIGTERM)
        asked |= left
        time.sleep(0.05)
        left = members(sessions, left)
    return left


def main() -> int:
    """Guard until the standard input closes; the arguments are the folders to remove in the end."""
    # The creator's fate decides, not signals that were meant for the creator.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left = end([int(line) for line in sys.stdin])
    for folder in sys.argv[1:]:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
