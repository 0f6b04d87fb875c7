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
from functools import partial
from typing import Any

from airflow_provider_zbackup.zilliz import checks
from airflow_provider_zbackup.zilliz.checks import ArgumentError

DEFAULT_CONN_ID = "zilliz_default"


YEAR = 366 * 24 * 60 * 60.0


def is_rendered_later(value: Any) -> bool:
    """Tell whether a value is known only when the task runs."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    return not isinstance(value, list | tuple | set | frozenset | dict | int | float | bytes | None)


def check_id(name: str, value: Any, *, rendered: bool = False) -> None:
    """Check an id or a name, unless it is known only later; see :func:`.zilliz.checks.check_id`."""
    if rendered or not is_rendered_later(value):
        checks.check_id(name, value)


def check_names(name: str, value: Any, of: str, *, rendered: bool = False) -> None:
    """Check a list of names, as far as they are known; see :func:`.zilliz.checks.check_names`."""
    if rendered or not is_rendered_later(value):
        checks.check_names(name, value, of=of, is_known=lambda item: rendered or not is_rendered_later(item))


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
    """
    Check a choice.

    :raises ArgumentError: unless the value is one of the choices
    """
    if not rendered and is_rendered_later(value):
        return
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ArgumentError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")


def check_count(name: str, value: Any, *, rendered: bool = False) -> None:
    """
    Check a number of things.

    :raises ArgumentError: unless it is a whole number, at least 1; a text of digits is one too, since that is
        what a template renders
    """
    if not rendered and is_rendered_later(value):
        return
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not (is_number or (isinstance(value, str) and value.isdecimal())) or int(value) < 1:
        raise ArgumentError(f"{name} must be a whole number, at least 1, not {value!r}")


def as_result(name: str, value: Any) -> Any:
    """
    Return the result of another task as a mapping, even if a template made it a text; else the value.

    :raises ArgumentError: when it is a text that begins like a mapping and is not JSON
    """
    if not (isinstance(value, str) and value.lstrip().startswith("{")) or "{{" in value or "{%" in value:
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ArgumentError(
            f"{name} is a string that is not JSON: pass the result of the create task as task.output, or "
            "through the template filter tojson"
        ) from None


def id_or_field(name: str, value: Any, field: str) -> Any:
    """Return an id that is given directly, or as a field of another task's result."""
    result = as_result(name, value)
    return result.get(field) if isinstance(result, Mapping) else result


def check_id_or_result(name: str, value: Any, *, field: str, rendered: bool = False) -> None:
    """
    Check an id that is given directly, or as a field of another task's result.

    :raises ArgumentError: unless it is a text without white space around it
    """
    if rendered or not is_rendered_later(value):
        is_result = isinstance(as_result(name, value), Mapping)
        label = f"{field}, in {name}," if is_result else name
        check_id(label, id_or_field(name, value, field), rendered=True)


@dataclass(frozen=True)
class Argument:
    """
    An argument of an operator or sensor. It is checked at parse time, and again when templates are rendered.

    :param check: takes the name, the value and ``rendered``; raises :class:`ArgumentError`
    :param optional: whether ``None`` means that it was not given
    """

    name: str
    check: Callable[..., None] = check_id
    optional: bool = False


check_flag = partial(check_choice, choices=(True, False))
