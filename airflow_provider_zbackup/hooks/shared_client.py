"""The one client that all triggers with the same connection share in a triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_zbackup.zilliz.client import AsyncZillizClient
from airflow_provider_zbackup.zilliz.errors import ZillizError, ZillizTransientError
from airflow_provider_zbackup.zilliz.pacing import backoff
from airflow_provider_zbackup.zilliz.settings import ClientSettings

if TYPE_CHECKING:
    from airflow_provider_zbackup.hooks.zilliz import ZillizHook

#: A triggerer reads an Airflow connection again after this long, in seconds.
CONNECTION_LIFETIME = 300.0
#: While reading fails, it keeps the old settings and tries again after this long, in seconds.
CONNECTION_RETRY = 60.0
#: A trigger tries for this long to read its connection, in seconds. It is less than ``BACKSTOP`` of the
#: operators, so that the trigger can still report why it failed.
CONNECTION_PATIENCE = 120.0


@asynccontextmanager
async def share_client(hook: ZillizHook) -> AsyncIterator[AsyncZillizClient]:
    """Give the client of all triggers with this hook's connection; the last one closes it."""
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    shared = clients.setdefault(hook.zilliz_conn_id, _SharedClient())
    shared.users += 1
    try:
        yield await shared.get(hook)
    finally:
        shared.users -= 1
        if not shared.users:
            clients.pop(hook.zilliz_conn_id)
            await shared.close()


class _SharedClient:
    """One client for all triggers with the same connection in one event loop."""

    def __init__(self) -> None:
        self.users = 0
        self._client: AsyncZillizClient | None = None
        #: Clients to an older address; some triggers still use them.
        self._former: list[AsyncZillizClient] = []
        self._read_at = 0.0
        self._failure: ZillizError | None = None
        self._failed_at = 0.0
        self._lock = asyncio.Lock()

    async def get(self, hook: ZillizHook) -> AsyncZillizClient:
        came_at = hook.clock.monotonic()
        async with self._lock:
            if self._client is None:
                if self._failure is not None and self._failed_at >= came_at:
                    # This failure counts for all that waited for the lock: no need to try for each.
                    raise ZillizError.from_dict(self._failure.to_dict())
                try:
                    settings = await self._read_patiently(hook, came_at + CONNECTION_PATIENCE)
                    self._client = await self._open(hook, settings)
                except ZillizError as error:
                    self._failure, self._failed_at = error, hook.clock.monotonic()
                    raise
            elif hook.clock.monotonic() - self._read_at > CONNECTION_LIFETIME:
                self._client = await self._read_again(hook, self._client)
            return self._client

    async def _open(self, hook: ZillizHook, settings: ClientSettings) -> AsyncZillizClient:
        client = await AsyncZillizClient.open(settings, refresh=hook.read_settings, clock=hook.clock)
        self._read_at = hook.clock.monotonic()
        return client

    async def _read_patiently(self, hook: ZillizHook, until: float) -> ClientSettings:
        """Read the connection, with retries until a moment, since waits are long."""
        pauses = backoff()
        while True:
            try:
                return await hook.read_settings()
            except ZillizTransientError as error:
                time = hook.clock.monotonic()
                if time >= until:
                    raise
                pause = min(next(pauses), until - time)
                hook.log.warning("%s Trying again in %.1f s.", error, pause)
            await hook.clock.asleep(pause)

    async def _read_again(self, hook: ZillizHook, client: AsyncZillizClient) -> AsyncZillizClient:
        """Read the connection again, and return the client for it: usually the same one."""
        old = client.settings
        try:
            new = await hook.read_settings()
        except ZillizTransientError as error:
            hook.log.warning("%s Keeping the settings read before.", error)
            self._read_at = hook.clock.monotonic() - CONNECTION_LIFETIME + CONNECTION_RETRY
            return client
        if (new.base_url, new.ca_bundle) == (old.base_url, old.ca_bundle):
            client.use(new)
            self._read_at = hook.clock.monotonic()
            return client
        other = await self._open(hook, new)
        self._former.append(client)
        return other

    async def close(self) -> None:
        for client in [*self._former, self._client]:
            if client is not None:
                await client.aclose()


#: By event loop, since a client works only in its own, and by connection id.
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _SharedClient]] = WeakKeyDictionary()
