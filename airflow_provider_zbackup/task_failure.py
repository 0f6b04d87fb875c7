"""How an error of Zilliz Cloud ends an Airflow task, and what is said about work that goes on without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    BaseSensorOperator,
)

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBackupLostError,
    ZillizError,
    ZillizJobFailedError,
    ZillizPermanentError,
    ZillizTimeoutError,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

NO_CANCEL = "Zilliz Cloud has no API to cancel a job: only its web console can."


@contextmanager
def failing(task: BaseOperator) -> Iterator[None]:
    """
    Make the errors of Zilliz Cloud into what Airflow understands.

    What would fail again fails the task without retries, unless the task has a ``retry_policy``
    (Airflow 3.3 and later), which then decides. A sensor cannot bring a job back to life, so for it the
    end of its job is such a failure too, and its time-out is Airflow's own.
    """
    try:
        yield
    except ValueError as error:
        raise AirflowFailException(f"{type(task).__name__}: {error}.") from error
    except ZillizPermanentError as error:
        if getattr(task, "retry_policy", None) is not None:
            raise
        raise AirflowFailException(str(error)) from error
    except ZillizTimeoutError as error:
        if isinstance(task, BaseSensorOperator):
            raise AirflowSensorTimeout(str(error)) from error
        raise
    except (ZillizJobFailedError, ZillizBackupLostError) as error:
        if isinstance(task, BaseSensorOperator):
            raise AirflowFailException(str(error)) from error
        raise


def payload(event: Any) -> dict[str, Any]:
    """
    Return what the event of a trigger brings.

    :raises ZillizError: the error that ended the trigger's wait, or that this is no event of ours
    """
    match event:
        case {"status": "success"}:
            return dict(event)
        case {"status": "error", "error": dict(error)}:
            raise ZillizError.from_dict(error)
    raise ZillizError(f"The trigger ended without a result: {event!r}")


class NamesWhatGoesOn:
    """
    Mixin for deferrable operators and sensors: nobody loses sight of the remote work.

    When Airflow ends a deferral - its own time-out, or a trigger that crashed - or kills the task, the
    error and the log say what goes on in Zilliz Cloud.
    """

    def what_goes_on(self, context: Context) -> str:
        """Return, in one sentence, what goes on in Zilliz Cloud."""
        raise NotImplementedError

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        try:
            return super().resume_execution(next_method, next_kwargs, context)  # type: ignore[misc]
        except Exception as error:
            if next_method != "__fail__":
                raise
            raise type(error)(f"{error}. {self.what_goes_on(context)} {NO_CANCEL}") from error

    def on_kill(self) -> None:
        self.log.warning("This task was killed. What it started goes on. %s", NO_CANCEL)  # type: ignore[attr-defined]
