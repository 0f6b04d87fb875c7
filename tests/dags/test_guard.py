"""``backup_before`` around tasks that go well, fail, or never run."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, BaseOperator, TaskGroup

from airflow_provider_zbackup.emulator import ControlPlane
from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.task_groups import backup_before
from airflow_provider_zbackup.version_compat import HAS_DOTS_IN_GROUP_IDS
from airflow_provider_zbackup.zilliz.checks import ArgumentError
from tests.dags.conftest import Run

OWN = ("backup", "gate", "restore", "outcome")
WELL = {"backup": "success", "gate": "success", "restore": "skipped", "outcome": "success"}
UNDONE = {"backup": "success", "gate": "success", "restore": "success", "outcome": "upstream_failed"}


def states(said: str) -> dict[str, str]:
    """Return the states of all tasks, by their ids; the run's is that of ``""``."""
    found = dict(re.findall(r"^TASK (\S+) (\S+)$", said, re.MULTILINE))
    (found[""],) = re.findall(r"^STATE (\S+)$", said, re.MULTILINE)
    return found


def own(expected: dict[str, str], prefix: str = "") -> dict[str, str]:
    return {f"{prefix}backup_before.{name}": state for name, state in expected.items()}


def restored(control_plane: ControlPlane) -> list[str]:
    """Return the names of what was restored."""
    return [each.collection.name for cluster in control_plane.clusters.values() for each in cluster.restored]


