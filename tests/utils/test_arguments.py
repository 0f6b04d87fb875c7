"""What DAG authors get wrong is told at parse time and, where it is known only then, when the task runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, BaseOperator
from pytest_mock import MockerFixture

from airflow_provider_zbackup.operators.backup import (
    ZillizCreateBackupOperator,
    ZillizDeleteBackupOperator,
    ZillizExportBackupOperator,
    ZillizPruneBackupsOperator,
)
from airflow_provider_zbackup.operators.cluster import ZillizDropClusterOperator
from airflow_provider_zbackup.operators.policy import ZillizSetBackupPolicyOperator
from airflow_provider_zbackup.operators.restore import (
    ZillizRestoreClusterOperator,
    ZillizRestoreCollectionsOperator,
)
from airflow_provider_zbackup.operators.verify import ZillizVerifyCollectionsOperator, check_manifest
from airflow_provider_zbackup.sensors.backup import ZillizBackupFreshnessSensor, ZillizNoActiveBackupSensor
from airflow_provider_zbackup.sensors.job import ZillizJobSensor
from airflow_provider_zbackup.utils import arguments as checks
from airflow_provider_zbackup.utils.arguments import Argument
from airflow_provider_zbackup.zilliz.checks import ArgumentError
from tests.documents import public_names
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
    ZillizRestoreCollectionsOperator: {"cluster_id": "in01-1", "backup_id": "backup1"},
    ZillizExportBackupOperator: {
        "cluster_id": "in01-1",
        "backup_id": "backup1",
        "integration_id": "integ-1",
        "directory": "backups",
    },
    ZillizDeleteBackupOperator: {"cluster_id": "in01-1", "backup_id": "backup1"},
    ZillizPruneBackupsOperator: {"cluster_id": "in01-1", "keep_last": 3},
    ZillizSetBackupPolicyOperator: {
        "cluster_id": "in01-1",
        "weekdays": ["monday"],
        "start_hour": 2,
        "retention_days": 7,
    },
    ZillizDropClusterOperator: {"cluster_id": "in01-1", "cluster_name": "scratch"},
    ZillizBackupFreshnessSensor: {"cluster_id": "in01-1", "max_age": timedelta(days=1)},
    ZillizVerifyCollectionsOperator: {"cluster_id": "in01-1", "source_cluster_id": "in01-2"},
}
CREATE, RESTORE, JOB, GATE, RESTORE_COLLECTIONS, EXPORT, DELETE, PRUNE, POLICY, DROP, FRESHNESS, VERIFY = GOOD
SENSORS = (JOB, GATE, FRESHNESS)


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
# Where the result of another task may be given too, these are JSON with a mistake.
BAD_TEMPLATES = [
    ("{ params.id }", "has a brace: '{ params.id }'. Write a template as {{ … }}"),
    ("{{ params.id }", "has a brace: '{{ params.id }'"),
    ("{'id': 'in01-1'}", "has a brace.*, and a field of another task's result as task.output"),
]
BAD_NAMES = [
    ([], "must not be an empty list; leave it out instead"),
    ((), "must not be an empty list; leave it out instead"),
    ("orders", r"must be a list of .*, not a string: write \['orders'\]"),
    ("['orders']", r"must be a list of .*, not a string. A template gives a list only as an XComArg"),
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
    (["orders", None], "must be a string, not None"),
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
    ({}, "job_id is a result without job_id; it has nothing"),
    (
        {"status": "AVAILABLE"},
        "job_id is a result without job_id; it has status. Check from which task",
    ),
    (
        {"job_id": None, "cluster_id": "in01-1"},
        "job_id is a result without job_id; it has cluster_id. Check from which",
    ),
    ({"job_id": None, "cluster_id": "", "backup_id": "b"}, "cluster_id, in job_id, must not be empty"),
    *(
        ({"job_id": value, "cluster_id": "in01-1", "backup_id": "b"}, f"job_id, in job_id, {text}")
        for value, text in BAD_ID
    ),
    ("{'job_id': 'job-1'}", "job_id is a string that is not JSON. .*{{ … }}.*task.output.*tojson"),
    ('  {"job_id": ', "job_id is a string that is not JSON"),
    ('{"cluster_id": null}', "job_id is a result without job_id; it has nothing. "),
]
YEAR = 366 * 24 * 60 * 60
BAD_NUMBERS = [
    math.nan,
    math.inf,
    -math.inf,
    -1,
    -0.001,
    True,
    False,
    "60",
    "{{ params.seconds }}",
    None,
    [60],
]
BAD_COUNT = [
    *((value, f"must be a whole number.*, not {re.escape(repr(value))}") for value in (-1, "-1", 1.5, True)),
    *((value, f"must be a whole number.*, not {re.escape(repr(value))}") for value in ("one", "", [1])),
]
#: What each check refuses, wherever it is used.
BAD_VALUES: dict[Any, list[tuple[Any, str]]] = {
    checks.check_id: [*BAD_ID, *BAD_TEMPLATES],
    checks.check_names: BAD_NAMES,
    checks.check_pattern: [
        *BAD_ID,
        *BAD_TEMPLATES,
        ("[]", "must be one pattern, not a list"),
        ("['keep-*', 'before-*']", "must be one pattern, not a list"),
        ('["keep-*"]', "must be one pattern, not a list"),
    ],
    checks.check_id_or_result: [
        *((value, text) for value, text in BAD_ID if value != ["in01-1"]),
        *(({"backup_id": value}, text) for value, text in [*BAD_ID, *BAD_TEMPLATES]),
        ({"backup_id": None}, "is a result without backup_id; it has nothing. "),
        ("{'backup_id': 'backup1'}", "is a string that is not JSON"),
    ],
    checks.check_result: [
        ("in01-1", "must be the result of another task, not 'in01-1'"),
        ("{'cluster_id': 'in01-1'}", "is a string that is not JSON"),
        ({"cluster_id": "in01-1"}, "cluster is a result without cluster_name; it has cluster_id. Check"),
        ({"cluster_id": "", "cluster_name": "scratch"}, "cluster_id, in cluster, must not be empty"),
    ],
    checks.check_renaming: [
        *((value, text) for value, text in BAD_NAMES if not isinstance(value, dict)),
        ({}, "must hold at least one of the collection names"),
        ({"orders": ""}, "the new name of 'orders' in collections must not be empty"),
        ({" ": "orders"}, "a name in collections must not be empty"),
        ({"a": "c", "b": "c"}, "must not give the same new name twice"),
    ],
    checks.check_count: BAD_COUNT,
    checks.check_weekdays: [
        *((value, text) for value, text in BAD_NAMES if not isinstance(value, list | bytes) or not value),
        (["monday", "monday"], "has duplicates: monday"),
        (["Monday"], "must be one of monday, tuesday, .*, not 'Monday'"),
        ([1], "must be a string, not int"),
    ],
    checks.check_copies: [
        (["aws-us-west-2"], "must be a mapping of region ids to days, .*, not"),
        ("aws-us-west-2", "must be a mapping of region ids to days"),
        ({"": 7}, "each region of copies must not be empty"),
        *(({"aws-us-west-2": value}, text) for value, text in BAD_COUNT),
    ],
    checks.check_choice: [
        (value, f"must be one of .*, not {re.escape(repr(value))}")
        for value in ("nothing", "False", "", 2, None, "{{ params.it }}")
    ],
    checks.check_seconds: [
        *(
            (value, "must be a number of seconds, at least .* and at most a year, not ")
            for value in [*BAD_NUMBERS, YEAR + 1, timedelta(minutes=1)]
        )
    ],
    checks.check_duration: [
        (value, "must be a timedelta, more than 0, not ")
        for value in (0, 86400, "1 day", True, timedelta(), timedelta(seconds=-1))
    ],
    checks.check_amount: [
        (value, "must be a number, at least 0, not ") for value in (-1, math.nan, math.inf, True, "0.02", [1])
    ],
    check_manifest: [
        ("in01-1", "is no manifest"),
        ({}, "is no manifest"),
        ({"collections": "orders"}, "is no manifest"),
    ],
    checks.check_timezone: [
        ("Mars/Olympus", "must be a time zone such as 'Europe/Paris', not 'Mars/Olympus'"),
        ("Europe", "must be a time zone"),
        ("../UTC", "must be a time zone"),
        ("", "must not be empty"),
        (1, "must be a string, not int"),
    ],
}


def check_of(argument: Argument) -> Any:
    return getattr(argument.check, "func", argument.check)


def arguments_of(kind: type[Any]) -> tuple[Argument, ...]:
    return (*kind.common_arguments, *kind.arguments)


#: What must not be given beside it.
INSTEAD = {
    "project_id": {"cluster_id": None},
    "backup": {"cluster_id": None, "backup_id": None},
    "cluster": {"cluster_id": None, "cluster_name": None},
    "restored": {"cluster_id": None},
    "manifest": {"source_cluster_id": None},
}


def has_tests_of_its_own(kind: type[Any], name: str) -> bool:
    """Tell whether Airflow checks a value itself, the class fixes it, or it has many forms."""
    is_airflows = kind in SENSORS and name in ("poke_interval", "timeout")
    return is_airflows or name in vars(kind) or name == "job_id"


def bad_arguments() -> Iterator[tuple[type[Any], str, dict[str, Any], str]]:
    """Yield all bad values for the first argument that has a check, and one for each other that has it."""
    seen = set()
    for kind in GOOD:
        for argument in arguments_of(kind):
            name, check = argument.name, check_of(argument)
            if has_tests_of_its_own(kind, name):
                continue
            instead = {} if kind is RESTORE else INSTEAD.get(name, {})
            for value, text in BAD_VALUES[check][: 1 if check in seen else None]:
                if not (argument.optional and value is None):
                    yield kind, name, {**instead, name: value}, f"(?=.*{name}).*{text}"
            seen.add(check)


BAD = [(kind, name in kind.template_fields, given, text) for kind, name, given, text in bad_arguments()]
BAD_SETTINGS = [(kind, given, text) for kind, is_templated, given, text in BAD if not is_templated]
BAD_WHEN_RENDERED = [
    *((kind, given, text) for kind, is_templated, given, text in BAD if is_templated),
    *((CREATE, {"cluster_id": value}, f"cluster_id {text}") for value, text in [(None, "must be")]),
    *(
        (JOB, {"job_id": value}, f"job_id {text}")
        for value, text in [*BAD_ID[:-1], (None, "must be a string")]
    ),
    *((JOB, {"job_id": value}, text) for value, text in BAD_RESULT),
    (GATE, {"project_id": "proj-1"}, "give either cluster_id or project_id"),
    (GATE, {"cluster_id": None}, "give either cluster_id or project_id"),
    (PRUNE, {"keep_last": None}, "give at least one rule"),
    (POLICY, {"start_hour": 24}, "start_hour must be a whole number from 0 to 23"),
    (POLICY, {"retention_days": 0}, "retention_days must be a whole number from 1 to 30"),
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
BAD_TIMES = [
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
    *((kind, "backup_type", "'CLUSTER', 'COLLECTION'", ("cluster", "ALL")) for kind in (PRUNE, FRESHNESS)),
    *((kind, "creation_method", "'MANUAL', 'AUTO'", ("manual", "AUTOMATIC")) for kind in (PRUNE, FRESHNESS)),
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
    [*BAD_WHEN_RENDERED, *BAD_SETTINGS, *BAD_TOGETHER, *BAD_TIMES, *BAD_CHOICES],
)
def test_what_is_wrong_is_told_at_parse_time(
    kind: type[Any], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(kind, **arguments)


def test_each_operator_and_sensor_is_here() -> None:
    assert {kind for kind in public_names().values() if hasattr(kind, "check_arguments")} == set(GOOD)


@pytest.mark.parametrize("kind", GOOD)
def test_what_is_good_passes(kind: type[Any]) -> None:
    make(kind).check_arguments(rendered=True)


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
        ({"collections": ["orders"]}, "collections", "collections must be a list of .*, not None"),
        ({"database": "sales"}, "database", "database must be a string, not None"),
        ({"copy_to_regions": ["r"]}, "copy_to_regions", "copy_to_regions must be a list of .*, not None"),
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
    with pytest.raises(AirflowFailException, match=f"{name} must be a .*, not None"):
        ti.run()


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
@pytest.mark.parametrize(("kind", "arguments", "message"), [*BAD_WHEN_RENDERED, *UNKNOWN_WHEN_RENDERED])
def test_what_is_wrong_after_rendering_fails_the_task_for_good_before_anything_is_sent(
    kind: type[Any], arguments: dict[str, Any], message: str, deferrable: bool
) -> None:
    operator = make(kind, **{"deferrable": deferrable} if hasattr(kind, "deferrable") else {})
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
        (JOB, "job_id", {"job_id": "job-1"}, "job_id is a string that is not JSON. Write a template"),
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
    ("kind", "more"),
    [(ZillizCreateBackupOperator, {}), (ZillizRestoreCollectionsOperator, {"backup_id": "backup-1"})],
)
@pytest.mark.parametrize(
    ("partial", "expand", "is_refused"),
    [
        ({"cluster_id": "in01-1"}, {"collections": [None]}, True),
        ({"cluster_id": "in01-1"}, {"collections": [["orders"]]}, False),
        ({}, {"cluster_id": ["in01-1"]}, False),
    ],
    ids=["None", "names", "left out"],
)
def test_none_among_mapped_collections_does_not_mean_all(
    kind: Any, more: dict[str, Any], partial: dict[str, Any], expand: dict[str, Any], is_refused: bool
) -> None:
    with DAG("dag", schedule=None):
        mapped = kind.partial(task_id="task", **more, **partial).expand(**expand)
    operator: Any = mapped.unmap({name: values[0] for name, values in expand.items()})
    if is_refused:
        with pytest.raises(ArgumentError, match="collections is None in a mapped task"):
            operator.check_arguments(rendered=True)
    else:
        operator.check_arguments(rendered=True)


@pytest.mark.parametrize(
    "name", ["keep", "keep_names", "keep_last", "older_than", "keep_daily", "keep_weekly", "keep_monthly"]
)
def test_none_among_mapped_rules_takes_no_protection_away(name: str) -> None:
    other = {"keep_monthly": 1} if name == "keep_last" else {"keep_last": 1}
    with DAG("dag", schedule=None):
        mapped = ZillizPruneBackupsOperator.partial(task_id="task", **other).expand_kwargs(
            [{"cluster_id": "in01-1", name: None}]
        )
    operator: Any = mapped.unmap({"cluster_id": "in01-1", name: None})
    with pytest.raises(ArgumentError, match=f"{name} is None in a mapped task"):
        operator.check_arguments(rendered=True)


def test_new_names_may_be_known_only_later() -> None:
    with DAG("dag", schedule=None):
        before = BaseOperator(task_id="before")
        ZillizRestoreCollectionsOperator(
            task_id="task",
            cluster_id="in01-1",
            backup_id="backup-1",
            collections={"orders": before.output, "customers": before.output},
        )
