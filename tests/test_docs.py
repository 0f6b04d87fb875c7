"""What docs/ shows is true: its Python runs, and makes the same calls as the curl beside it."""

from __future__ import annotations

import argparse
import inspect
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from datetime import timedelta
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from airflow.cli.cli_parser import get_parser
from airflow.providers.common.compat.sdk import DAG, BaseOperator, XComArg

from airflow_provider_zbackup.emulator.api import CONTROL_OPERATIONS
from airflow_provider_zbackup.emulator.records import Cluster
from airflow_provider_zbackup.emulator.seed import STORAGE_INTEGRATION_ID
from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.task_groups import backup_before
from airflow_provider_zbackup.version_compat import AIRFLOW_VERSION, HAS_TASK_STATE_STORE
from tests.documents import (
    EXAMPLE,
    ROOT,
    TESTING_PAGE,
    assert_is_in_example,
    blocks,
    fresh_environment,
    public_names,
)
from tests.support import API_KEY, CLUSTER_ID, PROJECT_ID, TaskInstance, World, make_world

PAGE = "docs/from-curl-to-dag.md"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: The pages that the tests below look at in general.
PAGES = sorted(
    page for path in (ROOT / "docs").glob("*.md") if (page := f"docs/{path.name}") not in (PAGE, TESTING_PAGE)
)
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


# All other pages


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs_or_is_in_the_example_that_it_names(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any], page: str
) -> None:
    to_run = []
    for block in blocks(page, "python"):
        if example := EXAMPLE.search(block.introduction):
            assert_is_in_example(block.code, example[1])
        elif can_run(block.code):
            to_run.append(block.code)
    if to_run:
        with make_world(monkeypatch) as world:
            run_page(world, page, with_real_ids(world, "\n".join(to_run)))
            assert world.requests()


def can_run(code: str) -> bool:
    """Tell whether this Airflow has what a block needs."""
    lacks = {"retry_policy": not HAS_TASK_STATE_STORE, "airflow.sdk": AIRFLOW_VERSION.major < 3}
    return not any(lacks[name] for name in lacks if name in code)


def run_page(world: World, page: str, code: str) -> None:
    """Run what a page shows in one DAG, and then its tasks one after the other, each with what it takes."""
    numbers = count()
    names: dict[str, Any] = public_names() | {
        "timedelta": timedelta,
        "migrate": lambda: BaseOperator(task_id=f"migrate_{next(numbers)}"),
    }
    with DAG("dag", schedule=None) as dag:
        exec(compile(code, page, "exec"), names)
    xcoms: dict[str, dict[str, Any]] = {}
    for task in [*dag.tasks, *(names["dag"].tasks if "dag" in names else ())]:
        if type(task).__name__ in public_names():
            for name in task.template_fields:
                if isinstance(value := getattr(task, name), XComArg):
                    source, key = next(value.iter_references())
                    setattr(task, name, xcoms[source.task_id][key])
            instance = TaskInstance(lambda task=task: task)  # type: ignore[misc]
            result = instance.run()
            xcoms[task.task_id] = instance.xcoms | {"return_value": result}


@pytest.mark.skipif(AIRFLOW_VERSION.major < 3, reason="Airflow 2 has no asset watchers")
def test_the_task_that_is_shown_reads_all_events() -> None:
    page = "docs/assets-and-lineage.md"
    names: dict[str, Any] = public_names()
    exec(compile("\n".join(block.code for block in blocks(page, "python")), page, "exec"), names)
    told = [SimpleNamespace(extra={"payload": {"backup_id": backup_id}}) for backup_id in ("b", "a", "b")]

    class Events:
        """Not a dict: Airflow 3.1 cannot hash an asset that has watchers."""

        def __getitem__(self, asset: Any) -> Any:
            assert asset is names["new_backups"]
            return told

    assert names["ids"].function(Events()) == ["a", "b"]


