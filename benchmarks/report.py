"""Writes measurements as the Markdown of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """
    Return a Markdown table.

    :param header: names of the columns.
    :param rows: the cells, one for each column.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def percentile(values: Sequence[float], share: float) -> float:
    """
    Return the value that a given share of all values is below.

    :param values: the values, at least one.
    :param share: from 0 to 1.
    """
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def verdict(goal: str, reached: bool) -> str:
    """
    Return the line that says whether a goal was reached.

    :param goal: the goal.
    :param reached: whether it was reached.
    """
    return f"Goal: {goal}: **{'reached' if reached else 'missed'}**."
