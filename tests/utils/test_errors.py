"""How an error of Zilliz Cloud ends a task, and what is said of the work that goes on without it."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)
from pytest_mock import MockerFixture

from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.operators.base import ZillizJobOperator
from airflow_provider_zbackup.sensors.backup import ZillizNoActiveBackupSensor
from airflow_provider_zbackup.sensors.job import ZillizJobSensor
from airflow_provider_zbackup.triggers.job import ZillizJobTrigger
from airflow_provider_zbackup.utils.errors import find_zilliz_error, translate_errors, validate_event
from airflow_provider_zbackup.utils.task import BACKSTOP, EARLIEST_EVENT, NO_CANCEL, ZillizWaitingTask
from airflow_provider_zbackup.zilliz import errors
from airflow_provider_zbackup.zilliz.checks import ArgumentError
from airflow_provider_zbackup.zilliz.errors import ZillizError
from airflow_provider_zbackup.zilliz.flows.creation import CreateBackupSubmission, CreateRecord
from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest
from tests.clock import START, VirtualClock
from tests.support import Store, TaskInstance
from tests.zilliz.driver import at


def create(**arguments: Any) -> ZillizCreateBackupOperator:
    return ZillizCreateBackupOperator(task_id="task", cluster_id="in01-1", **arguments)


def job(job_id: Any = "job-1", **arguments: Any) -> ZillizJobSensor:
    return ZillizJobSensor(task_id="task", job_id=job_id, **arguments)


def gate(**arguments: Any) -> ZillizNoActiveBackupSensor:
    arguments = arguments if "project_id" in arguments else {"cluster_id": "in01-1"} | arguments
    return ZillizNoActiveBackupSensor(task_id="task", **arguments)


TASKS = pytest.mark.parametrize("make", [create, job, gate])
SENSORS = pytest.mark.parametrize("make", [job, gate])

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ZillizError)]
PERMANENT = [kind for kind in KINDS if issubclass(kind, errors.ZillizPermanentError)]
ENDS = [kind for kind in KINDS if issubclass(kind, errors.ZillizJobFailedError | errors.ZillizLostError)]
TIMEOUTS = [kind for kind in KINDS if issubclass(kind, errors.ZillizTimeoutError)]
OTHERS = [kind for kind in KINDS if kind not in (*PERMANENT, *ENDS, *TIMEOUTS)]


def outcome(task: Any, error: Exception) -> BaseException:
    """Return what an error of Zilliz Cloud becomes when it ends a task."""
    with pytest.raises(Exception, match=re.escape(str(error))) as caught, translate_errors(task):
        raise error
    return caught.value


@pytest.mark.parametrize("kind", PERMANENT)
@TASKS
def test_what_would_fail_again_is_not_retried(make: Callable[..., Any], kind: type[ZillizError]) -> None:
    error = kind("It is so.", code=96018, request_id="request-1")
    ended = outcome(make(), error)
    assert type(ended) is AirflowFailException
    assert str(ended) == str(error)
    assert find_zilliz_error(ended) is error


@pytest.mark.parametrize("kind", PERMANENT)
@TASKS
def test_a_retry_policy_sees_the_error_itself(make: Callable[..., Any], kind: type[ZillizError]) -> None:
    task, error = make(), kind("It is so.")
    task.retry_policy = SimpleNamespace()
    assert outcome(task, error) is error


@pytest.mark.parametrize("kind", PERMANENT)
@SENSORS
def test_soft_fail_comes_before_a_retry_policy(make: Callable[..., Any], kind: type[ZillizError]) -> None:
    sensor = make(soft_fail=True)
    sensor.retry_policy = SimpleNamespace()
    assert type(outcome(sensor, kind("It is so."))) is AirflowFailException


@pytest.mark.parametrize("kind", OTHERS)
@TASKS
def test_what_may_pass_is_left_to_airflow_s_retries(
    make: Callable[..., Any], kind: type[ZillizError]
) -> None:
    error = kind("Not now.")
    assert outcome(make(), error) is error


@pytest.mark.parametrize("kind", ENDS)
def test_the_end_of_a_job_is_final_for_a_sensor_and_not_for_the_operator(kind: type[ZillizError]) -> None:
    error = kind("It ended.")
    assert outcome(create(), error) is error
    for make in (job, gate):
        ended = outcome(make(), error)
        assert type(ended) is AirflowFailException
        assert find_zilliz_error(ended) is error
        assert str(ended).endswith(" Clear the task that created it, to start a new one.")


def test_a_time_out_is_airflow_s_own_for_a_sensor_and_retried_for_the_operator() -> None:
    error = errors.ZillizTimeoutError("Gave up after 60 s.")
    assert outcome(create(), error) is error
    for make in (job, gate):
        ended = outcome(make(), error)
        assert type(ended) is AirflowSensorTimeout
        assert str(ended) == "Gave up after 60 s. It may still be running in Zilliz Cloud."


@TASKS
def test_an_argument_that_is_wrong_fails_for_good_and_names_the_class(make: Callable[..., Any]) -> None:
    task = make()
    ended = outcome(task, ArgumentError("cluster_id must not be empty"))
    assert type(ended) is AirflowFailException
    assert str(ended) == f"{type(task).__name__}: cluster_id must not be empty."


@TASKS
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("boom"),
        KeyError("x"),
        ValueError("bad"),
        json.JSONDecodeError("bad", "{", 0),
        AirflowSkipException("not today"),
    ],
    ids=repr,
)
def test_what_is_not_ours_passes_unchanged(make: Callable[..., Any], error: Exception) -> None:
    assert outcome(make(), error) is error


def told(error: Exception, task: Any, mocker: MockerFixture) -> tuple[BaseException, list[tuple[str, str]]]:
    """Return what an error becomes, and what is logged of it."""
    log = mocker.Mock()
    mocker.patch.object(type(task), "log", log)
    ended = outcome(task, error)
    return ended, [(level, args[0] % args[1:]) for level, args, _ in log.mock_calls]


@pytest.mark.parametrize("kind", KINDS)
@TASKS
def test_an_error_is_told_once_in_a_line_of_its_own(
    make: Callable[..., Any], kind: type[ZillizError], mocker: MockerFixture
) -> None:
    ended, said = told(kind("It is so.", code=96018), make(), mocker)
    assert said == [("error", str(ended)), ("debug", "What led to this error:")]


@pytest.mark.parametrize("flag", ["soft_fail", "never_fail"])
@SENSORS
def test_an_error_that_only_skips_the_task_is_a_warning(
    make: Callable[..., Any], flag: str, mocker: MockerFixture
) -> None:
    task = make()
    setattr(task, flag, True)
    _, said = told(errors.ZillizNotFoundError("No."), task, mocker)
    assert said[0] == ("warning", "No.")


@pytest.mark.parametrize("kind", KINDS)
@TASKS
def test_the_traceback_shows_nothing_of_the_internals(
    make: Callable[..., Any], kind: type[ZillizError]
) -> None:
    def internals() -> None:
        try:
            raise OSError("a socket")
        except OSError as cause:
            raise kind("It is so.") from cause

    with pytest.raises(Exception, match="It is so") as caught, translate_errors(make()):
        internals()
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("It is so.") == 1
    assert "internals()" not in shown
    assert "a socket" not in shown
    found = find_zilliz_error(caught.value)
    assert type(found) is kind
    assert type(found.__context__) is OSError


@pytest.mark.parametrize("exception", [None, RuntimeError("boom")], ids=repr)
def test_an_exception_of_another_cause_has_no_error_behind_it(exception: Exception | None) -> None:
    assert find_zilliz_error(exception) is None


def test_a_failed_job_is_told_with_what_it_was_to_make() -> None:
    error = errors.ZillizJobFailedError(
        "Job job-1 failed: disk is full.", job_id="job-1", backup_id="backup1", cluster_id="in01-1"
    )
    assert str(outcome(job(), error)) == (
        "Job job-1 failed: disk is full (backup backup1, cluster in01-1). "
        "Clear the task that created it, to start a new one."
    )


@TASKS
def test_without_an_error_nothing_happens(make: Callable[..., Any]) -> None:
    with translate_errors(make()):
        result = "done"
    assert result == "done"


def test_the_event_of_a_success_is_returned() -> None:
    event = {"status": "success", "result": {"backups": 3}, "deadline": 60.0}
    assert validate_event(event) == ()
    assert validate_event(event, "result") == ({"backups": 3},)
    assert validate_event(event, "deadline", "result") == (60.0, {"backups": 3})


@pytest.mark.parametrize("nothing", [0, 0.0, "", [], {}, False])
def test_what_an_event_brings_may_be_empty(nothing: Any) -> None:
    assert validate_event({"status": "success", "result": nothing}, "result") == (nothing,)


@pytest.mark.parametrize(
    "event",
    [{"status": "success"}, {"status": "success", "result": None}, {"status": "success", "results": 1}],
)
def test_a_success_that_does_not_bring_what_it_has_to_is_an_error(event: dict[str, Any]) -> None:
    with pytest.raises(ZillizError, match="ended without a result"):
        validate_event(event | {"deadline": 60.0}, "deadline", "result")


@pytest.mark.parametrize("kind", KINDS)
def test_the_event_of_an_error_raises_it_as_it_was(kind: type[ZillizError]) -> None:
    error = kind("It is so.", code=1, http_status=500, request_id="r", retry_after=2.0, unprocessed=True)
    event = json.loads(json.dumps({"status": "error", "error": error.to_dict()}))
    with pytest.raises(kind) as caught:
        validate_event(event)
    assert type(caught.value) is kind
    assert vars(caught.value) == vars(error)


@pytest.mark.parametrize("name", ["ZillizUnheardOfError", "Exception", "Any", "classify", ""])
def test_the_event_of_an_error_of_unknown_class_raises_the_base_class(name: str) -> None:
    with pytest.raises(ZillizError, match="It is so") as caught:
        validate_event({"status": "error", "error": {"error": name, "message": "It is so."}})
    assert type(caught.value) is ZillizError


GARBAGE = [
    None,
    {},
    [],
    "success",
    True,
    0,
    {"status": None},
    {"status": "SUCCESS"},
    {"status": "timeout"},
    {"status": "error"},
    {"status": "error", "error": "It is so."},
    {"status": "success"},
    {"status": "success", "result": None, "deadline": None},
    {"result": {"status": "success"}},
    [{"status": "success"}],
]


@pytest.mark.parametrize("event", GARBAGE, ids=repr)
def test_an_event_that_is_not_ours_is_an_error(event: Any) -> None:
    with pytest.raises(ZillizError, match="ended without a result"):
        validate_event(event, "result")


@pytest.mark.parametrize("event", GARBAGE, ids=repr)
@pytest.mark.parametrize(
    ("make", "method"),
    [
        (create, "execute_complete"),
        (create, "execute_after_conflict"),
        (job, "execute_complete"),
        (gate, "execute_complete"),
    ],
)
def test_no_task_succeeds_by_an_event_that_is_not_ours(
    make: Callable[..., Any], method: str, event: Any
) -> None:
    ti = TaskInstance(make)
    with pytest.raises(ZillizError, match="ended without a result"):
        make().resume_execution(method, {"event": event}, ti.context)
    assert ti.store == Store()


def test_an_event_that_never_came_is_an_error_too() -> None:
    for make in (create, job, gate):
        with pytest.raises(ZillizError, match="ended without a result: None"):
            make().resume_execution("execute_complete", None, TaskInstance(make).context)


def ended_by_airflow(make: Callable[..., Any], text: str, store: Store | None = None) -> BaseException:
    ti = TaskInstance(make, store=store or Store())
    with pytest.raises(Exception, match=text) as caught:
        make().resume_execution("__fail__", {"error": text, "traceback": ["line 1"]}, ti.context)
    return caught.value


SUBMISSION = CreateBackupSubmission("in01-1", CreateBackupRequest.of())


def stored(**facts: Any) -> Store:
    record = CreateRecord(
        cluster_id="in01-1",
        backup_type=SUBMISSION.request.backup_type,
        first_sent=at(0),
        answer_deadline=at(30),
        **facts,
    )
    return Store({SUBMISSION.key: {"record": record.save().record}})


RUNNING = stored(backup_id="backup1", job_id="job-1")
ADOPTED = stored(backup_id="backup1", adopted=True)
INTENDED = stored()


@pytest.mark.parametrize("text", ["Trigger timeout", "Trigger failure"])
@pytest.mark.parametrize(
    ("make", "store", "named"),
    [
        (create, RUNNING, "Backup backup1 of cluster in01-1 (job job-1) may still be running"),
        (create, ADOPTED, "Backup backup1 of cluster in01-1 (job unknown) may still be running"),
        (create, INTENDED, "This task has not recorded which backup it made from in01-1"),
        (create, None, "This task has not recorded which backup it made from in01-1"),
        (job, None, "Job job-1 may still be running"),
        (
            lambda: job({"job_id": None, "cluster_id": "in01-1", "backup_id": "backup1"}),
            None,
            "Backup backup1 may still be running",
        ),
        (
            lambda: job(
                {"job_id": None, "cluster_id": "in01-2", "source_cluster_id": "in01-1", "backup_id": "b"}
            ),
            None,
            "The restore into cluster in01-2 may still be running",
        ),
        (gate, None, "Backups of in01-1 may still be running"),
        (
            lambda: gate(project_id="proj-1"),
            None,
            "Backups of proj-1 may still be running",
        ),
    ],
)
def test_the_end_of_a_deferral_says_what_goes_on(
    make: Callable[..., Any], store: Store | None, named: str, text: str
) -> None:
    error = ended_by_airflow(make, text, store)
    assert named in str(error)
    assert str(error).endswith(NO_CANCEL)
    assert type(error) is type(error.__context__)


@TASKS
def test_a_triggerer_without_the_package_is_named(make: Callable[..., Any]) -> None:
    cause = "ModuleNotFoundError: No module named 'airflow_provider_zbackup'\n"
    failed = {"error": "Trigger failure", "traceback": ["Traceback (most recent call last):\n", cause]}
    with pytest.raises(Exception, match="Trigger failure") as caught:
        make().resume_execution("__fail__", failed, TaskInstance(make).context)
    assert str(caught.value).startswith(
        "Trigger failure: the triggerer does not have airflow-provider-zbackup. "
        "Install the same version there."
    )


class BrokenStore(Store):
    """A store that cannot be reached."""

    def get(self, key: str, default: Any = None) -> Any:
        raise ConnectionError("no store")


@pytest.mark.parametrize("text", ["Trigger timeout", "Trigger failure"])
def test_the_end_of_a_deferral_is_told_even_where_nothing_else_can_be(
    text: str, mocker: MockerFixture
) -> None:
    logged = mocker.patch.object(logging.Logger, "exception", autospec=True)
    mocker.patch.object(ZillizCreateBackupOperator, "log", logging.getLogger("a task"))
    ti = TaskInstance(create, store=BrokenStore())
    with pytest.raises(Exception, match=text) as caught:
        create().resume_execution("__fail__", {"error": text, "traceback": ["line 1"]}, ti.context)
    assert str(caught.value).endswith(f"What this task started may still be running. {NO_CANCEL}")
    assert logged.call_count == 1


@pytest.mark.parametrize("text", ["Trigger timeout", "Trigger failure"])
def test_the_end_of_a_deferral_keeps_its_class_for_retry_policies(text: str) -> None:
    """Airflow 3 has one for the time-out and one for the rest, Airflow 2 one for both."""
    kinds = {kind.__name__ for kind in type(ended_by_airflow(create, text)).__mro__}
    assert kinds & {"TaskDeferralError", "TaskDeferralTimeout"}


@SENSORS
@pytest.mark.parametrize("text", ["Trigger timeout", "Trigger failure"])
def test_soft_fail_skips_when_airflow_ends_a_deferral(make: Callable[..., Any], text: str) -> None:
    with pytest.raises(AirflowSkipException, match="may still be running"):
        make(soft_fail=True).resume_execution("__fail__", {"error": text}, TaskInstance(make).context)


@SENSORS
@pytest.mark.parametrize("kind", [errors.ZillizTimeoutError, errors.ZillizNotFoundError])
def test_soft_fail_skips_when_the_trigger_ends_the_wait(
    make: Callable[..., Any], kind: type[ZillizError]
) -> None:
    event = {"status": "error", "error": kind("It is so.").to_dict()}
    with pytest.raises(AirflowSkipException):
        make(soft_fail=True).resume_execution(
            "execute_complete", {"event": event}, TaskInstance(make).context
        )


@TASKS
def test_a_killed_task_says_what_stays(make: Callable[..., Any], mocker: MockerFixture) -> None:
    task = make()
    warning = mocker.patch.object(logging.Logger, "warning", autospec=True)
    mocker.patch.object(type(task), "log", logging.getLogger("a task"))
    task.on_kill()
    (call,) = warning.call_args_list
    said = call.args[1] % call.args[2:]
    assert said == f"Killing this task stops nothing in Zilliz Cloud. {NO_CANCEL}"


@pytest.mark.parametrize(
    ("deadline", "seconds"),
    [
        (START + 60, 60 + BACKSTOP),
        (START, EARLIEST_EVENT + BACKSTOP),
        (START - 60, EARLIEST_EVENT + BACKSTOP),
    ],
    ids=["to come", "now", "over"],
)
def test_a_deferral_ends_after_its_trigger_and_never_returns(
    deadline: float, seconds: float, mocker: MockerFixture
) -> None:
    task: Any = ZillizWaitingTask()
    task.hook = SimpleNamespace(clock=VirtualClock())
    task.defer = mocker.Mock()
    trigger: Any = ZillizJobTrigger(
        job_id="job-1", zilliz_conn_id="zilliz_default", deadline=deadline, poll_interval=60.0
    )
    with pytest.raises(AssertionError, match="does not return"):
        task.defer_to(trigger, ZillizJobOperator.execute_complete)
    task.defer.assert_called_once_with(
        trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=seconds)
    )


@pytest.mark.parametrize(
    ("not_before", "seconds"),
    [(None, EARLIEST_EVENT), (START + 1, EARLIEST_EVENT), (START + 60, 60.0)],
    ids=["at once", "soon", "later"],
)
def test_no_event_comes_before_airflow_knows_of_the_deferral(
    not_before: float | None, seconds: float, mocker: MockerFixture
) -> None:
    task: Any = ZillizWaitingTask()
    task.hook = SimpleNamespace(clock=VirtualClock())
    task.defer = mocker.Mock(side_effect=RuntimeError)
    trigger = ZillizJobTrigger(
        job_id="job-1",
        zilliz_conn_id="zilliz_default",
        deadline=START + 3,
        poll_interval=60.0,
        not_before=not_before,
    )
    with pytest.raises(RuntimeError):
        task.defer_to(trigger, ZillizJobOperator.execute_complete)
    assert trigger.not_before == START + seconds
    assert trigger.deadline == START + seconds, "A time-out is an event too"


def test_whoever_takes_the_mixin_has_to_say_what_goes_on() -> None:
    with pytest.raises(NotImplementedError):
        ZillizWaitingTask().describe_remote_work({})


@SENSORS
@pytest.mark.parametrize("kind", KINDS)
def test_never_fail_skips_whatever_ends_the_wait_in_the_trigger(
    make: Callable[..., Any], kind: type[ZillizError]
) -> None:
    event = {"status": "error", "error": kind("It is so.").to_dict()}
    task = make(deferrable=True)
    task.never_fail = True
    with pytest.raises(AirflowSkipException):
        task.resume_execution("execute_complete", {"event": event}, TaskInstance(make).context)


@SENSORS
@pytest.mark.parametrize("place", ["console_url", "cap_to_execution_timeout"])
@pytest.mark.parametrize("error", [errors.ZillizServerError("Down."), RuntimeError("boom")], ids=repr)
def test_never_fail_skips_whatever_goes_wrong_before_the_deferral(
    make: Callable[..., Any],
    place: str,
    error: Exception,
    mocker: MockerFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", "zilliz://:key@")
    task = make(deferrable=True)
    task.never_fail = True
    kind = type(task)
    mocks = {
        name: mocker.patch.object(kind, name, autospec=True)
        for name in ("console_url", "cap_to_execution_timeout")
    }
    mocks["console_url"].return_value = "https://console.example"
    mocks[place].side_effect = error
    with pytest.raises(AirflowSkipException):
        task.execute(TaskInstance(make).context)
    assert mocks[place].call_count == 1


@TASKS
@pytest.mark.parametrize(("limit", "expected"), [(None, 100.0), (60, 60.0), (600, 100.0)])
def test_no_wait_is_longer_than_execution_timeout(
    make: Callable[..., Any], limit: float | None, expected: float
) -> None:
    task = make(execution_timeout=limit and timedelta(seconds=limit))
    assert task.cap_to_execution_timeout(100.0) == expected