COMMANDS = [
    (page, line.removeprefix("$ "))
    for page in PAGES
    for block in blocks(page)
    if block.language in ("console", "dockerfile")
    for line in block.code.splitlines()
    if line.startswith(("$ ", "RUN "))
]


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_that_a_page_shows_can_be_run(
    monkeypatch: pytest.MonkeyPatch, page: str, command: str
) -> None:
    words = shlex.split(command.removeprefix("RUN "))
    match words:
        case ["make", *targets]:
            rules = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
            assert set(targets) <= set(rules)
        case ["pip", "install", *_, what]:
            name, extra = re.fullmatch(r"([\w./-]+?)(?:\[(.+)\])?", what).groups()  # type: ignore[union-attr]
            wheel = f"dist/airflow_provider_zbackup-{PROJECT['version']}-py3-none-any.whl"
            assert name in (PROJECT["name"], wheel, "build")
            assert extra is None or extra in PROJECT["optional-dependencies"]
        case ["python", "-m", module, *_]:
            assert module == "build" or find_spec(module)
        case ["airflow", *arguments]:
            get_parser().parse_args(arguments)
        case ["export", variable]:
            name, _, value = variable.partition("=")
            monkeypatch.setenv(name, value)
            assert ZillizHook().connection.settings.api_key == "YOUR-API-KEY"
        case _:
            pytest.fail(f"no test of {command!r}")


DIRECTIVES = {"{toctree}", "{eval-rst}", "{include}", "{image}"}


def test_no_page_shows_code_of_another_kind() -> None:
    kinds = {block.language.partition(" ")[0] for page in PAGES for block in blocks(page)}
    assert kinds <= {"python", "console", "dockerfile", "text", *DIRECTIVES}


def test_each_public_class_has_a_page() -> None:
    listed = re.findall(r"^   ([\w.]+)$", (ROOT / "docs/reference.md").read_text(), re.M)
    paths = {f"{value.__module__}.{name}" for name, value in public_names().items() if name != "ZillizHook"}
    assert {f"airflow_provider_zbackup.{name}" for name in listed} == {
        *paths,
        "airflow_provider_zbackup.task_groups.backup_before",
    }


DOCUMENTED = {**public_names(), "backup_before": backup_before}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_each_parameter_has_a_line_of_its_own(name: str) -> None:
    """In the class itself, or in the base to which its docstring refers."""
    bases = [
        base
        for base in DOCUMENTED[name].__mro__
        if base.__module__.startswith("airflow_provider_zbackup") and "__init__" in vars(base)
    ]
    taken = {parameter for base in bases for parameter in inspect.signature(base.__init__).parameters}
    text = "".join(inspect.getdoc(base) or "" for base in bases)
    assert taken - {"self", "kwargs"} <= set(re.findall(r":param (\w+):", text))


# The page on testing; tests/emulator/test_pytest_plugin.py runs its test


def test_the_commands_that_are_shown_work(tmp_path: Path) -> None:
    consoles = [block.code.splitlines() for block in blocks(TESTING_PAGE, "console")]
    for install, serve, *_ in consoles:
        name, extra = re.fullmatch(r"\$ pip install '(.+)\[(.+)\]'", install).groups()  # type: ignore[union-attr]
        assert (name, extra in PROJECT["optional-dependencies"]) == (PROJECT["name"], True)
        assert serve.startswith("$ python -m airflow_provider_zbackup.emulator")
    (_, serve, shown), _ = consoles  # What the second needs is installed for `make test-data` only.
    arguments = serve.split()[2:]
    server = subprocess.Popen(
        [sys.executable, *arguments], env=fresh_environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    try:
        said = server.stdout.readline()  # type: ignore[union-attr]
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=30)
    parts = (re.sub(r":\d{5}", r":\\d+", re.escape(part)) for part in shown.split("…"))
    assert re.fullmatch(".+".join(parts), said.rstrip("\n"))
