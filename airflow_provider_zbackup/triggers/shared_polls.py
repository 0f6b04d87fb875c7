"""The poll that asset watchers share, which needs Airflow 3.3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_provider_zbackup.triggers.events import EventsStored, Poll


class SharedPolls(SharedStreamProducer):
    """
    Gives polls to watchers, and tells them when all events of a poll are stored.

    :param polls: the polls, which never end
    """

    def __init__(self, polls: AsyncIterator[Poll]) -> None:
        self._polls = polls
        self._items: asyncio.Queue[Poll | EventsStored] = asyncio.Queue()

    async def open_stream(self) -> AsyncIterator[tuple[Poll | EventsStored, int | None]]:
        polling = asyncio.create_task(self._poll())
        try:
            while True:
                item = await self._items.get()
                yield item, item.number if isinstance(item, Poll) else None
                self._items.task_done()
        finally:
            polling.cancel()
            await asyncio.wait([polling])

    async def _poll(self) -> None:
        async for poll in self._polls:
            self._items.put_nowait(poll)
            # Airflow gives it to the watchers before the pause begins.
            await self._items.join()

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Learn that watchers have done with some items, and that the events are stored."""
        for number in [item.broker_payload for item in batch if item.broker_payload is not None][-1:]:
            self._items.put_nowait(EventsStored(number))
