"""
Checks of what DAG authors write: at parse time if the value is known, else before anything is sent.

At parse time a Jinja template or an XComArg passes. When the task runs, ``rendered`` is set and the value
itself is checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_zbackup.zilliz import checks
from airflow_provider_zbackup.zilliz.checks import ArgumentError

DEFAULT_CONN_ID = "zilliz_default"


YEAR = 366 * 24 * 60 * 60.0


def is_rendered_later(value: Any) -> bool:
    """Tell whether a value is known only when the task runs."""
    if isinstance(value, str):
        return ("{{" in value and "}}" in value) or ("{%" in value and "%}" in value)
    return not isinstance(value, list | tuple | set | frozenset | dict | int | float | bytes | None)


def check_id(name: str, value: Any, *, rendered: bool = False) -> None:
    """Check an id or a name, unless it is known only later; see :func:`.zilliz.checks.check_id`."""
    if rendered or not is_rendered_later(value):
        checks.check_id(name, value)


def check_pattern(name: str, value: Any, *, rendered: bool = False) -> None:
    """
    Check a shell pattern, unless it is known only later.

    :raises ArgumentError: when it is a list that a template made a text: it would match nothing
    """
    if not rendered and is_rendered_later(value):
        return
    checks.check_id(name, value)
    if value == "[]" or value.startswith(("['", '["')):
        raise ArgumentError(f"{name} must be one pattern, not a list: {value!r}")


def check_names(name: str, value: Any, of: str, *, rendered: bool = False) -> None:
    """Check a list of names, as far as they are known; see :func:`.zilliz.checks.check_names`."""
    if rendered or not is_rendered_later(value):
        checks.check_names(name, value, of=of, is_known=lambda item: rendered or not is_rendered_later(item))


def check_renaming(name: str, value: Any, of: str, *, rendered: bool = False) -> None:
    """Check a list of names, or new names by the old ones, as far as they are known."""
    if not isinstance(value, Mapping):
        check_names(name, value, of, rendered=rendered)
        return
    if not value:
        raise ArgumentError(f"{name} must hold at least one of the {of}")
    for old, new in value.items():
        check_id(f"a name in {name}", old, rendered=rendered)
        check_id(f"the new name of {old!r} in {name}", new, rendered=rendered)
    known = [new for new in value.values() if isinstance(new, str)]
    if len(set(known)) < len(known):
        raise ArgumentError(f"{name} must not give the same new name twice")


def check_seconds(name: str, value: Any, *, at_least: float = 0.0, rendered: bool = True) -> None:
    """
    Check a time in seconds.

    :raises ArgumentError: unless it is a number from ``at_least`` to a year
    """
    if not rendered and is_rendered_later(value):
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not (is_number and at_least <= value <= YEAR):
        raise ArgumentError(
            f"{name} must be a number of seconds, at least {at_least:g} and at most a year, not {value!r}"
        )


def check_choice(name: str, value: Any, choices: Sequence[Any], *, rendered: bool = True) -> None:
    """Check a choice, unless it is known only later; see :func:`.zilliz.checks.check_choice`."""
    if rendered or not is_rendered_later(value):
        checks.check_choice(name, value, choices)


def check_count(
    name: str, value: Any, *, at_least: int = 1, at_most: int | None = None, rendered: bool = False
) -> None:
    """Check a number of things, unless it is known only later; see :func:`.zilliz.checks.check_number`."""
    if rendered or not is_rendered_later(value):
        checks.check_number(name, value, at_least, at_most)


def check_weekdays(name: str, value: Any, *, rendered: bool = False) -> None:
    """Check a list of weekdays, as far as they are known; see :func:`.zilliz.checks.check_weekdays`."""
    if rendered or not is_rendered_later(value):
        checks.check_weekdays(name, value, is_known=lambda item: rendered or not is_rendered_later(item))


def check_copies(name: str, value: Any, *, rendered: bool = False) -> None:
    """Check copies in other regions, as far as they are known; see :func:`.zilliz.checks.check_copies`."""
    if rendered or not is_rendered_later(value):
        checks.check_copies(name, value, is_known=lambda item: rendered or not is_rendered_later(item))


def check_duration(name: str, value: Any, *, rendered: bool = True) -> None:
    """
    Check a time span.

    :raises ArgumentError: unless it is a ``timedelta`` of more than nothing
    """
    if not isinstance(value, timedelta) or value <= timedelta():
        raise ArgumentError(f"{name} must be a timedelta, more than 0, not {value!r}")


def check_amount(name: str, value: Any, *, rendered: bool = True) -> None:
    """
    Check an amount, such as a price.

    :raises ArgumentError: unless it is a number that is not negative
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or value < 0:
        raise ArgumentError(f"{name} must be a number, at least 0, not {value!r}")


