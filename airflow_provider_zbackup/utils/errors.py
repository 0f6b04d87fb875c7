"""How an error of Zilliz Cloud ends an Airflow task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    BaseSensorOperator,
)

from airflow_provider_zbackup.zilliz.checks import ArgumentError
from airflow_provider_zbackup.zilliz.errors import (
    ZillizError,
    ZillizJobFailedError,
    ZillizLostError,
    ZillizPermanentError,
    ZillizTimeoutError,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator


class translate_errors:
    """
    Translate the errors of Zilliz Cloud into those of Airflow, as a context manager.

    A permanent error fails the task without retries, unless the task has a ``retry_policy`` (Airflow 3.3
    and later) and no ``soft_fail``: then the policy decides. A sensor cannot restart a job, so a failed job
    is permanent for it too. A sensor's time-out is Airflow's own.
    """

    # A generator would not do: contextlib gives an error that is raised again its old traceback.

    def __init__(self, task: BaseOperator) -> None:
        self._task = task

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, ArgumentError | ZillizError):
            log_and_raise(self._task, _translated(self._task, error), error)


def _translated(task: BaseOperator, error: ArgumentError | ZillizError) -> Exception:
    is_sensor = isinstance(task, BaseSensorOperator)
    match error:
        case ArgumentError():
            return AirflowFailException(f"{type(task).__name__}: {error}.")
        case ZillizPermanentError():
            if getattr(task, "retry_policy", None) is None or getattr(task, "soft_fail", False):
                return AirflowFailException(str(error))
        case ZillizTimeoutError() if is_sensor:
            return AirflowSensorTimeout(str(error))
        case ZillizJobFailedError() | ZillizLostError() if is_sensor:
            return AirflowFailException(f"{error} Clear the task that created it, to start a new one.")
    return error


def log_and_raise(task: BaseOperator, error: Exception, cause: Exception) -> NoReturn:
    """
    Log an error as a line of its own, since Airflow's UI cuts the headline of an exception, and raise it.

    What led to it is only in the debug log. :func:`find_zilliz_error` still finds it.

    :param cause: the error that it is made from, or the error itself
    """
    is_skipped = getattr(task, "soft_fail", False) or getattr(task, "never_fail", False)
    (task.log.warning if is_skipped else task.log.error)("%s", error)
    task.log.debug("What led to this error:", exc_info=cause)
    raise error.with_traceback(None) from None


def find_zilliz_error(exception: BaseException | None) -> ZillizError | None:
    """
    Return the error of Zilliz Cloud behind the exception that ended a task, for callbacks.

    It has ``job_id``, ``backup_id`` and ``cluster_id``, as far as they are known.

    .. code-block:: python

        def alert(context):
            error = find_zilliz_error(context["exception"])

    :param exception: ``exception`` of the context that Airflow gives to ``on_failure_callback``
    :return: ``None`` if it has another cause
    """
    while exception is not None and not isinstance(exception, ZillizError):
        exception = exception.__context__
    return exception


def validate_event(event: Any, *names: str) -> tuple[Any, ...]:
    """
    Return what the event of a trigger brings.

    :param names: what it has to bring
    :raises ZillizError: the error that ended the trigger's wait, or the event is not one of ours
    """
    match event:
        case {"status": "success"} if all(event.get(name) is not None for name in names):
            return tuple(event[name] for name in names)
        case {"status": "error", "error": dict(error)}:
            raise ZillizError.from_dict(error)
    raise ZillizError(f"The trigger ended without a result: {event!r}")
