"""The ready retry policy, where Airflow has such policies; elsewhere it cannot be imported."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.sensors.job import ZillizJobSensor
from airflow_provider_zbackup.utils.errors import translate_errors
from airflow_provider_zbackup.version_compat import AIRFLOW_VERSION
from airflow_provider_zbackup.zilliz import errors
from airflow_provider_zbackup.zilliz.checks import ArgumentError
from airflow_provider_zbackup.zilliz.errors import ZillizError

MODULE = "airflow_provider_zbackup.retry_policy"
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ZillizError)]
PERMANENT = [kind for kind in KINDS if issubclass(kind, errors.ZillizPermanentError)]
TRANSIENT = [kind for kind in KINDS if issubclass(kind, errors.ZillizTransientError)]
OTHERS = [kind for kind in KINDS if kind not in (*PERMANENT, *TRANSIENT)]

if AIRFLOW_VERSION.release >= (3, 3):

    def policy(**delays: float) -> Any:
        return import_module(MODULE).ZillizRetryPolicy(**delays)

    def decision(error: BaseException, **delays: float) -> tuple[str, float | None, str | None]:
        """Return what is done, after how many seconds, and why."""
        made = policy(**delays).evaluate(error, try_number=1, max_tries=3)
        return made.action.value, made.retry_delay and made.retry_delay.total_seconds(), made.reason

    @pytest.mark.parametrize("kind", PERMANENT)
    def test_what_would_come_again_fails_at_once(kind: type[ZillizError]) -> None:
        assert decision(kind("It is so.", retry_after=5.0)) == ("fail", None, "It is so.")

    @pytest.mark.parametrize("kind", TRANSIENT)
    @pytest.mark.parametrize("asked", [None, 0.0, 7.0, 300.0])
    def test_what_passes_by_itself_is_tried_again_when_it_may_have_passed(
        kind: type[ZillizError], asked: float | None
    ) -> None:
        usual = 60.0 if kind is errors.ZillizThrottledError else 30.0
        error = kind("Not now.", retry_after=asked)
        assert decision(error) == ("retry", max(usual, asked or 0.0), "Not now.")

    @pytest.mark.parametrize(
        ("kind", "delay"), [(errors.ZillizServerError, 2.0), (errors.ZillizThrottledError, 9.0)]
    )
    def test_the_pauses_can_be_chosen(kind: type[ZillizError], delay: float) -> None:
        chosen = {"transient_delay": 2.0, "throttled_delay": 9.0}
        assert decision(kind("Not now."), **chosen) == ("retry", delay, "Not now.")
        assert decision(kind("Not now.", retry_after=9.5), **chosen) == ("retry", 9.5, "Not now.")

    @pytest.mark.parametrize(
        "error", [*(kind("It ended.") for kind in OTHERS), RuntimeError("boom"), KeyboardInterrupt()]
    )
    def test_everything_else_is_left_to_the_tasks_own_retries(error: BaseException) -> None:
        assert decision(error) == ("default", None, None)

    @pytest.mark.parametrize("delays", [{}, {"transient_delay": 1.5}, {"throttled_delay": 2}])
    def test_it_is_stored_as_plain_json_and_read_back_the_same(delays: dict[str, float]) -> None:
        stored = policy(**delays).serialize()
        assert stored == {"transient_delay": 30.0, "throttled_delay": 60.0} | delays
        read_back = type(policy()).deserialize(json.loads(json.dumps(stored, allow_nan=False)))
        assert type(read_back) is type(policy())
        assert read_back.serialize() == stored

    @pytest.mark.parametrize("kind", PERMANENT)
    @pytest.mark.parametrize(
        ("task", "arguments"),
        [(ZillizCreateBackupOperator, {"cluster_id": "in01-1"}), (ZillizJobSensor, {"job_id": "job-1"})],
    )
    def test_a_task_with_a_policy_gives_it_the_error_itself(
        task: type[Any], arguments: dict[str, str], kind: type[ZillizError]
    ) -> None:
        error = kind("It is so.")
        with (
            pytest.raises(kind) as caught,
            translate_errors(task(task_id="task", retry_policy=policy(), **arguments)),
        ):
            raise error
        assert caught.value is error
        with pytest.raises(AirflowFailException), translate_errors(task(task_id="task", **arguments)):
            raise error

    def test_a_wrong_argument_fails_for_good_even_with_a_policy() -> None:
        """The policy is not asked: no retry renders another value."""
        task = ZillizJobSensor(
            task_id="task", job_id="job-1", retry_policy=policy(), retry_delay=timedelta(0)
        )
        with pytest.raises(AirflowFailException, match="job_id must not be empty"), translate_errors(task):
            raise ArgumentError("job_id must not be empty")

else:

    def test_an_older_airflow_has_no_retry_policies(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, MODULE, raising=False)
        with pytest.raises(ImportError, match="Retry"):
            import_module(MODULE)
