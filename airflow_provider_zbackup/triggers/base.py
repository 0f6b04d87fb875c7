"""What the triggers of this provider have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, Generic, TypeVar

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.utils.xcom import push_from_trigger
from airflow_provider_zbackup.zilliz.answers import Answer
from airflow_provider_zbackup.zilliz.errors import ZillizError
from airflow_provider_zbackup.zilliz.flows.polling import Wait
from airflow_provider_zbackup.zilliz.flows.steps import Flow

A = TypeVar("A", bound=Answer)


class ZillizTrigger(BaseTrigger):
    """
    Base of the triggers: runs a flow in the triggerer; the event brings its result or its error.

    Workers run the same flow, by :meth:`wait_in_worker`, before they defer or instead.

    Airflow stores the arguments as they are, so all are plain JSON and none is secret. Times are seconds
    since the epoch, so a trigger that moves to another triggerer keeps its deadline.

    :param zilliz_conn_id: Airflow connection of type ``zilliz``
    :param deadline: when to give up
    :param poll_interval: longest pause between two polls, in seconds
    :param since: when the work began, where that is known
    :param not_before: when to poll for the first time
    :param end_from_trigger: whether to end the task here after a success. A failure always goes to a worker:
        else Airflow before 3.3 would not retry it
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

    @property
    def latest_end(self) -> float:
        """When the flow has ended, whatever happens, in seconds since the epoch."""
        return self.deadline

    @abstractmethod
    def serialized_fields(self) -> dict[str, Any]:
        """Return the arguments that say what is waited for."""

    @abstractmethod
    def flow(self, wait: Wait) -> Flow[dict[str, Any]]:
        """Return the flow. It returns the event, whose ``result`` is the task's result."""

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
        self,
        hook: ZillizHook,
        *,
        note: Callable[[str], None],
        warn: Callable[[str], None],
        leave_after: float | None = None,
    ) -> Any:
        """
        Wait here and now.

        :param note: writes a line to the log
        :param warn: writes a line about trouble to the log
        :param leave_after: when to stop waiting unless the end is near, in seconds since the epoch
        :return: the task's result; ``None`` if it was time to leave
        :raises ZillizError: the error that ended the wait
        """
        return hook.client.run(self._flow(self._wait(leave_after)), note=note, warn=warn)["result"]

    def _flow(self, wait: Wait) -> Flow[dict[str, Any]]:
        """Return the flow, whose errors say what was waited for."""
        try:
            return (yield from self.flow(wait))
        except ZillizError as error:
            fields = self.serialized_fields()
            ids = fields.get("result") or fields
            raise error.with_ids(ids) from error

    def _wait(self, leave_after: float | None = None) -> Wait:
        return Wait(self.deadline, self.poll_interval, self.since, leave_after, self.not_before)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        hook, wait = ZillizHook(self.zilliz_conn_id), self._wait()
        try:
            async with hook.async_client() as client:
                result = await client.run(self._flow(wait), note=self.log.info, warn=self.log.warning)
            event = {"status": "success", **result}
        except ZillizError as error:
            event = {"status": "error", "error": error.to_dict()}
        # After an early error the flow's own first pause did not happen.
        await hook.clock.asleep(max(0.0, (self.not_before or 0.0) - hook.clock.time()))
        # No task instance means dag.test(), which can only resume the task.
        if self.end_from_trigger and event["status"] == "success" and self.task_instance is not None:
            xcoms = await push_from_trigger(self.task_instance, "return_value", event["result"])
            yield TaskSuccessEvent(xcoms=xcoms)
        else:
            yield TriggerEvent(event)  # type: ignore[no-untyped-call]


class ZillizResultTrigger(ZillizTrigger, Generic[A]):
    """
    Base of the triggers that wait for what a task started, and complete the task's result.

    :param result: the result as far as it is known
    """

    #: The fields of the finished product that go into the result.
    facts: ClassVar[frozenset[str]]

    def __init__(self, *, result: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.result = result

    @abstractmethod
    def end(self, wait: Wait) -> Flow[A | None]:
        """Return the flow that waits for the product, and returns it in its last state."""

    def serialized_fields(self) -> dict[str, Any]:
        return {"result": self.result}

    def flow(self, wait: Wait) -> Flow[dict[str, Any]]:
        made = yield from self.end(wait)
        return {"result": made and self.completed(made)}

    def completed(self, made: A) -> dict[str, Any]:
        """Return the result with the known facts of the product; unknown ones overwrite nothing."""
        facts = made.model_dump(mode="json", include=set(self.facts))
        return self.result | {name: value for name, value in facts.items() if value not in (None, "")}
