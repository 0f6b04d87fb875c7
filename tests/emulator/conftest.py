from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_zbackup.emulator import ControlPlane, RunningEmulator, serve
from tests.clock import VirtualClock
from tests.emulator.api import Api


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def control_plane(clock: VirtualClock) -> ControlPlane:
    return ControlPlane(clock=clock.time)


@pytest.fixture
def emulator(control_plane: ControlPlane) -> Iterator[RunningEmulator]:
    with serve(control_plane) as running:
        yield running


@pytest.fixture
def new_client() -> Iterator[Callable[..., httpx.Client]]:
    clients: list[httpx.Client] = []

    def make(**arguments: Any) -> httpx.Client:
        clients.append(httpx.Client(verify=False, trust_env=False, **arguments))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def visitor(emulator: RunningEmulator, new_client: Callable[..., httpx.Client]) -> httpx.Client:
    """A client without a key."""
    return new_client(base_url=emulator.url)


@pytest.fixture
def api(emulator: RunningEmulator, new_client: Callable[..., httpx.Client]) -> Api:
    key = emulator.connection["password"]
    return Api(new_client(base_url=emulator.url, headers={"Authorization": f"Bearer {key}"}))
