"""Where a task keeps something through its retries, with and without Airflow's own store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__
from airflow.providers.common.compat.sdk import Variable
from packaging.version import Version
from pytest_mock import MockerFixture

from airflow_provider_zbackup import version_compat
from airflow_provider_zbackup.version_compat import task_state_store
from tests.support import Store, TaskInstance

VALUE = {"record": {"backup_id": "backup1", "known": ["backup0"], "job_id": None}, "delivered": 2}


def task_instance(**identity: Any) -> TaskInstance:
    return TaskInstance(lambda: None, **identity)


def variable_store(**identity: Any) -> Any:
    return task_state_store({"ti": task_instance(**identity)})  # type: ignore[typeddict-item]


def test_airflow_s_own_store_is_taken_where_there_is_one(variables: dict[str, Any]) -> None:
    ti = task_instance()
    assert task_state_store(ti.context) is ti.store
    assert variables == {}


def test_an_empty_store_of_airflow_is_taken_too() -> None:
    store = Store()
    assert task_state_store({"ti": task_instance(), "task_state_store": store}) is store  # type: ignore[typeddict-item]


def test_a_variable_stands_in_for_it(variables: dict[str, Any]) -> None:
    store = variable_store()
    assert store.get("key") is None
    store.set("key", VALUE)
    assert store.get("key") == VALUE
    assert variable_store().get("key") == VALUE, "the next try finds it"
    assert store.get("another_key") is None
    store.delete("key")
    assert store.get("key") is None
    assert variables == {}
    store.delete("key")


@pytest.mark.parametrize("call", ["set", "delete"])
def test_a_variable_that_was_not_written_is_an_error(
    variables: dict[str, Any], mocker: MockerFixture, call: str
) -> None:
    """Airflow 3.0 to 3.2 only log it."""
    store = variable_store()
    store.set("key", VALUE)
    mocker.patch.object(Variable, call)
    with pytest.raises(RuntimeError, match="Airflow could not write its Variable 'key_"):
        store.delete("key") if call == "delete" else store.set("key", {"record": None})


@pytest.mark.parametrize("call", ["set", "delete"])
def test_a_try_that_was_given_up_does_not_overwrite_the_record_of_a_later_one(
    variables: dict[str, Any], call: str
) -> None:
    """Its worker may live on unnoticed, and get its answer late."""
    given_up, later = variable_store(), variable_store()
    assert given_up.get("key") is None
    given_up.set("key", {"record": None})
    assert later.get("key") == {"record": None}
    later.set("key", VALUE)
    with pytest.raises(RuntimeError, match="A later try has begun, so this one must not go on"):
        given_up.set("key", {"record": None}) if call == "set" else given_up.delete("key")
    later.set("key", VALUE)
    later.delete("key")


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_what_cannot_be_read_is_not_taken_for_absent(
    variables: dict[str, Any], mocker: MockerFixture, failures: int
) -> None:
    """Before Airflow 3.3 a read that fails is answered with the default."""
    store = variable_store()
    store.set("key", VALUE)
    read = Variable.get
    left = iter([True] * failures)
    mocker.patch.object(
        Variable,
        "get",
        side_effect=lambda name, default, **how: default if next(left, False) else read(name, default, **how),
    )
    if failures == 1:
        assert store.get("key") == VALUE
    else:
        with pytest.raises(RuntimeError, match="could not write its Variable"):
            store.get("key")
    assert store.get("key") == VALUE, "and nothing was overwritten"


def test_the_variable_is_json_and_says_whose_it_is(mocker: MockerFixture) -> None:
    put = mocker.patch.object(Variable, "set", autospec=True)
    mocker.patch.object(Variable, "get", autospec=True, return_value=VALUE)
    variable_store(dag_id="nightly", run_id="manual__1", task_id="backup", map_index=3).set("key", VALUE)
    (call,) = put.call_args_list
    assert call.args[1] == VALUE
    assert call.kwargs["serialize_json"] is True
    for part in ("airflow-provider-zbackup", "nightly", "manual__1", "backup", "3"):
        assert part in call.kwargs["description"]


def test_no_two_task_instances_share_a_variable(variables: dict[str, Any]) -> None:
    identities: list[dict[str, Any]] = [
        {},
        {"dag_id": "dag2"},
        {"run_id": "run2"},
        {"task_id": "task2"},
        {"map_index": 0},
        {"map_index": 1},
        {"dag_id": "dag.task", "task_id": "task"},
        {"dag_id": "dag", "task_id": "task.task"},
    ]
    for identity in identities:
        variable_store(**identity).set("key", identity)
    assert len(variables) == len(identities)
    for identity in identities:
        assert variable_store(**identity).get("key") == identity


def test_the_variable_s_key_fits_into_its_column(variables: dict[str, Any]) -> None:
    variable_store(dag_id="d" * 250, run_id="r" * 250, task_id="t" * 250).set("zilliz_create_backup", VALUE)
    (key,) = variables
    assert key.startswith("zilliz_create_backup_")
    assert len(key) <= 250


def test_a_pre_release_counts_as_its_release() -> None:
    assert str(version_compat.AIRFLOW_VERSION) == Version(__version__).base_version
    assert version_compat.HAS_TASK_STATE_STORE is (
        Version(Version(__version__).base_version) >= Version("3.3")
    )


ROUND_TRIP = """
from types import SimpleNamespace
from airflow.models import Variable
from airflow.utils.session import create_session
from airflow_provider_zbackup.version_compat import task_state_store

value = {value!r}
context = {{"ti": SimpleNamespace(dag_id="dag", run_id="run", task_id="task", map_index=-1)}}
store = task_state_store(context)
assert store.get("key") is None
store.set("key", {{"record": None}})
store.set("key", value)
assert task_state_store(context).get("key") == value
with create_session() as session:
    (variable,) = session.query(Variable).all()
    assert variable.description == "airflow-provider-zbackup: dag, run, task, -1"
store.delete("key")
store.delete("key")
assert store.get("key") is None
with create_session() as session:
    assert session.query(Variable).count() == 0
"""


if version_compat.AIRFLOW_VERSION.major < 3:  # A worker of Airflow 3 cannot reach the database.

    def test_the_variable_in_a_real_database(tmp_path: Path) -> None:
        environment = os.environ | {
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        }
        script = ROUND_TRIP.format(value=VALUE)
        for command in (["-m", "airflow", "db", "migrate"], ["-c", script]):
            run = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
