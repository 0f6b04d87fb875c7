"""A port for each cluster, which serves the API as well as gRPC, as a cluster of Zilliz Cloud does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

Address = tuple[str, int]

#: How every connection of gRPC begins: that of HTTP/2.
_GRPC = b"PRI"
_CHUNK = 2**16


class Ports:
    """
    Passes connections on. It has a thread and an event loop of its own, so that it holds up nobody.

    :param host: where to listen.
    :param find_target: says where a connection to a cluster goes, by the cluster's id and whether it speaks
        gRPC; None closes it.
    """

    def __init__(self, host: str, find_target: Callable[[str, bool], Address | None]) -> None:
        self._host = host
        self._find_target = find_target
        self._loop = asyncio.new_event_loop()
        self._ports: dict[str, int] = {}
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="zilliz-ports", daemon=True)
        self._thread.start()

    def port_of(self, cluster_id: str) -> int:
        """Return the port of a cluster, which stays the same."""
        if cluster_id not in self._ports:
            listening = asyncio.run_coroutine_threadsafe(self._listen(cluster_id), self._loop)
            self._ports[cluster_id] = listening.result()
        return self._ports[cluster_id]

    def cluster_at(self, port: int) -> str | None:
        """Return the id of the cluster with a port."""
        return next((cluster_id for cluster_id, own in self._ports.items() if own == port), None)

    def close(self) -> None:
        """Close all ports and connections."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self, cluster_id: str) -> int:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._pass_on(cluster_id, reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass  # One of the two has gone: so does the other.
            finally:
                writer.close()

        server = await asyncio.start_server(accept, self._host, 0)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _pass_on(
        self, cluster_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        start = await reader.readexactly(len(_GRPC))
        target = self._find_target(cluster_id, start == _GRPC)
        if target is None:
            return
        other_reader, other_writer = await asyncio.open_connection(*target)
        try:
            other_writer.write(start)
            there = asyncio.create_task(_copy(reader, other_writer))
            back = asyncio.create_task(_copy(other_reader, writer))
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            for each in (there, back):
                each.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
        finally:
            other_writer.close()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        # The sockets are closed in the next turn of the loop.
        await asyncio.sleep(0)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
