"""The files of collections in Milvus Lite: made of rows, linked into a backup, linked again for a restore."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from milvus_lite.db import MilvusLite
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema

from airflow_provider_zbackup.emulator.data_plane.collection_data import CollectionData, Field
from airflow_provider_zbackup.emulator.formats import is_name

MANIFEST = "manifest.json"
SCHEMA = "schema.json"
#: The API's names of Milvus Lite's types.
TYPES = {
    DataType.BOOL: "Bool",
    DataType.INT8: "Int8",
    DataType.INT16: "Int16",
    DataType.INT32: "Int32",
    DataType.INT64: "Int64",
    DataType.FLOAT: "Float",
    DataType.DOUBLE: "Double",
    DataType.VARCHAR: "VarChar",
    DataType.JSON: "JSON",
    DataType.ARRAY: "Array",
    DataType.GEOMETRY: "Geometry",
    DataType.TIMESTAMPTZ: "Timestamptz",
    DataType.FLOAT_VECTOR: "FloatVector",
    DataType.SPARSE_FLOAT_VECTOR: "SparseFloatVector",
}
_TYPES_BY_NAME = {name: each for each, name in TYPES.items()}


def collection_directory(engine: Path, database: str, name: str) -> Path:
    """
    Return where an engine keeps a collection.

    :param engine: the directory of the engine.
    :raises ValueError: if the names can be none of a database and a collection.
    """
    if (database and not is_name(database)) or not is_name(name):
        raise ValueError(f"Invalid name of a collection: {database}.{name}.")
    return database_directory(engine, database) / name


def database_directory(engine: Path, database: str) -> Path:
    """Return where an engine keeps the collections of a database."""
    return engine / "databases" / database / "collections" if database else engine / "collections"


def write_rows(data: CollectionData, target: Path) -> None:
    """
    Write data as the files of a collection.

    :param target: the directory to make.
    """
    schema = CollectionSchema(
        [_schema_of(field) for field in data.fields], enable_dynamic_field=data.has_dynamic_fields
    )
    with TemporaryDirectory(dir=target.parent) as scratch:
        with MilvusLite(scratch) as database:
            collection = database.create_collection("rows", schema)
            collection.insert([dict(row) for row in data.page(None, 0, data.count())])
            for index in data.indexes:
                collection.create_index(
                    index.field_name, {"index_type": index.type, "metric_type": index.metric}
                )
        collection_directory(Path(scratch), "", "rows").rename(target)


def link_collection(source: Path, target: Path) -> None:
    """
    Make a collection of the files of another one, as they are now. Neither notices what the other does then.

    Only what the manifest names belongs to the collection, and such a file never changes. So a hard link is
    as good as a copy. Indexes are left out, because loading builds them. Whoever links the files of an
    engine holds its lock and has flushed the collection.

    :param target: the directory to make.
    :raises FileNotFoundError: if a file is missing.
    """
    manifest = source / MANIFEST
    seen = None
    while True:
        text = manifest.read_text() if manifest.exists() else None
        try:
            target.mkdir(parents=True)
            shutil.copyfile(source / SCHEMA, target / SCHEMA)
            if text is not None:
                (target / MANIFEST).write_text(text)
                for path in _named_files(json.loads(text)):
                    (target / path).parent.mkdir(parents=True, exist_ok=True)
                    _link(source / path, target / path)
            return
        except FileNotFoundError:
            shutil.rmtree(target, ignore_errors=True)
            # A compaction in the background replaces the manifest, and then removes files.
            if text == seen:
                raise
            seen = text


def rename_collection(directory: Path, name: str) -> None:
    """Write another name into the files of a collection that no engine has opened."""
    path = directory / SCHEMA
    path.write_text(json.dumps({**json.loads(path.read_text()), "collection_name": name}))


def size_of(directory: Path) -> int:
    """Return the bytes of a collection's files. A file that vanishes meanwhile does not count."""
    size = 0
    for root, _, names in os.walk(directory):
        for name in names:
            try:
                size += os.stat(os.path.join(root, name)).st_size
            except FileNotFoundError:
                continue
    return size


def _named_files(manifest: dict[str, Any]) -> Iterator[str]:
    for partition, files in manifest["partitions"].items():
        for path in [*files["data_files"], *files["delta_files"]]:
            yield f"partitions/{partition}/{path}"


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        # Not every file system has hard links.
        shutil.copyfile(source, target)


def _schema_of(field: Field) -> FieldSchema:
    numbers = {name: int(value) for name, value in field.params.items()}
    return FieldSchema(
        name=field.name,
        dtype=_TYPES_BY_NAME[field.type],
        is_primary=field.is_primary,
        nullable=field.nullable,
        element_type=_TYPES_BY_NAME[field.element_type] if field.element_type else None,
        **numbers,
    )
