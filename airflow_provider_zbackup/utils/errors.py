"""How an error of Zilliz Cloud ends an Airflow task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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


@contextmanager
def translate_errors(task: BaseOperator) -> Iterator[None]:
    """
    Translate the errors of Zilliz Cloud into those of Airflow.

    A permanent error fails the task without retries, unless the task has a ``retry_policy`` (Airflow 3.3
    and later) and no ``soft_fail``: then the policy decides. A sensor cannot restart a job, so a failed job
    is permanent for it too. A sensor's time-out is Airflow's own.
    """
    try:
        yield
    except ArgumentError as error:
        raise AirflowFailException(f"{type(task).__name__}: {error}.") from error
    except ZillizPermanentError as error:
        if getattr(task, "retry_policy", None) is not None and not getattr(task, "soft_fail", False):
            raise
        raise AirflowFailException(str(error)) from error
    except ZillizTimeoutError as error:
        if isinstance(task, BaseSensorOperator):
            raise AirflowSensorTimeout(str(error)) from error
        raise
    except (ZillizJobFailedError, ZillizLostError) as error:
        if isinstance(task, BaseSensorOperator):
            raise AirflowFailException(f"{error} Clear the task that started it: it starts anew.") from error
        raise


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
