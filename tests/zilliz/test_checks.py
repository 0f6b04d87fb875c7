"""Checks of ids and names."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.checks import ArgumentError, check_copies, check_id, check_names


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "x must be a string, not int"),
        (" ", "x must not be empty"),
        (" a", "x has white space around it: ' a'"),
        ("None", "x is 'None': its template found nothing to render"),
    ],
)
def test_what_is_no_id(value: Any, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        check_id("x", value)


def is_known(item: Any) -> bool:
    return "{{" not in str(item)


def test_what_is_known_only_later_is_not_checked() -> None:
    check_names("x", ["a", "{{ a }}", "{{ a }}"], of="names", is_known=is_known)
    check_copies("x", {" {{ region }}": 7, "aws-us-west-2": "{{ days }}"}, is_known=is_known)
