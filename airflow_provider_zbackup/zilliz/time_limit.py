"""
One time limit for a whole exchange with a server: connect, send, and receive all of the answer.

httpx limits each read alone. So a server that sends its answer byte by byte holds a thread for as long as it
likes. Here every read, write and handshake of an exchange gets at most the time that is left of the whole.
"""

from __future__ import annotations

import math
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore

from airflow_provider_zbackup.zilliz.pacing import CLOCK, Clock


class _Limit(threading.local):
    """When the exchange of this thread has to end; an exchange never leaves its thread."""

    clock: Clock = CLOCK
    seconds = math.inf
    end = math.inf

    def cap(self, timeout: float | None, error: type[Exception]) -> float | None:
        """Return the timeout of the next step, or raise ``error`` if no time is left."""
        left = self.end - self.clock.monotonic()
        if left <= 0:
            raise error(f"it did not end within {self.seconds:g} s")
        return min(left, math.inf if timeout is None else timeout) if left < math.inf else timeout


_limit = _Limit()


@contextmanager
def time_limit(seconds: float, clock: Clock = CLOCK) -> Iterator[None]:
    """Limit all that this thread does inside, on connections of a :class:`LimitedBackend`."""
    _limit.clock, _limit.seconds, _limit.end = clock, seconds, clock.monotonic() + seconds
    try:
        yield
    finally:
        _limit.end = math.inf


class LimitedBackend(httpcore.SyncBackend):
    """Opens connections that keep to :func:`time_limit`. Only the look-up of a host name does not."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = _limit.cap(timeout, httpcore.ConnectTimeout)
        return _LimitedStream(super().connect_tcp(host, port, timeout, local_address, socket_options))


class _LimitedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _limit.cap(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _limit.cap(timeout, httpcore.WriteTimeout))

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        try:
            timeout = _limit.cap(timeout, httpcore.ConnectTimeout)
        except httpcore.ConnectTimeout:
            # As a handshake that fails does: nobody else would close it.
            self.close()
            raise
        return _LimitedStream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
