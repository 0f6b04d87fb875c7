"""Sizes, ages and tables in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_zbackup.zilliz.texts import format_age, format_size, format_table


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "unknown"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_250_000_000, "1.2 GB"),
        (5e15, "5000.0 TB"),
    ],
)
def test_sizes(size: float | None, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (None, "unknown"),
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=61), "1 min 1 s"),
        (timedelta(hours=5, minutes=2), "5 h 2 min"),
        (timedelta(days=40, hours=3, minutes=59), "40 d 3 h"),
    ],
)
def test_ages(age: timedelta | None, text: str) -> None:
    assert format_age(age) == text


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert format_table(("A", "LONG"), [("value", "x"), ("", "y")]) == ["A      LONG", "value  x", "       y"]


def test_a_table_may_be_empty() -> None:
    assert format_table(("A", "B"), []) == ["A  B"]
