"""One cluster as a Milvus Lite, with a gate before it."""

from __future__ import annotations

import base64
import binascii
import shutil
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from milvus_lite.adapter.grpc.servicer import MilvusServicer
from milvus_lite.db import MilvusLite
from pymilvus.grpc_gen import milvus_pb2_grpc

from airflow_provider_zbackup.emulator.data_plane.files import (
    collection_directory,
    database_directory,
    link_collection,
    rename_collection,
    size_of,
)
from airflow_provider_zbackup.emulator.data_plane.live_data import LiveData
from airflow_provider_zbackup.emulator.data_plane.ports import Address
from airflow_provider_zbackup.emulator.records import Collection, Databases

if TYPE_CHECKING:
    from airflow_provider_zbackup.emulator.data_plane.milvus import MilvusData

_NOT_RUNNING = "The cluster is not running."
_LARGEST_MESSAGE = 256 * 1024 * 1024
_OPTIONS = [
    ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
    ("grpc.max_send_message_length", _LARGEST_MESSAGE),
    # pymilvus asks every 10 seconds whether the server lives. The server must not take offence.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
]


class Engine:
    """
    The data of one cluster.

    Milvus Lite lets only one thread write. So each call of a client, and whatever else changes data, holds
    the lock. The emulator's event loop never waits for it: :meth:`databases` needs no lock, and threads do
    all that may take long.

    :param data: to which it belongs.
    :param address: the ``connectAddress`` of the cluster.
    """

    def __init__(
        self, data: MilvusData, address: str, is_running: Callable[[], bool], opens: Callable[[str], bool]
    ) -> None:
        self.address = address
        self.grpc_address: Address | None = None
        self._data = data
        self._is_running = is_running
        self._opens = opens
        self._directory = data.new_path()
        self._lock = threading.RLock()
        self._lite: MilvusLite | None = None
        self._server: grpc.Server | None = None
        self._shall_be_open = False
        #: The collections as of the last call. It is replaced, never changed, so it needs no lock.
        self._known: Mapping[str, Sequence[LiveData]] = {}

    @property
    def is_open(self) -> bool:
        """Whether clients can connect."""
        return self.grpc_address is not None

    def databases(self) -> Databases:
        """Return the collections that there are now."""
        return {database: [each.show() for each in group] for database, group in self._known.items()}

    def start(self, databases: Databases) -> None:
        """Open for the first time, with these collections."""
        for database, group in databases.items():
            database_directory(self._directory, database).mkdir(parents=True)
            for collection in group:
                self._stage(collection, collection_directory(self._directory, database, collection.name))
        self._shall_be_open = True
        self._open(_loaded(databases))

    def start_restored(self, databases: Databases) -> Generator[None]:
        """
        Open for the first time, with the collections of a backup, as the work of a job.

        Nothing is left when the job does not end well.
        """
        try:
            self.start(databases)
            yield
        except BaseException:
            self.drop()
            raise

    def take(self, wanted: Databases | None) -> Databases:
        """
        Return collections as they are at one moment, with files that do not change.

        :param wanted: None means all.
        :raises LookupError: if one of them is gone.
        """
        with self._lock:
            self._opened()
            names = {(database, each.name) for database, group in (wanted or {}).items() for each in group}
            known = {(database, each.name): each for database, group in self._known.items() for each in group}
            if gone := names - set(known):
                raise LookupError(f"Collection {min(gone)[1]} does not exist any more.")
            chosen = set(known) if wanted is None else names
            return {
                database: [self._take(each) for each in group if (database, each.name) in chosen]
                for database, group in self._known.items()
                if wanted is None or database in wanted
            }

    def restore(self, targets: Sequence[tuple[str, Collection]]) -> Generator[None]:
        """
        Add collections of a backup, as the work of a job: all of them, or none.

        :param targets: databases, and collections with their new names.
        """
        staging = self._data.new_path()
        try:
            for number, (_, collection) in enumerate(targets):
                self._stage(collection, staging / str(number))
            yield
            with self._lock:
                self._add(targets, staging)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def put(self, database: str, collection: Collection) -> None:
        """Load or release a collection, as its status says."""
        with self._lock:
            self._find(database, collection.name).set_loaded(collection.status == "LOADED")

    def remove(self, database: str, name: str) -> None:
        """Drop a collection."""
        with self._lock:
            self._opened().drop_collection(name, database_name=database)
            self._look()

    def set_running(self, running: bool) -> None:
        """Open or close in the background: closing writes what is not on the disk yet."""
        self._shall_be_open = running
        threading.Thread(target=self._follow).start()

    def drop_in_background(self) -> None:
        """Drop all data in the background."""
        threading.Thread(target=self.drop).start()

    def drop(self) -> None:
        """Close, and remove all files."""
        self._shall_be_open = False
        self._follow()
        with self._lock:
            self._known = {}
            shutil.rmtree(self._directory, ignore_errors=True)

    def answer(self, token: str, behaviour: Callable[[], Any], context: grpc.ServicerContext) -> Any:
        """Answer a call of a client."""
        if not self._opens(token):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "The API key or the password is wrong.")
        if not self._is_running():
            context.abort(grpc.StatusCode.UNAVAILABLE, _NOT_RUNNING)
        with self._lock:
            try:
                return behaviour()
            except NotImplementedError:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "Milvus Lite cannot do this.")
            finally:
                self._look()

    def _follow(self) -> None:
        with self._lock:
            if self._shall_be_open and self._lite is None:
                self._open(_loaded(self.databases()))
            elif not self._shall_be_open and self._lite is not None:
                self._close()

    def _open(self, loaded: set[tuple[str, str]]) -> None:
        with self._lock:
            self._lite = MilvusLite(str(self._directory))
            self._look()
            for database, name in loaded:
                self._find(database, name).set_loaded(True)
            self._server = grpc.server(
                ThreadPoolExecutor(10, "zilliz-engine"), interceptors=[_Gate(self)], options=_OPTIONS
            )
            milvus_pb2_grpc.add_MilvusServiceServicer_to_server(MilvusServicer(self._lite), self._server)
            port = self._server.add_insecure_port("127.0.0.1:0")
            self._server.start()
            self.grpc_address = "127.0.0.1", port

    def _close(self) -> None:
        self.grpc_address = None
        if self._server is not None:
            self._server.stop(None)
        if self._lite is not None:
            self._lite.close()
        self._server = self._lite = None

    def _opened(self) -> MilvusLite:
        if self._lite is None:
            raise RuntimeError(_NOT_RUNNING)
        return self._lite

    def _look(self) -> None:
        """Open each collection that there is: two calls that did it at once would make two of one."""
        lite = self._lite
        if lite is None:
            return
        self._known = {
            "" if database == "default" else database: [
                LiveData(lite.get_collection(name, database_name=database), self._lock)
                for name in lite.list_collections(database_name=database)
            ]
            for database in lite.list_databases()
        }

    def _add(self, targets: Sequence[tuple[str, Collection]], staging: Path) -> None:
        lite = self._opened()
        for database, collection in targets:
            known = lite.has_database(database or "default")
            if known and lite.has_collection(collection.name, database_name=database):
                raise ValueError(f"Collection {collection.name} exists in the destination.")
        added: list[tuple[str, str]] = []
        try:
            for number, (database, collection) in enumerate(targets):
                if not lite.has_database(database or "default"):
                    lite.create_database(database)
                place = collection_directory(self._directory, database, collection.name)
                (staging / str(number)).rename(place)
                added.append((database, collection.name))
            self._look()
            for database, collection in targets:
                if collection.status == "LOADED":
                    self._find(database, collection.name).set_loaded(True)
        except Exception:
            for database, name in added:
                self.remove(database, name)
            raise

    def _find(self, database: str, name: str) -> LiveData:
        for each in self._known.get(database, ()):
            if each.name == name:
                return each
        raise LookupError(f"Collection {name} does not exist any more.")

    def _stage(self, collection: Collection, target: Path) -> None:
        link_collection(self._data.files_of(collection), target)
        rename_collection(target, collection.name)

    def _take(self, live: LiveData) -> Collection:
        files = self._data.new_path()
        live.flush()
        link_collection(live.directory, files)
        shown = live.show()
        return Collection(shown.name, shown.description, shown.status, size_of(files), files=files)


class _Gate:
    """Lets only those in who may enter, and lets the engine answer them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def intercept_service(self, continuation: Callable[[Any], Any], details: grpc.HandlerCallDetails) -> Any:
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler
        token = _read_token(dict(details.invocation_metadata).get("authorization", ""))

        def respond(request: Any, context: grpc.ServicerContext) -> Any:
            return self._engine.answer(token, lambda: handler.unary_unary(request, context), context)

        return grpc.unary_unary_rpc_method_handler(
            respond, handler.request_deserializer, handler.response_serializer
        )


def _read_token(header: str) -> str:
    try:
        return base64.b64decode(header, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _loaded(databases: Databases) -> set[tuple[str, str]]:
    return {
        (database, each.name)
        for database, group in databases.items()
        for each in group
        if each.status == "LOADED"
    }
