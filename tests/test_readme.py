"""What README.md shows is true: its code runs, or is literally what the examples contain."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_zbackup.emulator.formats import DAY
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from tests.documents import ROOT, blocks, public_names
from tests.support import CLUSTER_ID, TaskInstance, World

EXAMPLE = re.compile(r"\]\((example_dags/\w+\.py)\)")
TESTING = [block for block in blocks("README.md") if block.section.startswith("Test your own DAGs")]
FIRST_PAGE = [
    block
    for block in blocks("README.md", "python")
    if block.section in ("airflow-provider-zbackup", "How do I go back?", "Who deletes them?")
]
EXAMPLES = [
    (match[1], block.code)
    for block in blocks("README.md", "python")
    if block not in (*TESTING, *FIRST_PAGE) and (match := EXAMPLE.search(block.introduction))
]


def test_every_block_of_python_has_a_test() -> None:
    tested = {code for _, code in EXAMPLES} | {block.code for block in (*TESTING, *FIRST_PAGE)}
    assert [block.code for block in blocks("README.md", "python") if block.code not in tested] == []


def test_the_blocks_of_the_first_page_back_up_restore_and_prune(
    world: World, variables: dict[str, Any]
) -> None:
    names = public_names()
    with DAG("dag", schedule=None) as dag:
        names["migrate"] = BaseOperator(task_id="migrate")
        for block in FIRST_PAGE:
            exec(compile(block.code.replace("in01-xxxxxxxxxxxxxxx", CLUSTER_ID), "README.md", "exec"), names)
    tasks: dict[str, Any] = dag.task_dict
    assert tasks["migrate"].upstream_task_ids == {"backup"}
    backup = TaskInstance(lambda: tasks["backup"]).run()
    assert tasks["restore"].backup_id.operator is tasks["backup"]
    # As Airflow renders it.
    tasks["restore"].backup_id = backup
    assert TaskInstance(lambda: tasks["restore"]).run()["status"] == "RUNNING"
    assert "restored_cluster_password" in variables
    days = [world.someone_backs_up(seconds=0, started=world.clock.now - day * DAY) for day in range(1, 40)]
    assert TaskInstance(lambda: tasks["prune"]).run()["deleted"] == sum(day.deleted for day in days)
    # Today is a Monday; the backup of today is the seventh day, and the fourth week.
    assert [age for age, day in enumerate(days, 1) if not day.deleted] == [1, 2, 3, 4, 5, 6, 8, 15]


@pytest.mark.parametrize(("example", "code"), EXAMPLES, ids=[example for example, _ in EXAMPLES])
def test_a_block_from_an_example_is_literally_there(example: str, code: str) -> None:
    rest = (ROOT / example).read_text()
    # An empty line stands for what the block leaves out.
    for part in code.rstrip().split("\n\n"):
        _, found, rest = rest.partition(indent(part, "    ") + "\n")
        assert found, f"{example} has no\n{part}"


def test_each_example_is_named() -> None:
    assert set(EXAMPLE.findall((ROOT / "README.md").read_text())) == {
        str(path.relative_to(ROOT)) for path in (ROOT / "example_dags").glob("*.py")
    }


def test_the_result_of_a_create_has_the_fields_that_are_shown(world: World) -> None:
    (shown,) = (json.loads(block.code) for block in blocks("README.md", "json"))
    world.control_plane.configure(job_seconds=1)
    result = TaskInstance(
        lambda: ZillizCreateBackupOperator(task_id="task", cluster_id=shown["cluster_id"])
    ).run()
    assert list(result) == list(shown)
    assert [type(value) for value in result.values()] == [type(value) for value in shown.values()]


# The section on testing


@pytest.fixture
def fresh(tmp_path: Path) -> dict[str, str]:
    """Return the environment of somebody who has never run Airflow."""
    kept = {
        name: value for name, value in os.environ.items() if "AIRFLOW" not in name and "PYTEST" not in name
    }
    return kept | {"HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path / "airflow"), "PYTHONPATH": str(ROOT)}


def test_the_test_that_is_shown_passes_as_it_stands(fresh: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    conftest, test = (block.code for block in TESTING if block.language == "python")
    (folder / "conftest.py").write_text(conftest)
    (folder / "test_my_dag.py").write_text(test)
    module = re.findall(r"^from (\w+) import", test, re.M)[0]
    shutil.copy(ROOT / "example_dags" / f"{module}.py", folder)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env=fresh,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert re.search(r"^1 passed", done.stdout, re.M), done.stdout[-5000:] + done.stderr[-5000:]


def test_the_commands_that_are_shown_work(fresh: dict[str, str], tmp_path: Path) -> None:
    (console,) = (block.code for block in TESTING if block.language == "console")
    install, serve, shown = console.splitlines()
    name, extra = re.fullmatch(r"\$ pip install '(.+)\[(.+)\]'", install).groups()  # type: ignore[union-attr]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (name, extra in project["optional-dependencies"]) == (project["name"], True)
    program, *arguments = serve.removeprefix("$ ").split()
    assert program == "python"
    server = subprocess.Popen([sys.executable, *arguments], env=fresh, stdout=subprocess.PIPE, text=True)
    try:
        said = server.stdout.readline()  # type: ignore[union-attr]
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=30)
    parts = (re.sub(r":\d{5}", r":\\d+", re.escape(part)) for part in shown.split("…"))
    assert re.fullmatch(".+".join(parts), said.rstrip("\n"))
