"""Serves a control plane on a real socket, from a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_zbackup.emulator import seed
from airflow_provider_zbackup.emulator.app import build_app
from airflow_provider_zbackup.emulator.control_plane import ControlPlane
from airflow_provider_zbackup.emulator.formats import Json

_START_SECONDS = 10
_TURNS_TO_CONNECT = 5


@dataclass(frozen=True)
class RunningEmulator:
    """
    A running emulator.

    :param url: the base URL, without a slash at the end.
    """

    url: str
    control_plane: ControlPlane

    @property
    def connection(self) -> dict[str, Json]:
        """The Airflow connection to this emulator, as Airflow reads it from JSON."""
        return {
            "conn_type": "zilliz",
            "host": self.url,
            "password": self.control_plane.api_key,
            "extra": {
                "organization_id": self.control_plane.organization_id,
                "project_id": seed.PROJECT_ID,
                "console_url": self.url,
            },
        }


@contextmanager
def serve(
    control_plane: ControlPlane | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl_certfile: str | None = None,
    ssl_keyfile: str | None = None,
    log_level: str = "warning",
) -> Iterator[RunningEmulator]:
    """
    Serve a control plane until the context ends.

    :param control_plane: a new one by default.
    :param port: 0 takes a free port.
    :param ssl_certfile: with a certificate, the emulator serves HTTPS.
    :param log_level: the level of uvicorn. It logs with the handlers of the caller.
    """
    control_plane = control_plane or ControlPlane()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The socket is bound here and not in the thread, so that the caller gets the error for a port in use.
    # It names its protocol, because asyncio sends small answers without delay only for sockets that do.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        config = uvicorn.Config(
            build_app(control_plane),
            http=_DroppableProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level=log_level,
            # The application adds it, from the control plane's clock.
            date_header=False,
            server_header=False,
            # Longer than any poll interval: else a client may send a request while its connection closes.
            timeout_keep_alive=120,
            ssl_certfile=ssl_certfile,
            ssl_keyfile=ssl_keyfile,
        )
        # The caller gets the error for a wrong certificate, too.
        config.load()
        server = _Server(config)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="zilliz-emulator", daemon=True
        )
        thread.start()
        if not server.listening.wait(_START_SECONDS):
            raise RuntimeError("The emulator did not start.")
        scheme = "http" if ssl_certfile is None else "https"
        bound_port = listener.getsockname()[1]
        if control_plane.data is not None:
            control_plane.data.web_address = host, bound_port
        control_plane.base_url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{bound_port}"
        try:
            yield RunningEmulator(control_plane.base_url, control_plane)
        finally:
            server.stop()
            thread.join()


class _Server(uvicorn.Server):
    """Tells when it listens, and stops at once: requests with a long delay must not hold up a test's end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self.listening.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        # What was accepted just now becomes a connection within some turns of the loop.
        for _ in range(_TURNS_TO_CONNECT):
            await asyncio.sleep(0)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # The end of the loop cancels open requests. They must see first that their connection is gone.
        while self.server_state.connections:
            await asyncio.sleep(0)


class _DroppableProtocol(H11Protocol):
    """Gives the transport to the application, which needs it to close a connection without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)
