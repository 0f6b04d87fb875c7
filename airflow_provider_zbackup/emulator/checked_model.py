"""Checks of what users give to the emulator: settings, fault rules, job plans, and JSON for the admin API."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_provider_zbackup.emulator.formats import Json

# About 30 years at most: the API cannot show a time after the year 9999.
Seconds = Annotated[float, Field(ge=0, le=1e9)]


class CheckedModel(BaseModel):
    """Refuses unknown fields and converts no types: a typing error must not silently change a test."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    def given(self) -> dict[str, Json]:
        """Return the fields that somebody gave. Like a missing field, None gives nothing."""
        return {name: value for name, value in self if name in self.model_fields_set and value is not None}


def explain(error: Exception) -> str:
    """Say what is wrong in one line, with the names of the fields."""
    if not isinstance(error, ValidationError):
        return str(error)
    problems = []
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        problems.append(f"{field}: {message}" if field else message)
    return "; ".join(problems)
