"""One answer for all requests that ask the same at about the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from copy import copy
from typing import Any, TypeVar

from airflow_provider_zbackup.zilliz.errors import ZillizError
from airflow_provider_zbackup.zilliz.flows.steps import Reply
from airflow_provider_zbackup.zilliz.operations import Operation

T = TypeVar("T")

#: Older answers are never shared, in seconds.
LONGEST_AGE = 60.0


class PollCache:
    """
    The recent and the pending requests of one client.

    A caller that asks the same as a pending request waits for its answer. A later caller gets the answer too,
    unless it is older than the ``max_age`` of the caller's operation.
    """

    def __init__(self) -> None:
        # In the order of asking: the oldest are dropped first.
        self._asked: dict[Operation[Any], tuple[float, asyncio.Task[Reply[Any]]]] = {}

    async def get(
        self, operation: Operation[T], time: float, ask: Callable[[], Coroutine[Any, Any, Reply[T]]]
    ) -> Reply[T]:
        """
        Return a shared answer if one is fresh enough, else ask.

        :param time: now, in seconds
        :param ask: sends the operation
        """
        asked_at, answer = self._asked.get(operation, (0.0, None))
        if answer is None or (
            answer.done()
            and (_failed(answer) or not 0 <= time - asked_at < min(operation.max_age, LONGEST_AGE))
        ):
            self._asked.pop(operation, None)
            self._drop_old(time)
            # A task of its own: the first caller may be cancelled while others wait.
            answer = asyncio.create_task(ask())
            self._asked[operation] = (time, answer)
        try:
            return await asyncio.shield(answer)
        except ZillizError as error:
            # Each caller gets its own error: one object raised in many places mixes up tracebacks.
            raise copy(error) from None

    def _drop_old(self, time: float) -> None:
        while self._asked:
            operation, (asked_at, answer) = next(iter(self._asked.items()))
            if 0 <= time - asked_at <= LONGEST_AGE or not answer.done():
                break
            _failed(answer)
            del self._asked[operation]

    async def aclose(self) -> None:
        """Stop asking."""
        for _, answer in self._asked.values():
            answer.cancel()
        await asyncio.gather(*(answer for _, answer in self._asked.values()), return_exceptions=True)
        self._asked.clear()


def _failed(answer: asyncio.Task[Reply[Any]]) -> bool:
    """Tell whether there is no answer to share. The look also stops asyncio's warning of a lost error."""
    return answer.cancelled() or answer.exception() is not None
