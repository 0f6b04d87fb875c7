"""How commands print, and how they fail."""

from __future__ import annotations

import sys
from collections.abc import Callable

from dev.airflow_api import AirflowApiError
from dev.processes import ProcessError


class Failure(Exception):
    """A command cannot do its work; the message says why, in a sentence without a capital."""


def run_command(action: Callable[[], None]) -> int:
    """
    Run a command; if it fails, print the reason instead of a traceback.

    :param action: the command.
    :return: the exit code.
    """
    try:
        action()
    except (Failure, ProcessError, AirflowApiError, TimeoutError) as error:
        say(f"\n{paint('Failed:', '31')} {error}")
        return 1
    except KeyboardInterrupt:
        say("\nStopped.")
        return 130
    return 0


def paint(text: str, colour: str) -> str:
    """
    Colour a text if the output is a terminal.

    :param text: the text.
    :param colour: ANSI code of the colour; empty for none.
    """
    return f"\033[{colour}m{text}\033[0m" if colour and sys.stdout.isatty() else text


def say(line: str) -> None:
    """
    Print a line without delay, even into a pipe.

    :param line: the line.
    """
    print(line, flush=True)