def check_timezone(name: str, value: Any, *, rendered: bool = True) -> None:
    """
    Check the name of a time zone.

    :raises ArgumentError: unless this machine knows it
    """
    checks.check_id(name, value)
    try:
        ZoneInfo(value)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ArgumentError(f"{name} must be a time zone such as 'Europe/Paris', not {value!r}") from None


def as_result(name: str, value: Any) -> Any:
    """
    Return the result of another task as a mapping, even if a template made it a text; else the value.

    :raises ArgumentError: when it is a text that begins like a mapping and is not JSON
    """
    if not (isinstance(value, str) and value.lstrip().startswith("{")) or is_rendered_later(value):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ArgumentError(
            f"{name} is a string that is not JSON. Write a template as {{{{ … }}}}, and pass the result of "
            "another task as task.output, or through the template filter tojson"
        ) from None


def id_or_field(name: str, value: Any, field: str) -> Any:
    """Return an id that is given directly, or as a field of another task's result."""
    result = as_result(name, value)
    return result.get(field) if isinstance(result, Mapping) else result


def check_id_or_result(name: str, value: Any, *, field: str, rendered: bool = False) -> None:
    """
    Check an id that is given directly, or as a field of another task's result.

    :raises ArgumentError: unless it is one
    """
    if rendered or not is_rendered_later(value):
        result = as_result(name, value)
        if isinstance(result, Mapping):
            checks.check_field(name, result, field)
        else:
            checks.check_id(name, result)


def check_result(name: str, value: Any, *, fields: Sequence[str], rendered: bool = False) -> None:
    """
    Check the result of another task.

    :param fields: the ids and names that it must have
    :raises ArgumentError: unless it has them, without white space around them
    """
    if rendered or not is_rendered_later(value):
        result = as_result(name, value)
        if not isinstance(result, Mapping):
            raise ArgumentError(f"{name} must be the result of another task, not {result!r}")
        for field in fields:
            checks.check_field(name, result, field)


def ids_of_backup(name: str, result: Any) -> tuple[str, str]:
    """
    Return the ids of the cluster and the backup in another task's result.

    :raises ArgumentError: when the value is no such result
    """
    result = as_result(name, result)
    if not isinstance(result, Mapping):
        raise ArgumentError(f"{name} must be the result of a create task, not {result!r}")
    for field in ("cluster_id", "backup_id"):
        checks.check_field(name, result, field)
    return result["cluster_id"], result["backup_id"]


@dataclass(frozen=True)
class Argument:
    """
    An argument of an operator or sensor. It is checked at parse time, and again when templates are rendered.

    :param check: takes the name, the value and ``rendered``; raises :class:`ArgumentError`
    :param optional: whether ``None`` means that it was not given
    :param limits: whether without it the task touches more: a mapped task must not lose it by a ``None``
    """

    name: str
    check: Callable[..., None] = check_id
    optional: bool = False
    limits: bool = False


check_flag = partial(check_choice, choices=(True, False))
