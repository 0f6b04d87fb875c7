"""How numbers and times look on the page. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from markupsafe import Markup

from airflow_provider_zbackup.ui.view import format_cost, format_target
from airflow_provider_zbackup.zilliz.texts import format_age, format_size


def as_time(moment: datetime | None, form: str = "short", text: str = "") -> str:
    """
    Return a moment as HTML; a script writes it in the time zone of the user.

    :param form: ``short``, or ``age``, ``past`` and ``future`` for how long ago or ahead it is; hovering
        shows the exact time
    :param text: what stands there before the script runs; by default the time in UTC
    """
    if moment is None:
        return ""
    return Markup('<time datetime="{}" data-form="{}">{}</time>').format(
        moment.isoformat(), form, text or moment.strftime("%Y-%m-%d %H:%M UTC")
    )


def count(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 backup``, ``2,000 backups``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


FILTERS: dict[str, Callable[..., Any]] = {
    "age": format_age,
    "size": format_size,
    "target": format_target,
    "cost": format_cost,
    "time": as_time,
    "count": count,
    # A text in double quotes is the same in Python and in JSON.
    "python": json.dumps,
}
