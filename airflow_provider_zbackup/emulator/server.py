"""A control plane on a real socket."""

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


@dataclass(frozen=True)
class RunningEmulator:
    """
    An emulator that listens.

    :param url: its base URL, without a slash at the end.
    :param control_plane: the control plane behind it.
    """

    url: str
    control_plane: ControlPlane

    @property
    def connection(self) -> dict[str, Json]:
        """The Airflow connection to it, in the form of Airflow's JSON connections."""
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
    Serve a control plane from a thread, for as long as the context lasts.

    :param control_plane: what to serve; a fresh one by default.
    :param host: the address to listen on.
    :param port: the port to listen on; 0 takes a free one.
    :param ssl_certfile: serve HTTPS with this certificate.
    :param ssl_keyfile: the certificate's key.
    :param log_level: from which level on uvicorn logs, through whatever logging is set up.
    """
    control_plane = control_plane or ControlPlane()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Bound here, so that a taken port is raised to the caller and not inside the thread. Only of a socket
    # that names its protocol does asyncio know that it has to send small answers without delay.
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
            # The control plane's clock dates the answers.
            date_header=False,
            server_header=False,
            # Longer than any poll, so that clients do not meet a connection that is just being closed.
            timeout_keep_alive=120,
            ssl_certfile=ssl_certfile,
            ssl_keyfile=ssl_keyfile,
        )
        # Here for the same reason: a wrong certificate.
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
        try:
            yield RunningEmulator(
                f"{scheme}://{f'[{host}]' if ':' in host else host}:{bound_port}", control_plane
            )
        finally:
            server.stop()
            thread.join()


class _Server(uvicorn.Server):
    """Says when it listens, and stops at once instead of waiting for requests and connections to end."""

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
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # Requests still in hand are cancelled when the loop ends, after they have seen their connection go.
        while self.server_state.connections:
            await asyncio.sleep(0)


class _DroppableProtocol(H11Protocol):
    """Lays the transport ready for the application, which can then close the connection without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)
