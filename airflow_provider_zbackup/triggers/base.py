"""What the triggers of this provider have in common."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.zilliz.errors import ZillizError
from airflow_provider_zbackup.zilliz.flows.steps import Flow
from airflow_provider_zbackup.zilliz.flows.waiting import Wait


class ZillizTrigger(BaseTrigger):
    """
    Base of the triggers: runs a flow in the triggerer and brings its result, or its error, as the event.

    Workers run the very same flow, by :meth:`wait_in_worker`, before they defer, or instead.

    All arguments are plain JSON, and none is secret, since Airflow stores them as they are. Times are
    seconds since the epoch, so that a trigger which moves to another triggerer keeps its deadline.

    :param zilliz_conn_id: Airflow connection of type ``zilliz``
    :param deadline: when to give up
    :param poll_interval: longest pause between two looks, in seconds
    :param since: when the work began, where that is known
    :param not_before: when to look for the first time
    :param end_from_trigger: whether to end the task here when all went well. A failure always goes to a
        worker: Airflow before 3.3 would not retry it otherwise
    """

    def __init__(
        self,
        *,
        zilliz_conn_id: str,
        deadline: float,
        poll_interval: float,
        since: float | None = None,
        not_before: float | None = None,
        end_from_trigger: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.zilliz_conn_id = zilliz_conn_id
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.since = since
        self.not_before = not_before
        self.end_from_trigger = end_from_trigger

    @abstractmethod
    def serialized_fields(self) -> dict[str, Any]:
        """Return the arguments that say what is waited for."""

    @abstractmethod
    def flow(self, wait: Wait) -> Flow[dict[str, Any]]:
        """Return the flow; its result is the event, whose ``result`` is the task's."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {
            **self.serialized_fields(),
            "zilliz_conn_id": self.zilliz_conn_id,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
            "since": self.since,
            "not_before": self.not_before,
            "end_from_trigger": self.end_from_trigger,
        }

    def wait_in_worker(
        self, hook: ZillizHook, *, note: Callable[[str], None], leave_after: float | None = None
    ) -> Any:
        """
        Wait here and now.

        :param hook: of the connection that is named
        :param note: writes a line to the log
        :param leave_after: when to stop waiting unless the end is near, in seconds since the epoch
        :return: the task's result; ``None`` if it was time to leave
        :raises ZillizError: the error that ended the wait
        """
        return hook.client.run(self.flow(self._wait(leave_after)), note=note)["result"]

    def _wait(self, leave_after: float | None = None) -> Wait:
        return Wait(self.deadline, self.poll_interval, self.since, leave_after, self.not_before)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            async with ZillizHook(self.zilliz_conn_id).async_client() as client:
                result = await client.run(self.flow(self._wait()), note=self.log.info)
            event = {"status": "success", **result}
        except ZillizError as error:
            event = {"status": "error", "error": error.to_dict()}
        # An error may come before the flow's own first pause.
        await asyncio.sleep(max(0.0, (self.not_before or 0.0) - time.time()))
        # Without a task instance this is dag.test(), which can do nothing but resume.
        if self.end_from_trigger and event["status"] == "success" and self.task_instance is not None:
            yield TaskSuccessEvent(xcoms={"return_value": event["result"]})
        else:
            yield TriggerEvent(event)  # type: ignore[no-untyped-call]
