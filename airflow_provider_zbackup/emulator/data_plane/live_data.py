"""A collection in a Milvus Lite, as the emulator reads it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_provider_zbackup.emulator.data_plane.collection_data import (
    Field,
    Index,
    Key,
    Row,
    primary_field,
)
from airflow_provider_zbackup.emulator.data_plane.files import TYPES, size_of
from airflow_provider_zbackup.emulator.records import Collection


class LiveData:
    """
    A collection in an engine.

    :param lite: the collection itself.
    :param lock: of the engine. Who reads rows holds it too: a flush hides rows for a moment.
    """

    def __init__(self, lite: Any, lock: threading.RLock) -> None:
        self._lite = lite
        self._lock = lock
        self.name: str = lite.name
        self.directory = Path(lite.data_dir)

    @property
    def fields(self) -> Sequence[Field]:
        return [
            Field(
                name=each.name,
                type=TYPES[each.dtype],
                is_primary=each.is_primary,
                nullable=each.nullable,
                params={
                    name: str(value)
                    for name in ("dim", "max_length", "max_capacity")
                    if (value := getattr(each, name)) is not None
                },
                element_type=TYPES[each.element_type] if each.element_type else "",
            )
            for each in self._lite.schema.fields
        ]

    @property
    def indexes(self) -> Sequence[Index]:
        found = [self._lite.get_index_info(name) for name in self._lite.list_indexes()]
        return [
            Index(
                name=each["field_name"],
                field_name=each["field_name"],
                type=each["index_type"],
                metric="" if each["metric_type"] == "NONE" else each["metric_type"],
                params={name: str(value) for name, value in each["build_params"].items()},
            )
            for each in found
        ]

    @property
    def has_dynamic_fields(self) -> bool:
        return bool(self._lite.schema.enable_dynamic_field)

    def count(self) -> int:
        with self._lock:
            return int(self._lite.num_entities)

    def with_keys(self, keys: Sequence[Key]) -> list[Row]:
        with self._lock:
            rows = self._lite.get(sorted(set(keys)))
        return [self._read(row) for row in rows]

    def page(self, after: Key | None, offset: int, limit: int) -> list[Row]:
        condition = None if after is None else f"{primary_field(self).name} > {json.dumps(after)}"
        with self._lock:
            rows = self._lite.query(condition, limit=limit, offset=offset, order_by_pk=True)
        return [self._read(row) for row in rows]

    def without(self, keys: Sequence[Key]) -> LiveData:
        with self._lock:
            self._lite.delete(list(keys))
        return self

    def show(self) -> Collection:
        """Return the collection as it is now."""
        status = "LOADED" if self._lite.load_state == "loaded" else "UNLOADED"
        return Collection(self.name, status=status, size=size_of(self.directory), data=self)

    def set_loaded(self, loaded: bool) -> None:
        """Load or release the collection."""
        if loaded:
            self._lite.load()
        else:
            self._lite.release()

    def flush(self) -> None:
        """Write everything into files."""
        self._lite.flush()

    def _read(self, row: Mapping[str, Any]) -> Row:
        texts = {field.name for field in self.fields if field.type == "JSON"}
        return {
            name: json.loads(value) if name in texts and value is not None else value
            for name, value in row.items()
        }
