"""The blocks of code in the documents, and the names that they need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from textwrap import indent
from typing import Any, NamedTuple

from airflow_provider_zbackup.get_provider_info import get_provider_info

ROOT = Path(__file__).parents[1]
TESTING_PAGE = "docs/test-your-dags.md"
#: A link to an example: the block below it is literally there.
EXAMPLE = re.compile(r"\]\((?:\.\./)?(example_dags/\w+\.py)\)")


class Block(NamedTuple):
    """A block of code, and the section and paragraph that it stands in."""

    language: str
    code: str
    section: str
    introduction: str


def blocks(document: str, *languages: str) -> list[Block]:
    """
    Return the blocks of a document.

    :param document: its path below the root, such as ``README.md``
    :param languages: by default all
    """
    found = _blocks((ROOT / document).read_text())
    return [block for block in found if not languages or block.language in languages]


def _blocks(text: str) -> Iterator[Block]:
    section, paragraph, code = "", "", None
    for line in text.splitlines():
        if line.startswith("```"):
            if code is None:
                language, code = line.removeprefix("```"), ""
            else:
                yield Block(language, code, section, paragraph)
                code, paragraph = None, ""
        elif code is not None:
            code += line + "\n"
        elif line.startswith("#"):
            section, paragraph = line.lstrip("# "), ""
        else:
            paragraph += line + "\n"


def public_names() -> dict[str, Any]:
    """Return the hook, the operators and the sensors, by their names."""
    info = get_provider_info()
    modules = [
        import_module(module)
        for kind in ("hooks", "operators", "sensors")
        for entry in info[kind]
        for module in entry["python-modules"]
    ]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if name.startswith("Zilliz") and value.__module__ == module.__name__
    }


def assert_is_in_example(code: str, example: str) -> None:
    """Check that an example contains a block of code; an empty line stands for what the block leaves out."""
    rest = (ROOT / example).read_text()
    for part in code.rstrip().split("\n\n"):
        _, found, rest = rest.partition(indent(part, "    ") + "\n")
        assert found, f"{example} has no\n{part}"


def fresh_environment(home: Path) -> dict[str, str]:
    """Return the environment of somebody who has never run Airflow."""
    kept = {
        name: value for name, value in os.environ.items() if "AIRFLOW" not in name and "PYTEST" not in name
    }
    return kept | {"HOME": str(home), "AIRFLOW_HOME": str(home / "airflow"), "PYTHONPATH": str(ROOT)}


def shown_tests() -> list[str]:
    """Return the tests that the page on testing shows."""
    _, *tests = (block.code for block in blocks(TESTING_PAGE, "python"))
    return tests


def write_shown_test(folder: Path, test: str) -> None:
    """Write a test with the ``conftest.py`` that the page shows, and the example that the test imports."""
    (folder / "conftest.py").write_text(blocks(TESTING_PAGE, "python")[0].code)
    (folder / "test_my_dag.py").write_text(test)
    for module in re.findall(r"^from (\w+) import dag$", test, re.M):
        shutil.copy(ROOT / "example_dags" / f"{module}.py", folder)


def run_pytest(folder: Path, **settings: str) -> str:
    """Run the tests in a folder as somebody who has never run Airflow, and return what pytest wrote."""
    # Without it, pytest would look for its configuration in the folders above.
    (folder / "pytest.ini").touch()
    environment = fresh_environment(folder) | settings
    environment["PYTHONPATH"] += f"{os.pathsep}{folder}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    return done.stdout
