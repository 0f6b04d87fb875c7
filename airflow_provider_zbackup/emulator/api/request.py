"""A request to the API, and how its parts are read."""

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
    One request.

    :param path: the ids in its path.
    :param query: its query parameters.
    :param content: its body, as it came.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    @cached_property
    def body(self) -> Fields:
        """
        Return the fields of the JSON object in the body; no body is an empty object.

        How the service answers to malformed JSON is not documented; here it is HTTP 400.
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
        Cut out the page that was asked for.

        The reference calls ``count`` the number returned, clients take it as the grand total; so it is here.

        :param items: all items.
        :return: the paging fields of the answer and the items of the page.
        """
        size = self._whole_number("pageSize", 10, 100, 96008)
        current = self._whole_number("currentPage", 1, 2**31 - 1, 96009)
        page = items[(current - 1) * size : current * size]
        return {"count": len(items), "currentPage": current, "pageSize": size}, page

    def choice(self, name: str, choices: Sequence[str], code: int) -> str | None:
        """
        Return an optional query parameter with few possible values.

        :param name: the parameter.
        :param choices: its values.
        :param code: the refusal for all others.
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
    The fields of one JSON object in a request. None counts as absent. No code is documented for a field of a
    wrong type, unless the method takes one.

    :param values: the object.
    """

    values: Mapping[str, Json]

    def text(self, name: str, default: str | None = None) -> str:
        """
        Return a string.

        :param name: the field.
        :param default: what it is when absent; without a default it must be there and not empty.
        """
        value = self._value(name)
        if value is _MISSING and default is not None:
            return default
        if not isinstance(value, str) or (default is None and not value):
            raise bad_request(f"Invalid or missing {name}.")
        return value

    def choice(self, name: str, choices: Sequence[str], error: ApiError) -> str:
        """
        Return a string with few possible values.

        :param name: the field.
        :param choices: its values.
        :param error: the answer to all others, and to none.
        """
        value = self._value(name)
        if not isinstance(value, str) or value not in choices:
            raise error
        return value

    def whole_number(self, name: str, smallest: int, largest: int, code: int) -> int:
        """
        Return a whole number.

        :param name: the field.
        :param smallest: the smallest allowed value.
        :param largest: the largest allowed value.
        :param code: the refusal for all others, and for none.
        """
        value = self._value(name)
        if not isinstance(value, int) or isinstance(value, bool) or not smallest <= value <= largest:
            raise documented_error(code)
        return value

    def flag(self, name: str) -> bool:
        """
        Return a boolean that must be there.

        :param name: the field.
        """
        value = self._value(name)
        if not isinstance(value, bool):
            raise bad_request(f"Invalid or missing {name}.")
        return value

    def texts(self, name: str) -> list[str]:
        """
        Return a list of strings, empty when absent.

        :param name: the field.
        """
        return self._list(name, str)

    def objects(self, name: str) -> list[Fields]:
        """
        Return a list of objects, empty when absent.

        :param name: the field.
        """
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