@pytest.mark.parametrize(
    ("dag_id", "tasks", "expected", "run_state"),
    [
        ("well", {"work": "success", "after": "success"}, WELL, "success"),
        (
            "fails",
            {"first": "failed", "second": "upstream_failed", "beside": "success", "after": "upstream_failed"},
            UNDONE,
            "failed",
        ),
        ("fails_at_first", {"shaky": "success"}, WELL, "success"),
        (
            "outside_fails",
            {"before": "failed", "work": "upstream_failed"},
            WELL | {"restore": "skipped", "outcome": "upstream_failed"},
            "failed",
        ),
        (
            "one_index_fails",
            {"each_0": "success", "each_1": "failed", "each_2": "success"},
            UNDONE,
            "failed",
        ),
        (
            "scratch_inside",
            {"make_scratch": "success", "fail": "failed", "remove_scratch": "success"},
            UNDONE,
            "failed",
        ),
        ("branch", {"go_on": "success", "work": "skipped"}, WELL | {"outcome": "skipped"}, "success"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_failed_is_restored_and_nothing_else(
    run: Run,
    control_plane: ControlPlane,
    dag_id: str,
    tasks: dict[str, str],
    expected: dict[str, str],
    run_state: str,
) -> None:
    said = run(f"guards:{dag_id}")
    assert states(said) == tasks | own(expected) | {"": run_state}, said
    (backup,) = control_plane.backups
    name = f"quick_setup_{backup.backup_id}"
    assert restored(control_plane) == ([name] if expected is UNDONE else [])


def rows_of(control_plane: ControlPlane) -> dict[str, int]:
    """Return how many rows each collection of the default database has."""
    groups = control_plane.clusters[DEDICATED_CLUSTER_ID].databases_at(control_plane.now())
    return {each.name: each.data.count() for each in groups[""]}


@pytest.mark.parametrize("fail", [False, True])
def test_guarded_migration(run: Run, control_plane: ControlPlane, fail: bool) -> None:
    before = rows_of(control_plane)
    said = run("guarded_migration", fail=fail)
    (backup,) = control_plane.backups
    if fail:
        tasks = {"migrate": "success", "check": "failed", "switch_alias": "success"}
        assert states(said) == tasks | own(UNDONE) | {"": "failed"}, said
        name = f"medium_articles_{backup.backup_id}"
        assert f"the alias leads to {name}, which has 120 rows" in said
        assert rows_of(control_plane) == before | {"medium_articles": 11, name: 120}
    else:
        tasks = {"migrate": "success", "check": "success", "switch_alias": "skipped"}
        assert states(said) == tasks | own(WELL) | {"": "success"}, said
        assert rows_of(control_plane) == before | {"medium_articles": 111}


def test_a_guard_whose_backup_fails_lets_nothing_begin(run: Run, control_plane: ControlPlane) -> None:
    control_plane.faults.add("create_backup", job={"status": "FAILED", "reason": "disk is full"})
    said = run("guards:fails")
    inner = dict.fromkeys(("first", "second", "beside", "after"), "upstream_failed")
    expected = {"backup": "failed"} | dict.fromkeys(("gate", "restore", "outcome"), "upstream_failed")
    assert states(said) == inner | own(expected) | {"": "failed"}, said


def test_a_guard_whose_gate_fails_lets_nothing_begin(run: Run, control_plane: ControlPlane) -> None:
    control_plane.faults.add("list_backups", skip=1, code=96014, message="No permission")
    said = run("guards:well")
    seen = states(said)
    assert seen["backup_before.gate"] == "failed", said
    assert seen["work"] == seen["after"] == "upstream_failed"
    assert seen[""] == "failed"
    assert restored(control_plane) == []


def test_a_whole_cluster_is_restored_beside_itself(run: Run, control_plane: ControlPlane) -> None:
    said = run("guards:fails_whole_cluster")
    assert states(said) == {"fail": "failed", "": "failed"} | own(UNDONE), said
    (backup,) = control_plane.backups
    names = ("medium_articles", "quick_setup", "customers", "orders")
    assert sorted(restored(control_plane)) == sorted(f"{name}_{backup.backup_id}" for name in names)


def test_a_whole_cluster_is_restored_into_a_new_one(run: Run, control_plane: ControlPlane) -> None:
    said = run("guards:fails_into_cluster")
    assert states(said) == {"fail": "failed", "": "failed"} | own(UNDONE), said
    (backup,) = control_plane.backups
    name = f"restored-{backup.backup_id.replace('_', '-')}"
    assert name in [cluster.cluster_name for cluster in control_plane.clusters.values()]


def test_without_restore_the_log_tells_how(run: Run, control_plane: ControlPlane) -> None:
    said = run("guards:fails_without_restore")
    assert states(said) == {"fail": "failed", "": "failed"} | own(UNDONE), said
    (backup,) = control_plane.backups
    assert "ZillizRestoreCollectionsOperator(task_id='restore'" in said
    assert f"backup_id='{backup.backup_id}'" in said
    assert restored(control_plane) == []


def test_each_index_of_a_mapped_group_has_its_own_backup(run: Run, control_plane: ControlPlane) -> None:
    said = run("guards:guard_per_index")
    seen = states(said)
    assert [seen[f"migrate.backup_before.restore_{index}"] for index in (0, 1)] == ["skipped", "success"], (
        said
    )
    assert seen[""] == "failed"
    backups = {backup.cluster_id: backup.backup_id for backup in control_plane.backups}
    assert len(backups) == 2
    broken = next(cluster_id for cluster_id in backups if cluster_id != DEDICATED_CLUSTER_ID)
    assert restored(control_plane) == [f"products_{backups[broken]}"]


def test_groups_around_the_guard_prefix_its_tasks_and_the_guard_none(
    run: Run, control_plane: ControlPlane
) -> None:
    said = run("guards:groups_around_and_inside")
    work = "outer.inner.work" if HAS_DOTS_IN_GROUP_IDS else "inner.work"
    assert states(said) == {work: "success", "": "success"} | own(WELL, "outer."), said


def guard(**arguments: Any) -> backup_before:
    return backup_before(**{"cluster_id": "in01-1"} | arguments)


@pytest.mark.parametrize("restore_on_failure", [True, False, "cluster"])
def test_a_backup_that_was_only_marked_as_made_is_told(restore_on_failure: bool | str) -> None:
    with DAG("dag", schedule=None), guard(restore_on_failure=restore_on_failure, settle_time=0) as group:
        BaseOperator(task_id="work")
    restore: Any = group.restore
    # As Airflow renders the output of a task that has none.
    restore.backup_id = None
    ti = SimpleNamespace(
        dag_id="dag", run_id="run", map_index=-1, get_task_states=lambda **_: {"run": {"work": "failed"}}
    )
    with pytest.raises(
        AirflowFailException, match="No backup to restore, after work failed: the backup task has"
    ):
        restore.execute({"ti": ti})


def test_an_empty_guard_is_refused() -> None:
    with DAG("dag", schedule=None), pytest.raises(ArgumentError, match="backup_before is empty"), guard():
        pass


def test_a_guard_in_a_guard_is_refused() -> None:
    with DAG("dag", schedule=None), guard():
        BaseOperator(task_id="task")
        with TaskGroup("group"), pytest.raises(ArgumentError, match="inner is inside backup_before"):
            guard(group_id="inner")


def test_a_guard_that_is_entered_twice_is_refused() -> None:
    with DAG("dag", schedule=None):
        twice = guard()
        with twice:
            BaseOperator(task_id="task")
        with pytest.raises(ArgumentError, match="entered twice"), twice:
            pass


def test_a_first_task_with_another_trigger_rule_is_refused() -> None:
    with (
        DAG("dag", schedule=None),
        pytest.raises(
            ArgumentError, match=r"task comes right after the backup.*not 'all_done'\. Put an EmptyOperator"
        ),
        guard(),
    ):
        BaseOperator(task_id="task", trigger_rule="all_done")


def test_an_error_in_the_block_is_the_error_of_the_dag() -> None:
    with DAG("dag", schedule=None), pytest.raises(ZeroDivisionError), guard():
        1 / 0  # noqa: B018


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"restore_on_failure": "clusters"}, "restore_on_failure must be one of True, False, 'cluster'"),
        ({"restore_on_failure": "cluster", "collections": ["orders"]}, "give no collections"),
        ({"password_to": "variable:x"}, 'password_to needs restore_on_failure="cluster"'),
        ({"load": True, "restore_on_failure": "cluster"}, "load needs restore_on_failure=True"),
        ({"load": True, "restore_on_failure": False}, "load needs restore_on_failure=True"),
        ({"settle_time": -1}, "settle_time must be a number of seconds"),
        ({"collections": "orders"}, "collections must be a list"),
        ({"cluster_id": ""}, "cluster_id must not be empty"),
        ({"database": "sales"}, "database needs collections"),
    ],
)
def test_wrong_arguments_are_told_at_parse_time(arguments: dict[str, Any], message: str) -> None:
    with DAG("dag", schedule=None), pytest.raises(ValueError, match=message):
        guard(**arguments)


