"""
How an answer of the API is read.

The API's own documents disagree about many fields. So answers may have unknown fields, missing fields, nulls
and values of the wrong type: such a field gets its default. Only a list must be there.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core.core_schema import ValidationInfo

#: Zilliz Cloud is younger.
OLDEST_YEAR = 2000


def normalise_state(value: str) -> str:
    """Return a state in one spelling: the documents write both ``IN_PROGRESS`` and ``IN PROGRESS``."""
    return value.strip().upper().replace(" ", "_").replace("-", "_")


def as_utc(value: datetime) -> datetime:
    """
    Return the time in UTC; the API's times without a zone are UTC too.

    :raises ValueError: when it is how a server writes that there is none: year 1, or 1970
    """
    if value.year < OLDEST_YEAR:
        raise ValueError("no time")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def as_percentage(value: Any) -> int:
    """Return a progress as a number from 0 to 100; the API sends text such as ``"40"``."""
    return max(0, min(100, int(float(str(value).strip().rstrip("%")))))


State = Annotated[str, AfterValidator(normalise_state)]
Time = Annotated[datetime, AfterValidator(as_utc)]
Percentage = Annotated[int, BeforeValidator(as_percentage)]


def read_envelope(content: bytes) -> tuple[dict[str, Any] | None, int | None]:
    """Return an answer's envelope and its code, each ``None`` if it cannot be read."""
    try:
        envelope = json.loads(content)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(envelope, dict):
        return None, None
    try:
        return envelope, int(envelope.get("code", 0))
    except (ValueError, TypeError, OverflowError):
        return envelope, None


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        coerce_numbers_to_str=True,
    )

    @field_validator("*", mode="wrap")
    @classmethod
    def _default_when_unreadable(
        cls, value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:
        try:
            if value is not None:
                return read(value)
        except (ValidationError, ValueError, OverflowError):
            pass
        field = cls.model_fields[info.field_name or ""]
        return read(value) if field.is_required() else field.get_default(call_default_factory=True)


def with_empty_list(data: Any, items: str) -> Any:
    """Accept an empty list in any form; but an answer without a list must not count as an empty list."""
    if isinstance(data, dict) and data.get(items) is None and (items in data or data.get("count") == 0):
        return data | {items: []}
    return data
