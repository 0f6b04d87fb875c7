"""A loopback server that answers what a test says, byte for byte, and keeps what it got."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

#: Instead of an answer: close the connection.
DROP = b""
#: Instead of an answer: say nothing until the client has gone.
HANG = None


def answer(body: Any = None, status: str = "200 OK", **headers: str) -> bytes:
    """Return a whole answer; ``body`` is sent as it is if it is bytes, else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


@dataclass
class Server:
    """
    The server.

    :param answers: what it answers, in this order; the last one for ever
    """

    answers: list[bytes | None]
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def lines(self) -> list[str]:
        """Return the first line of each request."""
        return [request.partition(b"\r\n")[0].decode() for request in self.requests]

    def header(self, name: str, number: int = 0) -> str | None:
        """Return a header of a request."""
        head, _, _ = self.requests[number].partition(b"\r\n\r\n")
        for line in head.decode().split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None

    def body(self, number: int = 0) -> bytes:
        return self.requests[number].partition(b"\r\n\r\n")[2]

    def serve(self, connection: socket.socket) -> None:
        """Answer all requests of one connection."""
        with connection:
            while request := self._receive(connection):
                with self._lock:
                    self.requests.append(request)
                    reply = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                    self.at_once += 1
                    self.most_at_once = max(self.most_at_once, self.at_once)
                if reply is HANG:
                    connection.recv(1)
                with self._lock:
                    self.at_once -= 1
                if not reply:
                    return
                connection.sendall(reply)

    @staticmethod
    def _receive(connection: socket.socket) -> bytes:
        """Return one whole request; nothing if the client has gone."""
        received = b""
        try:
            while b"\r\n\r\n" not in received:
                if not (part := connection.recv(65536)):
                    return b""
                received += part
            head, _, body = received.partition(b"\r\n\r\n")
            length = next(
                (
                    int(line[15:])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            while len(body) < length:
                body += connection.recv(65536)
        except OSError:
            return b""
        return head + b"\r\n\r\n" + body


@contextmanager
def serving(*answers: bytes | None) -> Iterator[Server]:
    """Serve on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(list(answers), f"http://127.0.0.1:{listener.getsockname()[1]}")

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=server.serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def unused_url() -> str:
    """Return the URL of a port that nobody listens to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
