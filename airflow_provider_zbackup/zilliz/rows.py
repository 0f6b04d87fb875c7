"""
Fingerprints of rows, to compare them without keeping or showing them.

Two values have the same fingerprint exactly if they are the same value of their field's type, however a
server writes them. That holds for integers beyond 2^53 too, except in fields that are not in the schema:
there, Milvus's REST API turns integers into floating-point numbers before anybody sees them.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypeAlias

from airflow_provider_zbackup.zilliz.data_models import CollectionField

#: A fingerprint for each field of a row.
RowFingerprint: TypeAlias = Mapping[str, str]

_INTEGERS = ("Int8", "Int16", "Int32", "Int64")
#: From the first to the second, a floating-point number may stand for an integer that it cannot hold.
_EXACT, _LARGEST = 2**53, 2**64


def fingerprint_row(row: Mapping[str, Any], schema: Mapping[str, CollectionField]) -> RowFingerprint:
    """
    Return the fingerprints of a row.

    :param row: as the data plane shows it
    :param schema: the fields of the collection, by name
    """
    return {name: _hash(_canonical(schema.get(name), value)) for name, value in row.items()}


def fingerprint_whole_row(fields: RowFingerprint) -> str:
    """Return one fingerprint of a whole row."""
    return _hash(json.dumps(sorted(fields.items())).encode())


def inexact_fields(row: Mapping[str, Any], schema: Mapping[str, CollectionField]) -> set[str]:
    """Return the fields of a row that hold integers which REST cannot show exactly."""
    return {name for name, value in row.items() if name not in schema and _holds_large_number(value)}


def read_key(field: CollectionField, value: Any) -> int | str:
    """Return a primary key; a server may send an integer as a text."""
    return int(value) if field.type in _INTEGERS else str(value)


def _hash(value: bytes) -> str:
    return blake2b(value, digest_size=8).hexdigest()


def _canonical(field: CollectionField | None, value: Any) -> bytes:
    """Return the one form of a value of a field; without a field, it is not in the schema."""
    if value is None:
        # One byte that no other value gives.
        return b"-"
    kind = field.type if field is not None else "JSON"
    try:
        if kind in _INTEGERS:
            return b"%d" % int(value)
        if kind == "Float":
            return struct.pack("<f", value)
        if kind == "Double":
            return struct.pack("<d", value)
        if kind == "FloatVector":
            return array("f", value).tobytes()
        if kind == "SparseFloatVector":
            items = sorted((int(place), weight) for place, weight in value.items())
            return b"".join(struct.pack("<qf", place, weight) for place, weight in items)
        if kind == "JSON" and field is not None and isinstance(value, str):
            value = json.loads(value)
        elif kind == "Array" and field is not None:
            value = _read_array(field, value)
    except (ValueError, TypeError, LookupError, OverflowError, AttributeError, struct.error):
        # Not in a known form, so compare what is there.
        pass
    # Texts, booleans, and vectors of other types, which come as base64, are themselves.
    return json.dumps(_normalise(value), sort_keys=True).encode()


def _read_array(field: CollectionField, value: Any) -> Any:
    """Return the elements of an array. Older servers wrap them: ``{"Data": {"LongData": {"data": [1]}}}``."""
    if isinstance(value, Mapping):
        (kind,) = value["Data"].values()
        value = kind.get("data", [])
    if field.element_type in _INTEGERS:
        return [int(item) for item in value]
    if field.element_type == "Float":
        return array("f", value).tobytes().hex()
    return value


def _normalise(value: Any) -> Any:
    """Write a number in one way: JSON makes no difference between 5 and 5.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if isinstance(value, Mapping):
        return {name: _normalise(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_normalise(item) for item in value]
    return value


def _holds_large_number(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_large_number, value.values()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return any(map(_holds_large_number, value))
    return isinstance(value, int | float) and _EXACT < abs(value) <= _LARGEST
