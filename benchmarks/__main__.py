"""
Runs the benchmarks and writes docs/benchmarks.md: ``python -m benchmarks [part ...]``.

A part that does not run keeps its old section.
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

PARTS = ("imports", "pacing", "waits", "prune", "verify", "triggerer", "page", "end_to_end", "guard")
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
HEAD = """\
# Benchmarks

Written by `make bench`. Each section was measured in one run on one machine: this provider and what it is
compared with. Compare the rows with each other, not with figures from elsewhere.
"""


def read_sections(document: Path) -> dict[str, str]:
    """
    Return the sections of the document by their titles.

    :param document: path of the document, which need not exist.
    """
    if not document.exists():
        return {}
    _, *parts = re.split(r"^## ", document.read_text(), flags=re.MULTILINE)
    return {title: body for title, _, body in (part.partition("\n") for part in parts)}


def conditions() -> str:
    """Return when, and on what machine, a section was measured."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    return f"Measured on {datetime.now(UTC):%Y-%m-%d}: {machine}, Airflow {version('apache-airflow')}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="run few rounds and write nothing, to check that the benchmarks work",
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    titles = [importlib.import_module(f"benchmarks.{name}").TITLE for name in PARTS]
    for name in arguments.parts or PARTS:
        part = importlib.import_module(f"benchmarks.{name}")
        print(f"## {part.TITLE}\n", file=sys.stderr)
        body = f"{part.measure(quick=arguments.quick)}\n\n{conditions()}"
        print(body, flush=True)
        if arguments.quick:
            continue
        known = read_sections(DOCUMENT) | {part.TITLE: body}
        text = "".join(f"## {title}\n\n{known[title].strip()}\n\n" for title in titles if title in known)
        DOCUMENT.write_text(f"{HEAD}\n{text.rstrip()}\n")


if __name__ == "__main__":
    main()
