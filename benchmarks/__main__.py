"""
Runs the benchmarks and writes docs/benchmarks.md: ``python -m benchmarks [part ...]``.

A part that is not run keeps its section as it stands.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import re
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PARTS = ("imports", "pacing", "waits", "triggerer", "end_to_end")
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
HEAD = """\
# Benchmarks

Written by `make bench`. In each section this provider and what it is compared with were measured in one run,
on one machine; compare the rows with each other, not with figures from elsewhere.
"""


def sections(document: Path) -> dict[str, str]:
    """
    Return the sections of the document by their titles.

    :param document: where it is, if it is there already.
    """
    if not document.exists():
        return {}
    _, *parts = re.split(r"^## ", document.read_text(), flags=re.MULTILINE)
    return {title: body for title, _, body in (part.partition("\n") for part in parts)}


def circumstances() -> str:
    """Return when and on what a section was measured."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    return f"Measured on {datetime.now(UTC):%Y-%m-%d}: {machine}, Airflow {version('apache-airflow')}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument(
        "--quick", action="store_true", help="few rounds, nothing written: only to see it run"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    titles = [importlib.import_module(f"benchmarks.{name}").TITLE for name in PARTS]
    for name in arguments.parts or PARTS:
        part = importlib.import_module(f"benchmarks.{name}")
        print(f"## {part.TITLE}\n", file=sys.stderr)
        body = f"\n{part.measure(quick=arguments.quick)}\n\n{circumstances()}\n\n"
        print(body, flush=True)
        if arguments.quick:
            continue
        known = sections(DOCUMENT) | {part.TITLE: body}
        text = "".join(f"## {title}\n{known[title]}" for title in titles if title in known)
        DOCUMENT.write_text(f"{HEAD}\n{text.rstrip()}\n")


if __name__ == "__main__":
    main()
