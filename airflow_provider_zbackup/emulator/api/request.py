"""A request to the API, with checked access to its parts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from airflow_provider_zbackup.emulator.errors import ApiError, bad_request, documented_error
from airflow_provider_zbackup.emulator.formats import Json

Item = TypeVar("Item")
_MISSING = object()


@dataclass(frozen=True)
class ApiRequest:
    """
    One request to the API.

    :param path: the ids in the path.
    :param content: the raw body.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    @cached_property
    def body(self) -> Fields:
        """
        Return the fields of the JSON object in the body. A missing body counts as an empty object.

        HTTP 400 for malformed JSON is a guess: it is not documented.
        """
        try:
            value = json.loads(self.content) if self.content.strip() else {}
        except (ValueError, RecursionError):
            raise ApiError(400, "The request body is not valid JSON.", http_status=400) from None
        if not isinstance(value, dict):
            raise ApiError(400, "The request body is not a JSON object.", http_status=400)
        return Fields(value)

    def page_of(self, items: Sequence[Item]) -> tuple[dict[str, Json], Sequence[Item]]:
        """
        Return the paging fields of the answer, and the items of the page that the request asks for.

        ``count`` is the total, because clients use it so. The reference says that it counts the page.
        """
        size = self._whole_number("pageSize", 10, 100, 96008)
        current = self._whole_number("currentPage", 1, 2**31 - 1, 96009)
        page = items[(current - 1) * size : current * size]
        return {"count": len(items), "currentPage": current, "pageSize": size}, page

    def choice(self, name: str, choices: Sequence[str], code: int) -> str | None:
        """
        Return an optional query parameter.

        :param code: the error for a value that is not one of the choices.
        """
        value = self.query.get(name)
        if value is not None and value not in choices:
            raise documented_error(code)
        return value

    def _whole_number(self, name: str, default: int, largest: int, code: int) -> int:
        text = self.query.get(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= largest):
            raise documented_error(code)
        return int(text)


@dataclass(frozen=True)
class Fields:
    """
    The fields of a JSON object in a request. Null counts as a missing field.

    The documentation has no code for a wrong type. Where it has a code for any wrong value, the method takes
    it as an argument.
    """

    values: Mapping[str, Json]

    def text(self, name: str, default: str | None = None) -> str:
        """
        Return a string.

        :param default: the value of a missing field. None means that the field must exist and not be empty.
        """
        value = self._value(name)
        if value is _MISSING and default is not None:
            return default
        if not isinstance(value, str) or (default is None and not value):
            raise bad_request(f"Invalid or missing {name}.")
        return value

    def choice(self, name: str, choices: Sequence[str], error: ApiError) -> str:
        """
        Return a string.

        :param error: for a missing field or a value that is not one of the choices.
        """
        value = self._value(name)
        if not isinstance(value, str) or value not in choices:
            raise error
        return value

    def whole_number(self, name: str, smallest: int, largest: int, code: int) -> int:
        """
        Return a whole number.

        :param code: the error for a missing field or a number that is too small or too large.
        """
        value = self._value(name)
        if not isinstance(value, int) or isinstance(value, bool) or not smallest <= value <= largest:
            raise documented_error(code)
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean, which must not be missing."""
        value = self._value(name)
        if not isinstance(value, bool):
            raise bad_request(f"Invalid or missing {name}.")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of strings, which is empty for a missing field."""
        return self._list(name, str)

    def objects(self, name: str) -> list[Fields]:
        """Return a list of objects, which is empty for a missing field."""
        return [Fields(value) for value in self._list(name, dict)]

    def _value(self, name: str) -> Json:
        value = self.values.get(name)
        return _MISSING if value is None else value

    def _list(self, name: str, kind: type) -> list[Json]:
        value = self._value(name)
        if value is _MISSING:
            return []
        if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
            raise bad_request(f"Invalid {name}.")
        return value
