"""One time limit for a whole exchange: each step gets what is left of it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import httpcore
import pytest
from pytest_mock import MockerFixture

from airflow_provider_zbackup.zilliz.time_limit import LimitedBackend, time_limit
from tests.clock import VirtualClock


class Stream(httpcore.NetworkStream):
    """A connection on which everything takes a second. It keeps the timeouts that it got."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.timeouts: list[float | None] = []

    def _step(self, timeout: float | None) -> None:
        self.timeouts.append(timeout)
        self.clock.sleep(1)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._step(timeout)
        return b"x"

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._step(timeout)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._step(timeout)
        return self

    def close(self) -> None:
        self.timeouts.append(None)

    def get_extra_info(self, info: str) -> Any:
        return info


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def inner(clock: VirtualClock, mocker: MockerFixture) -> Stream:
    stream = Stream(clock)

    def connect(*arguments: Any) -> Stream:
        stream._step(arguments[2])
        return stream

    mocker.patch.object(httpcore.SyncBackend, "connect_tcp", side_effect=connect)
    return stream


def test_each_step_gets_what_is_left(inner: Stream, clock: VirtualClock) -> None:
    with time_limit(10, clock):
        stream = LimitedBackend().connect_tcp("host", 443, timeout=3.0)
        stream = stream.start_tls(ssl.create_default_context(), "host", timeout=30.0)
        stream.write(b"request", timeout=30.0)
        assert stream.read(1, timeout=30.0) == b"x"
        assert stream.read(1, timeout=2.0) == b"x"
        assert stream.read(1) == b"x"
    assert inner.timeouts == [3.0, 9.0, 8.0, 7.0, 2.0, 5.0]


Step = Callable[[httpcore.NetworkStream], Any]


@pytest.mark.parametrize(
    ("step", "error", "closed"),
    [
        (lambda stream: stream.read(1, timeout=30.0), httpcore.ReadTimeout, []),
        (lambda stream: stream.write(b"x", timeout=30.0), httpcore.WriteTimeout, []),
        (lambda stream: stream.start_tls(ssl.create_default_context()), httpcore.ConnectTimeout, [None]),
    ],
    ids=["read", "write", "TLS"],
)
def test_when_nothing_is_left_nothing_is_begun(
    inner: Stream, clock: VirtualClock, step: Step, error: type[Exception], closed: list[None]
) -> None:
    """httpcore closes a connection whose read or write fails, but not one whose handshake never began."""
    with time_limit(10, clock):
        stream = LimitedBackend().connect_tcp("host", 443)
        clock.sleep(9)
        with pytest.raises(error, match="it did not end within 10 s"):
            step(stream)
    assert inner.timeouts == [10.0, *closed]


def test_the_limit_ends_with_the_exchange(inner: Stream, clock: VirtualClock) -> None:
    """A connection is kept for the next one."""
    with time_limit(10, clock):
        stream = LimitedBackend().connect_tcp("host", 80)
    clock.sleep(3600)
    stream.read(1, timeout=30.0)
    assert stream.get_extra_info("is_readable") == "is_readable"
    stream.close()
    assert inner.timeouts == [10.0, 30.0, None]
