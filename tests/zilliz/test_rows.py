"""Fingerprints of rows: the same for one value, however a server writes it; another for each other value."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.data_models import CollectionField
from airflow_provider_zbackup.zilliz.rows import (
    fingerprint_row,
    fingerprint_whole_row,
    inexact_fields,
    read_key,
)

DYNAMIC = None


def field(type: str, element_type: str = "") -> CollectionField:
    return CollectionField(name="value", type=type, element_type=element_type)


def fingerprint(field: CollectionField | None, value: Any) -> str:
    return fingerprint_row({"value": value}, {} if field is None else {"value": field})["value"]


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        (field("Int64"), 2**60, str(2**60)),
        (field("Float"), 0.1, 0.10000000149011612),
        (field("Float"), 5, 5.0),
        (field("FloatVector"), [0.1, 1], [0.10000000149011612, 1.0]),
        (field("SparseFloatVector"), {"7": 0.5, "3": 1}, {"3": 1.0, "7": 0.5}),
        (field("JSON"), '{"a": 1, "b": [2.0]}', '{"b":[2],"a":1}'),
        (field("JSON"), '{"a": 1}', {"a": 1}),
        (field("Array", "Int64"), {"Data": {"LongData": {"data": [1, 2**60]}}}, ["1", str(2**60)]),
        (field("Array", "Int64"), {"Data": {"LongData": {}}}, []),
        (field("Array", "Float"), {"Data": {"FloatData": {"data": [0.1]}}}, [0.10000000149011612]),
        (field("Array", "VarChar"), {"Data": {"StringData": {"data": ["a"]}}}, ["a"]),
        (DYNAMIC, 5, 5.0),
        (DYNAMIC, {"a": [1.0], "b": None}, {"b": None, "a": [1]}),
    ],
)
def test_the_same_value_has_one_fingerprint(field: CollectionField | None, one: Any, other: Any) -> None:
    assert fingerprint(field, one) == fingerprint(field, other)


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        (field("Int64"), 2**60, 2**60 + 1),
        (field("Int64"), 0, None),
        (field("Float"), 1.0, 1.0 + 2**-23),
        (field("Float"), 0.0, -0.0),
        (field("Double"), 0.1, 0.1 + 2**-56),
        (field("FloatVector"), [0.1, 0.2], [0.2, 0.1]),
        (field("FloatVector"), [0.0], [0.0, 0.0]),
        (field("SparseFloatVector"), {"7": 0.5}, {"8": 0.5}),
        (field("BinaryVector"), "AAE=", "AAI="),
        (field("VarChar"), "null", None),
        (field("VarChar"), "", None),
        (field("VarChar"), "1", "1.0"),
        (field("Bool"), True, False),
        (field("JSON"), '{"a": 1}', '{"a": true}'),
        (field("JSON"), str(2**60), str(2**60 + 1)),
        (field("JSON"), "[1, 2]", "[2, 1]"),
        (field("JSON"), "null", None),
        (field("Array", "Int64"), ["1"], ["2"]),
        (field("Array", "VarChar"), ["a"], ["b"]),
        (DYNAMIC, "5", 5),
        (DYNAMIC, 5.5, 5),
        (DYNAMIC, True, 1),
    ],
)
def test_another_value_has_another_fingerprint(field: CollectionField | None, one: Any, other: Any) -> None:
    assert fingerprint(field, one) != fingerprint(field, other)


@pytest.mark.parametrize(
    ("field", "value", "other"),
    [
        (field("Int64"), "five", "six"),
        (field("Float"), "a", "b"),
        (field("FloatVector"), "AAA=", "AAE="),
        (field("SparseFloatVector"), [1], [2]),
        (field("JSON"), "{", "["),
        (field("Array", "Int64"), {"Values": [1]}, {"Values": [2]}),
        (field("Geometry"), "POINT (1 2)", "POINT (2 1)"),
    ],
)
def test_a_value_in_an_unknown_form_is_compared_as_it_is(
    field: CollectionField, value: Any, other: Any
) -> None:
    assert fingerprint(field, value) == fingerprint(field, value) != fingerprint(field, other)


def test_a_whole_row_has_the_fingerprint_of_all_its_fields() -> None:
    whole = fingerprint_whole_row({"a": "1", "b": "2"})
    assert whole == fingerprint_whole_row({"b": "2", "a": "1"})
    assert whole not in map(fingerprint_whole_row, ({"a": "2", "b": "1"}, {"a": "1"}, {"a": "1", "c": "2"}))


def test_large_integers_are_inexact_only_outside_of_the_schema() -> None:
    schema = {"known": field("Int64")}
    row = {
        "known": 2**60,
        "a": 2**53,
        "b": 2**53 + 1,
        "c": {"d": [-(2.0**60)]},
        "e": "x",
        "f": 1e300,
        "g": True,
    }
    assert inexact_fields(row, schema) == {"b", "c"}


def test_keys_are_read_by_their_type() -> None:
    assert read_key(field("Int64"), str(2**60)) == 2**60
    assert read_key(field("VarChar"), "5") == "5"
