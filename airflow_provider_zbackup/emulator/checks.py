"""Checks for everything that a user of the emulator hands in: settings, fault rules, the admin API's JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class CheckedModel(BaseModel):
    """
    A model that accepts no unknown field and no value of a wrong type.

    A typing error in a test's fault rule must not leave the test without its fault.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def explain(error: Exception) -> str:
    """Return one line that says what is wrong, and in which field."""
    if not isinstance(error, ValidationError):
        return str(error)
    problems = []
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        problems.append(f"{field}: {message}" if field else message)
    return "; ".join(problems)
