"""
Real vectors: each Dedicated cluster is a Milvus Lite, for pymilvus and any other client of Milvus.

It needs the extra ``emulator-data``, and nothing imports it but what was asked for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from airflow_provider_zbackup.emulator.data_plane.collection_data import CollectionData
from airflow_provider_zbackup.emulator.data_plane.engine import Engine
from airflow_provider_zbackup.emulator.data_plane.files import write_rows
from airflow_provider_zbackup.emulator.data_plane.live_data import LiveData
from airflow_provider_zbackup.emulator.data_plane.ports import Address, Ports
from airflow_provider_zbackup.emulator.records import Collection


class MilvusData:
    """
    The data of all clusters, in a temporary directory, until the context ends.

    :param host: where the clusters listen.
    :ivar web_address: where the emulator serves the API.
    :ivar is_closed: whether the context has ended.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.is_closed = False
        self.web_address: Address | None = None
        self._host = host
        self._directory = TemporaryDirectory(prefix="zilliz-emulator-", ignore_cleanup_errors=True)
        self._paths = 0
        self._engines: dict[str, Engine] = {}
        self._written: list[tuple[CollectionData, Path]] = []
        self._ports = Ports(host, self._find_target)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_closed = True
        self._ports.close()
        for engine in self._engines.values():
            engine.drop()
        self._directory.cleanup()

    def add_engine(
        self, cluster_id: str, *, is_running: Callable[[], bool], opens: Callable[[str], bool]
    ) -> Engine:
        """
        Return a new engine for a cluster, which is not open yet. A former one is dropped.

        :param is_running: whether the cluster lets anybody in.
        :param opens: whether it lets those in who have a token: the API key, or a user and a password with a
            colon between.
        """
        self._drop_in_background(cluster_id)
        address = f"http://{f'[{self._host}]' if ':' in self._host else self._host}"
        address = f"{address}:{self._ports.port_of(cluster_id)}"
        engine = Engine(self, address, is_running, opens)
        self._engines[cluster_id] = engine
        return engine

    def reset(self) -> None:
        """Drop all engines."""
        for cluster_id in list(self._engines):
            self._drop_in_background(cluster_id)

    def new_path(self) -> Path:
        """Return a path that nobody uses, in the directory of all data, so that files can be linked."""
        self._paths += 1
        return Path(self._directory.name, str(self._paths))

    def files_of(self, collection: Collection) -> Path:
        """
        Return the files of a collection of a backup, or of the state at the start.

        :raises ValueError: if it is a collection that lives.
        """
        if collection.files is not None:
            return collection.files
        if isinstance(collection.data, LiveData):
            raise ValueError(f"The backup does not have the data of {collection.name} yet.")
        for data, path in self._written:
            if data is collection.data:
                return path
        path = self.new_path()
        write_rows(collection.data, path)
        self._written.append((collection.data, path))
        return path

    def cluster_at(self, host: str) -> str | None:
        """
        Return the id of the cluster with an address.

        :param host: such as ``127.0.0.1:40719``.
        """
        _, _, port = host.rpartition(":")
        return self._ports.cluster_at(int(port)) if port.isdecimal() else None

    def _find_target(self, cluster_id: str, speaks_grpc: bool) -> Address | None:
        if not speaks_grpc:
            return self.web_address
        engine = self._engines.get(cluster_id)
        return engine.grpc_address if engine is not None else None

    def _drop_in_background(self, cluster_id: str) -> None:
        engine = self._engines.pop(cluster_id, None)
        if engine is not None:
            threading.Thread(target=engine.drop).start()
