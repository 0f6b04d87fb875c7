"""The faults that strike the tasks of the contract tests, and how."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any

import httpx

from tests.support import TaskInstance, World

FAULTS: dict[str, dict[str, Any]] = {
    "connection refused": {"refused": True},
    "dropped before the work": {"drop": True},
    "dropped after the work": {"drop": True, "after": True},
    "time-out before the work": {"delay": 60},
    "time-out after the work": {"delay": 60, "after": True},
    "HTTP 500": {"status": 500},
    "HTTP 500 after the work": {"status": 500, "after": True},
    "HTTP 502 with HTML": {"status": 502, "body": "<html><h1>Bad Gateway</h1></html>"},
    "HTTP 503, Retry-After": {"status": 503, "headers": {"Retry-After": "7"}},
    "HTTP 429, Retry-After": {"status": 429, "headers": {"Retry-After": "7"}},
    "truncated JSON": {"truncate": True},
    "wrong JSON": {"garbage": True},
    "HTTP 200, unknown code": {"code": 98765, "message": "no document knows this"},
    "HTTP 401": {"status": 401, "body": {"code": 21119, "message": "The apikey is illegal"}},
    "list lags 10 s, answer lost": {"drop": True, "after": True, "list_lag": 10},
    "job look-up lags 10 s": {"job_lag": 10},
}
#: Those that say where they strike by themselves.
ONLY_AT = {"list lags 10 s, answer lost": "create_backup", "job look-up lags 10 s": "describe_job"}
ANYWHERE = [name for name in FAULTS if name not in ONLY_AT]

_handle_request = httpx.HTTPTransport.handle_request
_HandleRequest = Callable[[httpx.HTTPTransport, httpx.Request], httpx.Response]


def strike(
    world: World, operation: str, route: str, fault: str, *, persists: bool = False, skip: int = 0
) -> None:
    """
    Let a fault strike one request, or all of an operation until it is healed.

    :param operation: its name in the emulator
    :param route: a pattern of its paths
    :param skip: so many requests of the operation are well before
    """
    effect = dict(FAULTS[fault])
    timeout: float = 10
    if effect.pop("refused", False):
        _patch(world, _refusing(route, 10_000 if persists else 1))
        effect = {}
    elif "delay" in effect and persists:
        # A try has a dozen of them: to wait for each took a tenth of the time of all tests.
        _patch(world, _waiting_in_vain)
        del effect["delay"]
        effect["drop"] = True
    elif "delay" in effect:
        timeout = 0.08
    world.connect(extra={"timeout": timeout, "requests_per_second": 1000})
    world.control_plane.configure(
        **{name: effect.pop(name) for name in ("list_lag", "job_lag") if name in effect}
    )
    if effect:
        world.fault(operation, skip=skip, times=None if persists else 1, **effect)


def heal(world: World) -> None:
    world.control_plane.faults.clear()
    _patch(world, _handle_request)


def attempt(task: TaskInstance) -> tuple[Any, Exception | None]:
    try:
        return task.run(), None
    except Exception as error:
        return None, error


def _patch(world: World, handle_request: _HandleRequest) -> None:
    world.monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle_request)


def _refusing(route: str, times: int) -> _HandleRequest:
    """Send the requests of a route to a port on which nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    left = [times]

    def handle_request(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if re.fullmatch(route, request.url.path) and left[0] > 0:
            left[0] -= 1
            request.url = request.url.copy_with(port=port)
        return _handle_request(transport, request)

    return handle_request


def _waiting_in_vain(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
    """Tell of a time-out where the server has closed the connection instead of answering."""
    try:
        return _handle_request(transport, request)
    except httpx.RemoteProtocolError as error:
        raise httpx.ReadTimeout("timed out", request=request) from error
