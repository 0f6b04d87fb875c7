"""The link to the web console: what address it has, and that it survives the way into Airflow's UI."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, XCom
from pytest_mock import MockerFixture

from airflow_provider_zbackup.emulator.seed import ORGANIZATION_ID
from airflow_provider_zbackup.links.zilliz import ZillizConsoleLink
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.sensors.backup import ZillizNoActiveBackupSensor
from airflow_provider_zbackup.sensors.job import ZillizJobSensor
from tests.support import CLUSTER_ID, PROJECT_ID, TaskInstance, World

KINDS = [ZillizCreateBackupOperator, ZillizJobSensor, ZillizNoActiveBackupSensor]
CLUSTERS = f"https://console.example/orgs/{ORGANIZATION_ID}/projects/{PROJECT_ID}/clusters"
serialized_objects: Any = import_module("airflow.serialization.serialized_objects")
# Airflow 3 has a class of its own for what Airflow 2 does with that of the DAG.
DAG_FORMAT = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)


def create(**arguments: Any) -> Any:
    return ZillizCreateBackupOperator(task_id="task", **arguments)


def job(**arguments: Any) -> Any:
    return ZillizJobSensor(task_id="task", **arguments)


def gate(**arguments: Any) -> Any:
    return ZillizNoActiveBackupSensor(task_id="task", **arguments)


def stored_link(world: World, make: Callable[..., Any], arguments: dict[str, Any]) -> str:
    """Return the address that a task stores before its first request, which fails here for good."""
    world.fault("*", status=403)
    ti = TaskInstance(lambda: make(**arguments))
    with pytest.raises(Exception, match="HTTP 403"):
        ti.run()
    return str(ti.xcoms[ZillizConsoleLink.xcom_key])


@pytest.mark.parametrize(
    ("make", "arguments", "url"),
    [
        (create, {"cluster_id": CLUSTER_ID}, f"{CLUSTERS}/{CLUSTER_ID}"),
        (create, {"cluster_id": "in01 #1/?"}, f"{CLUSTERS}/in01%20%231%2F%3F"),
        (job, {"job_id": "job-1"}, CLUSTERS),
        (job, {"job_id": {"job_id": "job-1", "cluster_id": "in01-1"}}, f"{CLUSTERS}/in01-1"),
        (job, {"job_id": {"cluster_id": "in01-1", "backup_id": "backup1"}}, f"{CLUSTERS}/in01-1"),
        (gate, {"cluster_id": "in01-1"}, f"{CLUSTERS}/in01-1"),
        (gate, {"project_id": "proj-1"}, CLUSTERS),
    ],
)
def test_the_address_is_there_before_anything_can_fail(
    world: World, make: Callable[..., Any], arguments: dict[str, Any], url: str
) -> None:
    world.connect(extra={"console_url": "https://console.example/"})
    assert stored_link(world, make, arguments) == url


@pytest.mark.parametrize(
    "extra",
    [
        {"organization_id": None},
        {"project_id": None},
        {"organization_id": "", "project_id": ""},
    ],
)
def test_without_organisation_or_project_it_is_the_console_itself(
    world: World, extra: dict[str, Any]
) -> None:
    world.connect(extra={"console_url": None} | extra)
    assert stored_link(world, create, {"cluster_id": CLUSTER_ID}) == "https://cloud.zilliz.com"


LINE = "Zilliz Cloud console: "


def said(mocker: MockerFixture, kind: type[Any]) -> list[str]:
    """Return the lines that tasks of this kind will have logged by the end, as a list that grows."""
    lines: list[str] = []
    log = mocker.Mock()
    log.info.side_effect = lambda text, *args: lines.append(text % args if args else text)
    mocker.patch.object(kind, "log", log)
    return lines


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("kind", "make", "arguments"),
    [
        (ZillizCreateBackupOperator, create, {"cluster_id": CLUSTER_ID}),
        (ZillizNoActiveBackupSensor, gate, {"cluster_id": CLUSTER_ID}),
    ],
)
def test_the_log_says_the_address_once(
    world: World,
    mocker: MockerFixture,
    kind: type[Any],
    make: Callable[..., Any],
    arguments: dict[str, Any],
    deferrable: bool,
) -> None:
    world.connect(extra={"console_url": "https://console.example"})
    lines = said(mocker, kind)
    world.control_plane.configure(job_seconds=60)
    world.someone_backs_up(seconds=60)
    TaskInstance(lambda: make(deferrable=deferrable, **arguments)).run()
    assert [line for line in lines if line.startswith(LINE)] == [f"{LINE}{CLUSTERS}/{CLUSTER_ID}"]


@pytest.mark.parametrize(
    ("extra", "missing"),
    [
        ({"organization_id": None}, "organization_id"),
        ({"project_id": None}, "project_id"),
        ({"organization_id": None, "project_id": ""}, "organization_id and project_id"),
    ],
)
def test_the_log_says_what_is_missing_for_a_link_to_the_cluster(
    world: World, mocker: MockerFixture, extra: dict[str, Any], missing: str
) -> None:
    world.connect(extra={"console_url": None} | extra)
    lines = said(mocker, ZillizNoActiveBackupSensor)
    TaskInstance(lambda: gate(cluster_id=CLUSTER_ID)).run()
    assert lines[0] == (
        f"{LINE}https://cloud.zilliz.com (for a link to the cluster, set {missing} of Airflow connection "
        "'zilliz_default')"
    )


@pytest.mark.parametrize(
    ("conn_id", "error"), [("missing", "is not defined"), ("{{ nothing }}", "must not be empty")]
)
@pytest.mark.parametrize(
    ("make", "arguments"),
    [(create, {"cluster_id": "in01-1"}), (job, {"job_id": "job-1"}), (gate, {"cluster_id": "in01-1"})],
)
def test_where_there_is_no_address_airflow_still_finds_something(
    make: Callable[..., Any], arguments: dict[str, Any], conn_id: str, error: str
) -> None:
    """Else Airflow logs an ERROR of its own, "XCom not found", beside the one that matters."""

    def rendered() -> Any:
        task = make(zilliz_conn_id=conn_id, **arguments)
        task.zilliz_conn_id = conn_id.replace("{{ nothing }}", "")
        return task

    ti = TaskInstance(rendered)
    with pytest.raises(Exception, match=error):
        ti.run()
    assert ti.xcoms == {ZillizConsoleLink.xcom_key: ""}


@pytest.mark.parametrize(("stored", "shown"), [(CLUSTERS, CLUSTERS), (None, ""), ("", "")])
def test_the_link_is_what_the_task_has_stored_or_nothing(
    mocker: MockerFixture, stored: str | None, shown: str
) -> None:
    get_value = mocker.patch.object(XCom, "get_value", autospec=True, return_value=stored)
    key: Any = SimpleNamespace(dag_id="dag", task_id="task", run_id="run", map_index=-1)
    assert ZillizConsoleLink().get_link(create(cluster_id=CLUSTER_ID), ti_key=key) == shown
    assert get_value.call_args.kwargs == {"key": ZillizConsoleLink.xcom_key, "ti_key": key}


def test_its_key_is_the_one_where_airflow_looks() -> None:
    assert ZillizConsoleLink.xcom_key == f"_link_{ZillizConsoleLink.__name__}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_operator_and_sensor_has_the_link_and_a_colour(kind: type[Any]) -> None:
    (link,) = kind.operator_extra_links
    assert isinstance(link, ZillizConsoleLink)
    assert link.name == "Zilliz Cloud console"
    assert kind.ui_color.startswith("#")


@pytest.fixture
def stored_tasks() -> dict[str, Any]:
    """Tasks of every kind, mapped ones too, as Airflow reads them back from its database."""
    with DAG("dag", schedule=None, start_date=datetime(2026, 3, 2)) as dag:
        ZillizCreateBackupOperator(
            task_id="create",
            cluster_id="in01-1",
            collections=["orders", "{{ params.name }}"],
            database="sales",
            copy_to_regions=["aws-us-east-1"],
            deferrable=True,
        )
        mapped = ZillizCreateBackupOperator.partial(task_id="mapped_create", cluster_id="in01-1").expand(
            collections=[["orders"], ["customers"]]
        )
        ZillizJobSensor(task_id="job", job_id="job-1", deferrable=True)
        ZillizJobSensor.partial(task_id="mapped_job", deferrable=True).expand(job_id=mapped.output)
        ZillizNoActiveBackupSensor(task_id="gate", project_id="proj-1", mode="reschedule")
        ZillizNoActiveBackupSensor.partial(task_id="mapped_gate").expand(cluster_id=["in01-1", "in01-2"])
    stored, again = (json.loads(json.dumps(DAG_FORMAT.to_dict(dag))) for _ in range(2))
    assert again == stored, "else each parse would make a new version of the DAG"
    return dict(DAG_FORMAT.from_dict(stored).task_dict)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for plain, kind in zip(("create", "job", "gate"), KINDS, strict=True)
        for name in (plain, f"mapped_{plain}")
    ],
)
def test_a_stored_dag_keeps_the_link_the_template_fields_and_the_colour(
    stored_tasks: dict[str, Any], name: str, kind: type[Any]
) -> None:
    task = stored_tasks[name]
    assert task.task_type == kind.__name__
    assert list(task.template_fields) == list(kind.template_fields)
    assert task.ui_color == kind.ui_color
    (link,) = task.operator_extra_links
    assert (link.name, link.xcom_key) == (ZillizConsoleLink.name, ZillizConsoleLink.xcom_key)


def test_a_stored_dag_keeps_what_it_was_given(stored_tasks: dict[str, Any]) -> None:
    create, job, gate = (stored_tasks[name] for name in ("create", "job", "gate"))
    assert create.cluster_id == "in01-1"
    assert create.collections == ["orders", "{{ params.name }}"]
    assert (create.database, create.copy_to_regions) == ("sales", ["aws-us-east-1"])
    assert job.job_id == "job-1"
    assert (gate.cluster_id, gate.project_id) == (None, "proj-1")
    assert stored_tasks["mapped_job"].upstream_task_ids == {"mapped_create"}
