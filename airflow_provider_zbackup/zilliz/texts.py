"""Sizes, ages and tables in words, for logs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta


def format_size(size: float | None) -> str:
    """Return a size in bytes with a fitting unit; powers of 1,000."""
    if size is None:
        return "unknown"
    if size < 1000:
        return f"{size:.0f} B"
    units = iter(("kB", "MB", "GB", "TB"))
    unit, size = next(units), size / 1000
    while size >= 1000 and unit != "TB":
        unit, size = next(units), size / 1000
    return f"{size:.1f} {unit}"


def format_age(age: timedelta | None) -> str:
    """Return an age in its two largest units, such as ``3 d 4 h``."""
    if age is None:
        return "unknown"
    minutes, seconds = divmod(max(0, int(age.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table whose columns are as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
