"""What docs/ shows is true: its Python runs, and makes the same calls as the curl beside it."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

import httpx
import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_zbackup.emulator.api import CONTROL_OPERATIONS
from airflow_provider_zbackup.emulator.records import Cluster
from airflow_provider_zbackup.emulator.seed import STORAGE_INTEGRATION_ID
from tests.documents import ROOT, blocks
from tests.support import API_KEY, CLUSTER_ID, PROJECT_ID, TaskInstance, World, make_world

PAGE = "docs/from-curl-to-dag.md"
GUARD = "docs/guard.md"
IMPORTS, *PYTHON = blocks(PAGE, "python")
CURL = blocks(PAGE, "bash")
SECTIONS = list(dict.fromkeys(block.section for block in PYTHON))
#: Operations that no guide on backups calls.
OTHERS = {"suspend_cluster", "resume_cluster", "list_clouds", "describe_project"}


def parser() -> argparse.ArgumentParser:
    """The options of curl that the page uses."""
    curl = argparse.ArgumentParser(exit_on_error=False)
    curl.add_argument("program", choices=["curl"])
    curl.add_argument("url")
    curl.add_argument("--request", default="GET")
    curl.add_argument("--header", action="append")
    curl.add_argument("--data")
    return curl


def calls(code: str) -> list[argparse.Namespace]:
    """Return the calls of a block: each begins with ``curl``."""
    words = shlex.split(code.replace("\\\n", " "))
    begins = [number for number, word in enumerate(words) if word == "curl"]
    return [
        parser().parse_args(words[begin:end])
        for begin, end in zip(begins, [*begins[1:], len(words)], strict=True)
    ]


def with_real_ids(world: World, code: str) -> str:
    """Put ids of a world of its own, in which everything is there that the page speaks of, into a block."""
    backup = world.someone_backs_up(seconds=0)
    world.control_plane.put_cluster(
        Cluster("in01-yyyyyyyyyyyyyyy", "drill", PROJECT_ID, created=world.clock.now)
    )
    for shown, real in {
        "in01-xxxxxxxxxxxxxxx": CLUSTER_ID,
        "backup0_xxxxxxxxxxxxxxx": backup.backup_id,
        "job-xxxxxxxxxxxxxxxxxxxxxx": backup.job.job_id,
        "proj-xxxxxxxxxxxxxxxxxxxxxx": PROJECT_ID,
        "integ-xxxxxxxxxxxxxxxxxx": STORAGE_INTEGRATION_ID,
        "https://api.cloud.zilliz.com": world.url,
        "$ZILLIZ_API_KEY": API_KEY,
    }.items():
        code = code.replace(shown, real)
    return code


def sent(world: World) -> list[tuple[str, Any]]:
    """Return the operations that were called, with their bodies."""
    return [(entry.operation, entry.body) for entry in world.requests()]


def send(world: World, code: str) -> None:
    for call in calls(with_real_ids(world, code)):
        headers = dict(header.split(": ", 1) for header in call.header)
        answer = httpx.request(call.request, call.url, headers=headers, content=call.data)
        assert answer.json()["code"] == 0, (call.url, answer.text)


def run(world: World, code: str) -> None:
    """Run a block of Python in a DAG, and then the tasks that it makes."""
    names: dict[str, Any] = {}
    exec(compile(IMPORTS.code, PAGE, "exec"), names)
    with DAG("dag", schedule=None) as dag:
        exec(compile(with_real_ids(world, code), PAGE, "exec"), names)
    for task in dag.tasks:
        TaskInstance(lambda task=task: task).run()  # type: ignore[misc]


@pytest.mark.parametrize("section", SECTIONS)
def test_curl_and_python_make_the_same_call(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any], section: str
) -> None:
    with make_world(monkeypatch) as world:
        for block in CURL:
            if block.section == section:
                send(world, block.code)
        by_curl = sent(world)
    by_python: list[Any] = []
    for block in PYTHON:
        if block.section == section:
            with make_world(monkeypatch) as world:
                run(world, block.code)
                assert world.requests(), block.code
                by_python += sent(world)
    assert by_curl
    assert [call for call in by_curl if call not in by_python] == []


def test_each_call_of_the_guides_is_shown(world: World) -> None:
    for block in CURL:
        send(world, block.code)
        # Until its jobs have ended.
        world.clock.sleep(3600)
    assert {name for name, _ in sent(world)} == {operation.name for operation in CONTROL_OPERATIONS} - OTHERS


def test_the_guard_is_shown_as_in_its_example() -> None:
    (guard,) = blocks(GUARD)
    assert guard.code in [block.code for block in blocks("README.md")], "tests/test_readme.py compares that"


def test_no_other_document_shows_code_that_nobody_runs() -> None:
    others = [str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")]
    assert [name for name in others if name not in (PAGE, GUARD) and blocks(name)] == []
