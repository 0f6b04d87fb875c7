"""
Checks of ids and names. Operators use them while a DAG file is parsed, requests when they are built.

It imports nothing heavy, to keep the parsing of DAG files fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class ArgumentError(ValueError):
    """An argument is unusable."""


def check_id(name: str, value: Any) -> None:
    """
    Check an id or a name.

    :raises ArgumentError: unless it is a text without white space around it
    """
    if not isinstance(value, str):
        raise ArgumentError(f"{name} must be a string, not {type(value).__name__}")
    if not value.strip():
        raise ArgumentError(f"{name} must not be empty")
    if value != value.strip():
        raise ArgumentError(f"{name} has white space around it: {value!r}")
    if value == "None":
        raise ArgumentError(f"{name} is 'None': its template found nothing to render")


def check_names(
    name: str, value: Any, *, of: str, is_known: Callable[[Any], bool] = lambda item: True
) -> None:
    """
    Check a list of names.

    :param of: what the names are of, such as ``"collection names"``
    :param is_known: tells whether a name is known already, so that it can be checked
    :raises ArgumentError: unless it is a list of different names, at least one
    """
    if isinstance(value, str):
        raise ArgumentError(
            f"{name} must be a list of {of}, not a string: write [{value!r}]. A template gives a list "
            "only as an XComArg (task.output) or in a DAG with render_template_as_native_obj=True"
        )
    if not isinstance(value, Sequence):
        raise ArgumentError(f"{name} must be a list of {of}, not {type(value).__name__}")
    if not value:
        raise ArgumentError(f"{name} must not be an empty list; leave it out instead")
    known = [item for item in value if is_known(item)]
    for item in known:
        check_id(f"each of {name}", item)
    twice = sorted({item for item in known if known.count(item) > 1})
    if twice:
        raise ArgumentError(f"{name} has duplicates: {', '.join(twice)}")


def check_backup_scope(collections: Any, database: Any) -> None:
    """
    Check the scope of a backup.

    :raises ArgumentError: when a database is given without collections, since that would back up everything
    """
    if database is not None and collections is None:
        raise ArgumentError("database needs collections: a backup of the whole cluster holds all databases")
