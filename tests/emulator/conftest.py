from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_zbackup.emulator import ControlPlane, RunningEmulator, serve

# Monday, 2026-03-02, 10:00:00 UTC.
START = 1_772_445_600.0


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.seconds = START

    def __call__(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        self.seconds += seconds


class Api:
    """The API as a client sees it."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        response = self.client.request(method, "/v2" + path, **arguments)
        assert response.status_code == 200, response.text
        assert response.headers["requestid"]
        answer = response.json()
        assert set(answer) == ({"code", "data"} if answer["code"] == 0 else {"code", "message"})
        return answer

    def data(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self.call(method, path, **arguments)
        assert answer["code"] == 0, answer
        return answer["data"]

    def error(self, method: str, path: str, **arguments: Any) -> tuple[int, str]:
        answer = self.call(method, path, **arguments)
        assert answer["code"] != 0, answer
        return answer["code"], answer["message"]

    def create(self, cluster_id: str, **body: Any) -> dict[str, str]:
        body = {"backupType": "CLUSTER", **body}
        return self.data("POST", f"/clusters/{cluster_id}/backups/create", json=body)

    def job(self, job_id: str) -> dict[str, Any]:
        return self.data("GET", f"/jobs/{job_id}")

    def listed(self, **query: Any) -> list[dict[str, Any]]:
        return self.data("GET", "/backups", params={"pageSize": 100, **query})["backups"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def control_plane(clock: Clock) -> ControlPlane:
    return ControlPlane(clock=clock)


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
