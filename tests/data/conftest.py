from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pymilvus import MilvusClient

from airflow_provider_zbackup.emulator import ControlPlane, RunningEmulator, Settings, open_data, seed, serve
from airflow_provider_zbackup.zilliz.client import ZillizClient
from airflow_provider_zbackup.zilliz.settings import ClientSettings
from tests.data.cloud import Cloud


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with open_data() as data, serve(ControlPlane(settings=Settings(job_seconds=0), data=data)) as running:
        yield running


@pytest.fixture
def cloud(emulator: RunningEmulator) -> Iterator[Cloud]:
    headers = {"Authorization": f"Bearer {emulator.control_plane.api_key}"}
    with httpx.Client(base_url=emulator.url, headers=headers, trust_env=False) as client:
        yield Cloud(client)


@pytest.fixture
def connect(cloud: Cloud, emulator: RunningEmulator) -> Iterator[Callable[..., MilvusClient]]:
    clients: list[MilvusClient] = []

    def connect_to(
        cluster_id: str = seed.DEDICATED_CLUSTER_ID,
        token: str = emulator.control_plane.api_key,
        **options: Any,
    ) -> MilvusClient:
        clients.append(MilvusClient(cloud.address(cluster_id), token=token, **options))
        return clients[-1]

    yield connect_to
    for client in clients:
        client.close()


@pytest.fixture
def milvus(connect: Callable[..., MilvusClient]) -> MilvusClient:
    """A client of the first cluster."""
    return connect()


@pytest.fixture
def zilliz(emulator: RunningEmulator) -> Iterator[ZillizClient]:
    """The client of the provider."""
    client = ZillizClient(ClientSettings(emulator.control_plane.api_key, emulator.url))
    yield client
    client.close()
