"""
Checks of ids and names. Operators use them while a DAG file is parsed, requests when they are built.

It imports nothing heavy, to keep the parsing of DAG files fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: As policies count them: Monday is 1.
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
#: Whether a restored cluster loads the collections that were loaded, or none.
COLLECTION_STATUSES = ("KEEP", "RELEASE")
#: Which version of Milvus a restored cluster gets.
RESTORE_VERSIONS = ("LATEST", "ORIGINAL")
#: How many days automatic backups can be kept.
RETENTION_DAYS = (1, 30)


class ArgumentError(ValueError):
    """An argument is unusable."""


def check_id(name: str, value: Any) -> None:
    """
    Check an id or a name.

    :raises ArgumentError: unless it is a text without white space around it, and without braces
    """
    if not isinstance(value, str):
        raise ArgumentError(f"{name} must be a string, not {_type_of(value)}")
    if not value.strip():
        raise ArgumentError(f"{name} must not be empty; a template may have found nothing to render")
    if value != value.strip():
        raise ArgumentError(f"{name} has white space around it: {value!r}")
    if value == "None":
        raise ArgumentError(f"{name} is 'None': its template found nothing to render")
    if "{" in value or "}" in value:
        raise ArgumentError(
            f"{name} has a brace: {value!r}. Write a template as {{{{ … }}}}, and a field of another task's "
            "result as task.output['field']"
        )


def check_field(name: str, result: Mapping[str, Any], field: str) -> None:
    """
    Check an id or a name in the result of another task.

    :param name: the argument that the result is given as
    :raises ArgumentError: when the result does not have it, or it is no id
    """
    if result.get(field) is None:
        known = [str(key) for key, value in result.items() if value is not None]
        raise ArgumentError(
            f"{name} is a result without {field}; it has {', '.join(known) or 'nothing'}. Check from which "
            "task it comes"
        )
    check_id(f"{field}, in {name},", result[field])


def _type_of(value: Any) -> str:
    return "None" if value is None else type(value).__name__


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
        correct = "" if value.lstrip().startswith("[") else f": write [{value!r}]"
        raise ArgumentError(
            f"{name} must be a list of {of}, not a string{correct}. A template gives a list only as an "
            "XComArg (task.output) or in a DAG with render_template_as_native_obj=True"
        )
    if not isinstance(value, Sequence):
        raise ArgumentError(f"{name} must be a list of {of}, not {_type_of(value)}")
    if not value:
        raise ArgumentError(f"{name} must not be an empty list; leave it out instead")
    known = [item for item in value if is_known(item)]
    for item in known:
        check_id(f"each of {name}", item)
    twice = sorted({item for item in known if known.count(item) > 1})
    if twice:
        raise ArgumentError(f"{name} has duplicates: {', '.join(twice)}")


def check_number(name: str, value: Any, at_least: int, at_most: int | None = None) -> None:
    """
    Check a whole number; a text of digits is one too, since that is what a template renders.

    :raises ArgumentError: unless it is within the limits
    """
    is_number = isinstance(value, int) and not isinstance(value, bool)
    is_number = is_number or (isinstance(value, str) and value.isdecimal())
    if not is_number or int(value) < at_least or (at_most is not None and int(value) > at_most):
        limits = f", at least {at_least}" if at_most is None else f" from {at_least} to {at_most}"
        raise ArgumentError(f"{name} must be a whole number{limits}, not {value!r}")


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """
    Check a choice.

    :raises ArgumentError: unless the value is one of the choices
    """
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ArgumentError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")


def check_weekdays(name: str, value: Any, *, is_known: Callable[[Any], bool] = lambda item: True) -> None:
    """
    Check a list of weekdays.

    :param is_known: tells whether a weekday is known already, so that it can be checked
    :raises ArgumentError: unless it is a list of different weekdays, at least one
    """
    if isinstance(value, str) and value[:1].isdigit():
        raise ArgumentError(
            f"{name} must be a list such as ['monday', 'thursday'], not {value!r}: a policy takes no cron "
            "expression"
        )
    check_names(name, value, of="weekdays", is_known=is_known)
    for item in value:
        if is_known(item) and item not in WEEKDAYS:
            raise ArgumentError(f"each of {name} must be one of {', '.join(WEEKDAYS)}, not {item!r}")


def check_copies(name: str, value: Any, *, is_known: Callable[[Any], bool] = lambda item: True) -> None:
    """
    Check in which regions automatic backups are copied, and how many days each copy is kept.

    :param is_known: tells whether a region or a number is known already, so that it can be checked
    :raises ArgumentError: unless it is a mapping of region ids to numbers of days
    """
    if not isinstance(value, Mapping):
        raise ArgumentError(
            f"{name} must be a mapping of region ids to days, such as {{'aws-us-west-2': 7}}, not {value!r}"
        )
    for region, days in value.items():
        if is_known(region):
            check_id(f"each region of {name}", region)
        if is_known(days):
            check_number(f"the days of {region} in {name}", days, *RETENTION_DAYS)


def check_backup_scope(collections: Any, database: Any) -> None:
    """
    Check the scope of a backup.

    :raises ArgumentError: when a database is given without collections, since that would back up everything
    """
    if database is not None and collections is None:
        raise ArgumentError("database needs collections: a backup of the whole cluster holds all databases")
