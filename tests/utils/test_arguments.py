"""What DAG authors get wrong is told at parse time and, where it is known only then, when the task runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException
from pytest_mock import MockerFixture

from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.operators.restore import ZillizRestoreClusterOperator
from airflow_provider_zbackup.sensors.backup import ZillizNoActiveBackupSensor
from airflow_provider_zbackup.sensors.job import ZillizJobSensor
from airflow_provider_zbackup.zilliz.checks import ArgumentError
from tests.support import Store, TaskInstance

GOOD: dict[type[Any], dict[str, Any]] = {
    ZillizCreateBackupOperator: {"cluster_id": "in01-1", "collections": ["orders"]},
    ZillizRestoreClusterOperator: {
        "cluster_id": "in01-1",
        "backup_id": "backup1",
        "cluster_name": "restored",
        "project_id": "proj-1",
        "cu_size": 1,
        "discard_password": True,
    },
    ZillizJobSensor: {"job_id": "job-1"},
    ZillizNoActiveBackupSensor: {"cluster_id": "in01-1"},
}
CREATE, RESTORE, JOB, GATE = GOOD


def make(kind: type[Any], **arguments: Any) -> Any:
    return kind(task_id="task", **GOOD[kind] | arguments)


# What is known only when the task runs can be wrong in these ways.
BAD_ID = [
    ("", "must not be empty"),
    (" \n", "must not be empty"),
    (" in01-1", "has white space around it: ' in01-1'"),
    ("in01-1\n", r"has white space around it: 'in01-1\\n'"),
    ("None", "is 'None': its template found nothing to render"),
    (5, "must be a string, not int"),
    (1.5, "must be a string, not float"),
    (True, "must be a string, not bool"),
    (b"in01-1", "must be a string, not bytes"),
    (["in01-1"], "must be a string, not list"),
]
BAD_NAMES = [
    ([], "must not be an empty list; leave it out instead"),
    ((), "must not be an empty list; leave it out instead"),
    ("orders", r"must be a list of .*, not a string: write \['orders'\]"),
    ("orders,customers", r"must be a list of .*, not a string: write \['orders,customers'\]"),
    ("['orders', 'customers']", "must be a list of .*, not a string.*render_template_as_native_obj=True"),
    ("", "must be a list of .*, not a string"),
    ("None", "must be a list of .*, not a string"),
    ({"orders"}, "must be a list of .*, not set"),
    ({"orders": True}, "must be a list of .*, not dict"),
    (5, "must be a list of .*, not int"),
    (False, "must be a list of .*, not bool"),
    (["orders", "orders"], "has duplicates: orders"),
    (["b", "a", "b", "a"], "has duplicates: a, b"),
    (b"orders", "must be a string, not int"),
    (["orders", 5], "must be a string, not int"),
    (["orders", None], "must be a string, not NoneType"),
    ([["orders"]], "must be a string, not list"),
    (["orders", ""], "must not be empty"),
    (["orders "], "has white space around it: 'orders '"),
    (["None"], "is 'None': its template found nothing to render"),
]
BAD_RESULT = [
    (
        "backup0_1e3c0988ecb7f0d",
        "job_id is 'backup0_1e3c0988ecb7f0d', which looks like a backup's id: pass the w",
    ),
    ({}, "cluster_id, in job_id, must be a string, not NoneType"),
    ({"status": "AVAILABLE"}, "cluster_id, in job_id, must be a string, not NoneType"),
    ({"job_id": None, "cluster_id": "in01-1"}, "backup_id, in job_id, must be a string, not NoneType"),
    ({"job_id": None, "cluster_id": "", "backup_id": "b"}, "cluster_id, in job_id, must not be empty"),
    *(
        ({"job_id": value, "cluster_id": "in01-1", "backup_id": "b"}, f"job_id, in job_id, {text}")
        for value, text in BAD_ID
    ),
    ("{'job_id': 'job-1'}", "job_id is a string that is not JSON: .*task.output.*tojson"),
    ('  {"job_id": ', "job_id is a string that is not JSON"),
    ('{"cluster_id": null}', "cluster_id, in job_id, must be a string, not NoneType"),
]
BAD_WHEN_RENDERED = [
    *((CREATE, {"cluster_id": value}, f"cluster_id {text}") for value, text in [*BAD_ID, (None, "must be")]),
    *((CREATE, {"zilliz_conn_id": value}, f"zilliz_conn_id {text}") for value, text in BAD_ID),
    *((CREATE, {"database": value}, f"database {text}") for value, text in BAD_ID),
    *(
        (CREATE, {name: value}, f"{name} {text}")
        for name in ("collections", "copy_to_regions")
        for value, text in BAD_NAMES
    ),
    *(
        (RESTORE, {name: value}, f"{name} {text}")
        for name in ("cluster_id", "backup_id", "cluster_name", "project_id")
        for value, text in BAD_ID
    ),
    *(
        (RESTORE, {"backup_id": {"backup_id": value}}, f"backup_id, in backup_id, {text}")
        for value, text in [*BAD_ID, (None, "must be a string, not NoneType")]
    ),
    (RESTORE, {"backup_id": "{'backup_id': 'backup1'}"}, "backup_id is a string that is not JSON"),
    *(
        (
            RESTORE,
            {"cu_size": value},
            f"cu_size must be a whole number, at least 1, not {re.escape(repr(value))}",
        )
        for value in (0, -1, "0", 1.5, True, "one", "", [1])
    ),
    *(
        (JOB, {"job_id": value}, f"job_id {text}")
        for value, text in [*BAD_ID[:-1], (None, "must be a string")]
    ),
    *((JOB, {"job_id": value}, text) for value, text in BAD_RESULT),
    *((JOB, {"zilliz_conn_id": value}, f"zilliz_conn_id {text}") for value, text in BAD_ID),
    *((GATE, {"cluster_id": value}, f"cluster_id {text}") for value, text in BAD_ID),
    *((GATE, {"cluster_id": None, "project_id": value}, f"project_id {text}") for value, text in BAD_ID),
    (GATE, {"project_id": "proj-1"}, "give either cluster_id or project_id"),
    (GATE, {"cluster_id": None}, "give either cluster_id or project_id"),
]
BAD_TOGETHER = [
    (CREATE, {"collections": None, "database": "sales"}, "database needs collections"),
    (RESTORE, {"password_to": "variable:x"}, "give either password_to or discard_password=True"),
    (RESTORE, {"discard_password": False}, "give either password_to or discard_password=True"),
    *(
        (RESTORE, {"password_to": place, "discard_password": False}, "password_to must be 'variable:NAME'")
        for place in ("connection:milvus", "NAME", "variable:", "variable")
    ),
]
YEAR = 366 * 24 * 60 * 60
BAD_NUMBERS = [
    math.nan,
    math.inf,
    YEAR + 1,
    -1,
    -0.001,
    -math.inf,
    True,
    False,
    "60",
    "{{ params.seconds }}",
    None,
    [60],
]
BAD_TIMES = [
    *(
        (CREATE, {name: value}, f"{name} must be a number of seconds, at least ")
        for name in ("poll_interval", "timeout", "conflict_timeout", "defer_after")
        for value in [*BAD_NUMBERS, timedelta(minutes=1)]
    ),
    *(
        (
            kind,
            {"defer_after": value},
            "defer_after must be a number of seconds, at least 0 and at most a year, not ",
        )
        for kind in (JOB, GATE)
        for value in BAD_NUMBERS
    ),
    (
        CREATE,
        {"poll_interval": 0.5},
        "poll_interval must be a number of seconds, at least 1 and at most a year",
    ),
    *(
        (kind, {name: YEAR + 1}, f"{name} must be a number of seconds, at least 0 and at most a year")
        for kind in (JOB, GATE)
        for name in ("poke_interval", "timeout")
    ),
]
CHOICES: list[tuple[type[Any], str, str, tuple[Any, ...]]] = [
    (CREATE, "on_conflict", "'wait', 'fail'", ("retry", "", "WAIT", None, True)),
    (RESTORE, "collection_status", "'KEEP', 'RELEASE'", ("LOADED", "keep", None)),
    (RESTORE, "restore_version", "'LATEST', 'ORIGINAL'", ("2.5", "latest", "")),
    *(
        (kind, name, "True, False", ("False", "", None, 2, "{{ params.wait }}"))
        for kind, name in [
            (CREATE, "wait_for_completion"),
            (CREATE, "deferrable"),
            (RESTORE, "wait_for_completion"),
            (JOB, "deferrable"),
        ]
    ),
]
BAD_CHOICES = [
    (kind, {name: value}, f"{name} must be one of {choices}, not {value!r}")
    for kind, name, choices, values in CHOICES
    for value in values
]


@pytest.fixture(autouse=True)
def _nothing_is_sent(mocker: MockerFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", "zilliz://:key@")
    send = mocker.patch.object(httpx.HTTPTransport, "handle_request", autospec=True)
    yield
    assert send.call_count == 0


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [*BAD_WHEN_RENDERED, *BAD_TOGETHER, *BAD_TIMES, *BAD_CHOICES],
)
def test_what_is_wrong_is_told_at_parse_time(
    kind: type[Any], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(kind, **arguments)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        *((kind, "deferrable", value) for kind in (CREATE, JOB) for value in (1, 0.0)),
        *((kind, "end_from_trigger", value) for kind in (CREATE, JOB) for value in ("", None)),
    ],
)
def test_what_is_nearly_a_boolean_is_told_at_parse_time(kind: type[Any], name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        make(kind, **{name: value})


STRANGE = object()
#: These pass at parse time, where they may be what another task is going to return.
UNKNOWN_WHEN_RENDERED = [
    (CREATE, {"cluster_id": STRANGE}, "cluster_id must be a string, not object"),
    (CREATE, {"zilliz_conn_id": STRANGE}, "zilliz_conn_id must be a string, not object"),
    (CREATE, {"database": STRANGE}, "database must be a string, not object"),
    (CREATE, {"collections": STRANGE}, "collections must be a list of collection names, not object"),
    (
        CREATE,
        {"collections": iter(["a"])},
        "collections must be a list of collection names, not list_iterator",
    ),
    (CREATE, {"collections": ["a", STRANGE]}, "each of collections must be a string, not object"),
    (CREATE, {"collections": range(2)}, "each of collections must be a string, not int"),
    (CREATE, {"copy_to_regions": STRANGE}, "copy_to_regions must be a list of region ids, not object"),
    (JOB, {"job_id": STRANGE}, "job_id must be a string, not object"),
    (JOB, {"zilliz_conn_id": STRANGE}, "zilliz_conn_id must be a string, not object"),
    (GATE, {"cluster_id": STRANGE}, "cluster_id must be a string, not object"),
    (GATE, {"cluster_id": None, "project_id": STRANGE}, "project_id must be a string, not object"),
]


@pytest.mark.parametrize(("kind", "arguments", "message"), UNKNOWN_WHEN_RENDERED)
def test_what_may_be_known_later_passes_at_parse_time(
    kind: type[Any], arguments: dict[str, Any], message: str
) -> None:
    assert all(getattr(make(kind, **arguments), name) is value for name, value in arguments.items())


@pytest.mark.parametrize(
    ("given", "name", "message"),
    [
        ({"collections": ["orders"]}, "collections", "collections must be a list of .*, not NoneType"),
        ({"database": "sales"}, "database", "database must be a string, not NoneType"),
        ({"copy_to_regions": ["r"]}, "copy_to_regions", "copy_to_regions must be a list of .*, not NoneType"),
    ],
)
def test_what_was_given_may_not_vanish_in_rendering(given: dict[str, Any], name: str, message: str) -> None:
    """Without its collections, a backup would be one of the whole cluster."""
    operator = make(CREATE, **given)
    setattr(operator, name, None)
    with pytest.raises(AirflowFailException, match=message):
        TaskInstance(lambda: operator).run()


@pytest.mark.parametrize("name", ["collections", "database", "copy_to_regions"])
def test_a_template_that_renders_to_nothing_in_native_mode(name: str) -> None:
    with DAG(
        "dag", schedule=None, start_date=datetime(2026, 3, 2), render_template_as_native_obj=True
    ) as dag:
        operator = make(CREATE, **{name: "{{ params.given }}"})
    ti = TaskInstance(lambda: operator)
    operator.render_template_fields(ti.context | {"params": {"given": None}}, dag.get_template_env())
    assert getattr(operator, name) is None
    with pytest.raises(AirflowFailException, match=f"{name} must be a .*, not NoneType"):
        ti.run()


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
@pytest.mark.parametrize(("kind", "arguments", "message"), [*BAD_WHEN_RENDERED, *UNKNOWN_WHEN_RENDERED])
def test_what_is_wrong_after_rendering_fails_the_task_for_good_before_anything_is_sent(
    kind: type[Any], arguments: dict[str, Any], message: str, deferrable: bool
) -> None:
    operator = make(kind, deferrable=deferrable)
    for name, value in arguments.items():
        setattr(operator, name, value)
    ti = TaskInstance(lambda: operator)
    with pytest.raises(AirflowFailException, match=f"{kind.__name__}: .*{message}"):
        ti.run()
    assert ti.store == Store()


@pytest.mark.parametrize(
    ("kind", "name", "value", "message"),
    [
        (CREATE, "cluster_id", "", "cluster_id must not be empty"),
        (CREATE, "cluster_id", None, "cluster_id is 'None': its template found nothing to render"),
        (CREATE, "collections", ["orders"], "collections must be a list of collection names, not a string"),
        (CREATE, "copy_to_regions", "aws-us-west-2", "copy_to_regions must be a list of region ids"),
        (CREATE, "database", " sales", "database has white space around it"),
        (CREATE, "zilliz_conn_id", "", "zilliz_conn_id must not be empty"),
        (JOB, "job_id", None, "job_id is 'None': its template found nothing to render"),
        (JOB, "job_id", {"job_id": "job-1"}, "job_id is a string that is not JSON: pass the result"),
        (JOB, "zilliz_conn_id", "", "zilliz_conn_id must not be empty"),
        (GATE, "cluster_id", None, "cluster_id is 'None'"),
    ],
)
def test_a_template_that_renders_to_something_wrong(
    kind: type[Any], name: str, value: Any, message: str
) -> None:
    operator = make(kind, **{name: "{{ params.given }}"})
    ti = TaskInstance(lambda: operator)
    operator.render_template_fields(ti.context | {"params": {"given": value}})
    with pytest.raises(AirflowFailException, match=message):
        ti.run()


@pytest.mark.parametrize(
    ("kind", "arguments", "rendered"),
    [
        (CREATE, {"cluster_id": "{{ params.cluster }}"}, {"cluster_id": "in01-9"}),
        (CREATE, {"cluster_id": " {% if true %}in01-9{% endif %}"}, {"cluster_id": " in01-9"}),
        (CREATE, {"collections": ["{{ params.name }}", "b"]}, {"collections": ["orders", "b"]}),
        (
            CREATE,
            {"collections": ["{{ params.name }}", "{{ params.name }}"]},
            {"collections": ["orders"] * 2},
        ),
        (CREATE, {"database": "{{ params.name }}"}, {"database": "orders"}),
        (CREATE, {"copy_to_regions": ("{{ params.name }}",)}, {"copy_to_regions": ("orders",)}),
        (CREATE, {"zilliz_conn_id": "{{ params.name }}"}, {"zilliz_conn_id": "orders"}),
        (JOB, {"job_id": "{{ params.name }}"}, {"job_id": "orders"}),
        (JOB, {"job_id": "{{ params.result | tojson }}"}, {"job_id": '{"job_id": "job-9"}'}),
        (GATE, {"cluster_id": "{{ params.cluster }}"}, {"cluster_id": "in01-9"}),
        (GATE, {"cluster_id": None, "project_id": "{{ params.name }}"}, {"project_id": "orders"}),
    ],
)
def test_a_template_passes_and_is_rendered(
    kind: type[Any], arguments: dict[str, Any], rendered: dict[str, Any]
) -> None:
    operator = make(kind, **arguments)
    params = {"cluster": "in01-9", "name": "orders", "result": {"job_id": "job-9"}}
    operator.render_template_fields({"params": params})
    assert {name: getattr(operator, name) for name in rendered} == rendered


def test_names_that_turn_out_to_be_the_same_are_told_when_they_are_known() -> None:
    operator = make(CREATE, collections=["{{ params.one }}", "{{ params.other }}"])
    ti = TaskInstance(lambda: operator)
    operator.render_template_fields(ti.context | {"params": {"one": "orders", "other": "orders"}})
    with pytest.raises(AirflowFailException, match="has duplicates: orders"):
        ti.run()


@pytest.fixture
def dag() -> Iterator[Any]:
    with DAG("dag", schedule=None, start_date=datetime(2026, 3, 2)) as dag:
        yield dag


def test_the_output_of_another_task_passes_also_inside_lists(dag: Any) -> None:
    first = ZillizCreateBackupOperator(task_id="first", cluster_id="in01-1")
    output: Any = first.output
    second = ZillizCreateBackupOperator(
        task_id="second",
        cluster_id=output["cluster_id"],
        collections=[output["backup_name"], "orders"],
        database=output["region_id"],
        copy_to_regions=output["region_id"],
        zilliz_conn_id=output["job_id"],
    )
    output = second.output
    job = ZillizJobSensor(task_id="job", job_id=output)
    output = job.output
    gate = ZillizNoActiveBackupSensor(task_id="gate", project_id=output)
    assert gate.upstream_task_ids == {"job"}
    assert job.upstream_task_ids == {"second"}
    assert second.upstream_task_ids == {"first"}


def test_arguments_of_mapped_tasks_are_checked_like_others(dag: Any) -> None:
    create: Any = ZillizCreateBackupOperator.partial(task_id="create", cluster_id="in01-1").expand(
        collections=[["orders"], ["customers", "orders"]]
    )
    job: Any = ZillizJobSensor.partial(task_id="job", deferrable=True).expand(job_id=create.output)
    gate: Any = ZillizNoActiveBackupSensor.partial(task_id="gate").expand_kwargs(
        [{"cluster_id": "in01-1"}, {"project_id": "proj-1"}]
    )
    assert job.upstream_task_ids == {"create"}
    assert create.unmap({"collections": ["customers", "orders"]}).collections == ["customers", "orders"]
    assert job.unmap({"job_id": "job-1"}).job_id == "job-1"
    assert gate.unmap({"project_id": "proj-1"}).project_id == "proj-1"
    for mapped, arguments, message in (
        (create, {"collections": []}, "collections must not be an empty list"),
        (job, {"job_id": ""}, "job_id must not be empty"),
        (gate, {"cluster_id": "in01-1", "project_id": "proj-1"}, "give either"),
    ):
        with pytest.raises(ValueError, match=message):
            mapped.unmap(arguments)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (CREATE, {"collections": None}),
        (CREATE, {"collections": ("orders", "customers"), "database": "sales"}),
        (CREATE, {"copy_to_regions": ["aws-us-east-1"]}),
        (CREATE, {"poll_interval": 1, "timeout": 0, "conflict_timeout": 0.0, "defer_after": 0}),
        (CREATE, {"poll_interval": YEAR, "timeout": YEAR, "conflict_timeout": YEAR, "defer_after": YEAR}),
        (CREATE, {"on_conflict": "fail", "wait_for_completion": False, "deferrable": True}),
        (JOB, {"poke_interval": 0.5, "timeout": YEAR, "defer_after": 0}),
        (CREATE, {"cluster_id": "a name with / and ü inside"}),
        (JOB, {"job_id": {"job_id": "job-1", "something": "else"}}),
        (JOB, {"job_id": {"job_id": None, "cluster_id": "in01-1", "backup_id": "backup1"}}),
        (JOB, {"job_id": '{"job_id": null, "cluster_id": "in01-1", "backup_id": "backup1"}'}),
        (GATE, {"cluster_id": None, "project_id": "proj-1"}),
    ],
)
def test_what_is_right_passes(kind: type[Any], arguments: dict[str, Any]) -> None:
    operator = make(kind, **arguments)
    assert {name: getattr(operator, name) for name in arguments} == arguments


@pytest.mark.parametrize(
    ("partial", "expand", "is_refused"),
    [
        ({"cluster_id": "in01-1"}, {"collections": [None]}, True),
        ({"cluster_id": "in01-1"}, {"collections": [["orders"]]}, False),
        ({}, {"cluster_id": ["in01-1"]}, False),
    ],
    ids=["None", "names", "left out"],
)
def test_none_among_mapped_collections_does_not_back_up_the_whole_cluster(
    partial: dict[str, Any], expand: dict[str, Any], is_refused: bool
) -> None:
    with DAG("dag", schedule=None):
        mapped = ZillizCreateBackupOperator.partial(task_id="task", **partial).expand(**expand)
    operator: Any = mapped.unmap({name: values[0] for name, values in expand.items()})
    if is_refused:
        with pytest.raises(ArgumentError, match="collections is None in a mapped task"):
            operator.check_arguments(rendered=True)
    else:
        operator.check_arguments(rendered=True)
