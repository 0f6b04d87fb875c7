"""
A ready retry policy, for Airflow 3.3 and later: importing it on an older Airflow is an ``ImportError``.

Without it, a task fails at once for errors that would only come again, on every Airflow.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import RetryDecision, RetryPolicy

from airflow_provider_zbackup.zilliz.errors import (
    ZillizPermanentError,
    ZillizThrottledError,
    ZillizTransientError,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class ZillizRetryPolicy(RetryPolicy):
    """
    Try again what passes by itself, as soon as it may have passed; fail at once what would come again.

    .. code-block:: python

        ZillizCreateBackupOperator(..., retries=5, retry_policy=ZillizRetryPolicy())

    All other errors, such as a job that failed, follow the task's own ``retries`` and ``retry_delay``.

    :param transient_delay: pause before trying again after network or server trouble, in seconds
    :param throttled_delay: pause after "too many requests", in seconds; longer if the server asked for it
    """

    def __init__(self, transient_delay: float = 30.0, throttled_delay: float = 60.0) -> None:
        self.transient_delay = transient_delay
        self.throttled_delay = throttled_delay

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        if isinstance(exception, ZillizPermanentError):
            return RetryDecision.fail(reason=exception.message)
        if isinstance(exception, ZillizTransientError):
            throttled = isinstance(exception, ZillizThrottledError)
            delay = self.throttled_delay if throttled else self.transient_delay
            delay = max(delay, exception.retry_after or 0.0)
            return RetryDecision.retry(delay=timedelta(seconds=delay), reason=exception.message)
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        return {"transient_delay": self.transient_delay, "throttled_delay": self.throttled_delay}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ZillizRetryPolicy:
        return cls(**data)
