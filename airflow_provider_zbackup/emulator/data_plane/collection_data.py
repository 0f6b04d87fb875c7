"""The data of a collection: what the API has to know of it, and a form of it that lies in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from airflow_provider_zbackup.emulator.formats import Json

Key = int | str
Row = Mapping[str, Json]


@dataclass(frozen=True)
class Field:
    """
    A field of a collection.

    :param type: as the API names it, such as ``Int64``, ``VarChar`` or ``FloatVector``.
    :param params: such as ``{"dim": "16"}``. The API shows all values as text.
    :param element_type: the type of an array's elements.
    """

    name: str
    type: str
    is_primary: bool = False
    nullable: bool = False
    params: Mapping[str, str] = field(default_factory=dict)
    element_type: str = ""


@dataclass(frozen=True)
class Index:
    """An index of a field."""

    name: str
    field_name: str
    type: str = "AUTOINDEX"
    metric: str = ""
    params: Mapping[str, str] = field(default_factory=dict)


class CollectionData(Protocol):
    """The data of a collection: in memory at one moment, in an engine as they are now."""

    @property
    def fields(self) -> Sequence[Field]:
        """The fields of the schema."""

    @property
    def indexes(self) -> Sequence[Index]:
        """The indexes of all fields."""

    @property
    def has_dynamic_fields(self) -> bool:
        """Whether rows may have fields that are not in the schema."""

    def count(self) -> int:
        """Return the number of rows."""

    def with_keys(self, keys: Sequence[Key]) -> list[Row]:
        """Return the rows with these primary keys, by ascending key."""

    def page(self, after: Key | None, offset: int, limit: int) -> list[Row]:
        """
        Return rows by ascending primary key.

        :param after: only rows with a greater key; None means all.
        """

    def without(self, keys: Sequence[Key]) -> CollectionData:
        """Return the data without the rows with these primary keys. An engine deletes them."""


def primary_field(data: CollectionData) -> Field:
    """Return the field that is the primary key."""
    return next(each for each in data.fields if each.is_primary)


@dataclass(frozen=True)
class RowsInMemory:
    """
    Data in memory, which never changes: so a backup or a restored collection simply has the same data.

    :param rows: by primary key, each with its key.
    """

    fields: Sequence[Field]
    rows: Mapping[Key, Row] = field(default_factory=dict, repr=False)
    indexes: Sequence[Index] = ()
    has_dynamic_fields: bool = False

    @cached_property
    def _keys(self) -> Sequence[Key]:
        return sorted(self.rows)

    def count(self) -> int:
        return len(self.rows)

    def with_keys(self, keys: Sequence[Key]) -> list[Row]:
        return [self.rows[key] for key in sorted(set(keys)) if key in self.rows]

    def page(self, after: Key | None, offset: int, limit: int) -> list[Row]:
        start = offset + (0 if after is None else bisect_right(self._keys, after))
        return [self.rows[key] for key in self._keys[start : start + limit]]

    def without(self, keys: Sequence[Key]) -> RowsInMemory:
        gone = set(keys)
        return replace(self, rows={key: row for key, row in self.rows.items() if key not in gone})


#: Of a collection of which nothing else is known.
NO_ROWS = RowsInMemory(
    fields=(Field("id", "Int64", is_primary=True), Field("vector", "FloatVector", params={"dim": "8"})),
    indexes=(Index("vector", "vector", metric="COSINE"),),
)