def test_default_args_reach_all_tasks_but_do_not_take_the_guard_away() -> None:
    with (
        DAG("dag", schedule=None),
        guard(default_args={"retries": 3, "trigger_rule": "all_success", "depends_on_past": True}) as group,
    ):
        inner = BaseOperator(task_id="task")
    assert [task.retries for task in (group.backup, group.gate, group.restore, inner)] == [3, 3, 3, 3]
    assert not any(task.depends_on_past for task in (group.backup, group.gate, group.restore, group.outcome))
    assert group.restore.is_teardown
    assert group.restore.watched == ["task"]


@pytest.mark.parametrize("of_group", [False, True])
def test_what_the_guard_is_not_told_default_args_tell_it(of_group: bool) -> None:
    shared = {"deferrable": True, "zilliz_conn_id": "elsewhere"}
    with (
        DAG("dag", schedule=None, default_args={} if of_group else shared),
        guard(default_args=shared if of_group else None) as group,
    ):
        BaseOperator(task_id="task")
    for task in (group.backup, group.gate, group.restore):
        assert {name: getattr(task, name) for name in shared} == shared


def test_what_the_guard_is_told_counts_more_than_default_args() -> None:
    with (
        DAG("dag", schedule=None, default_args={"deferrable": True, "zilliz_conn_id": "elsewhere"}),
        guard(deferrable=False, zilliz_conn_id="here") as group,
    ):
        BaseOperator(task_id="task")
    tasks: tuple[Any, ...] = (group.backup, group.gate, group.restore)
    assert [(task.deferrable, task.zilliz_conn_id) for task in tasks] == [(False, "here")] * 3


@pytest.mark.parametrize("restore_on_failure", [True, "cluster"])
def test_default_args_for_other_tasks_do_not_take_the_guard_away(restore_on_failure: bool | str) -> None:
    # Each of these means something to the group's own tasks too.
    others = {
        "wait_for_completion": False,
        "end_from_trigger": True,
        "do_xcom_push": False,
        "wait_for_downstream": True,
    }
    with (
        DAG("dag", schedule=None, default_args=others),
        guard(restore_on_failure=restore_on_failure) as group,
    ):
        BaseOperator(task_id="task")
    backup: Any = group.backup
    restore: Any = group.restore
    assert backup.do_xcom_push
    assert all(task.wait_for_completion and not task.end_from_trigger for task in (backup, restore))
    own = (backup, group.gate, restore, group.outcome)
    assert not any(task.depends_on_past or task.wait_for_downstream for task in own)
