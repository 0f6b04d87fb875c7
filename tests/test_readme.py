"""What README.md shows is true: its code runs, or is literally what the examples contain."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_zbackup.emulator.formats import DAY
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from tests.documents import EXAMPLE, ROOT, assert_is_in_example, blocks, public_names
from tests.support import CLUSTER_ID, TaskInstance, World

FIRST_PAGE = [
    block
    for block in blocks("README.md", "python")
    if block.section in ("airflow-provider-zbackup", "How do I go back?", "Who deletes them?")
]
EXAMPLES = [
    (match[1], block.code)
    for block in blocks("README.md", "python")
    if block not in FIRST_PAGE and (match := EXAMPLE.search(block.introduction))
]


def test_every_block_of_python_has_a_test() -> None:
    tested = {code for _, code in EXAMPLES} | {block.code for block in FIRST_PAGE}
    assert [block.code for block in blocks("README.md", "python") if block.code not in tested] == []


def test_the_blocks_of_the_first_page_back_up_restore_and_prune(
    world: World, variables: dict[str, Any]
) -> None:
    names = public_names() | {"timedelta": timedelta}
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
    assert_is_in_example(code, example)


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
