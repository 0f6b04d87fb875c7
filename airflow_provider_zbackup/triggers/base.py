"""What the triggers of this provider have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.zilliz.errors import ZillizError
from airflow_provider_zbackup.zilliz.flows.steps import Flow
from airflow_provider_zbackup.zilliz.flows.waiting import Wait

#: An event within so many seconds of the deferral can find the task not yet deferred, and fail it:
#: https://github.com/apache/airflow/issues/66374
EARLIEST_EVENT = 6.0
#: Airflow ends a deferral so many seconds after the trigger's own deadline, should the trigger be gone.
BACKSTOP = 120.0


class ZillizTrigger(BaseTrigger):
    """
    Base of the triggers: runs a flow in the triggerer and brings its result, or its error, as the event.

    All arguments are plain JSON, and none is secret, since Airflow stores them as they are. Times are
    seconds since the epoch, so that a trigger which moves to another triggerer keeps its deadline.

    :param zilliz_conn_id: Airflow connection of type ``zilliz``
    :param deadline: when to give up
    :param poll_interval: longest pause between two looks, in seconds
    :param since: when the work began, where that is known
    :param not_before: when to look for the first time
    """

    def __init__(
        self,
        *,
        zilliz_conn_id: str,
        deadline: float,
        poll_interval: float,
        since: float | None = None,
        not_before: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.zilliz_conn_id = zilliz_conn_id
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.since = since
        self.not_before = not_before

    @abstractmethod
    def subject(self) -> dict[str, Any]:
        """Return the arguments that say what is waited for."""

    @abstractmethod
    def flow(self, wait: Wait) -> Flow[dict[str, Any]]:
        """Return the flow; its result is the event."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {
            **self.subject(),
            "zilliz_conn_id": self.zilliz_conn_id,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
            "since": self.since,
            "not_before": self.not_before,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        wait = Wait(self.deadline, self.poll_interval, since=self.since, not_before=self.not_before)
        try:
            async with ZillizHook(self.zilliz_conn_id).async_client() as client:
                result = await client.run(self.flow(wait), note=self.log.info)
            event = {"status": "success", **result}
        except ZillizError as error:
            event = {"status": "error", "error": error.to_dict()}
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]
